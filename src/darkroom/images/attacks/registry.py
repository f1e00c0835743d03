"""Attacks by the names that plans use."""

from __future__ import annotations

from darkroom.images.attacks.auto import AutoAttack
from darkroom.images.attacks.base import Attack
from darkroom.images.attacks.boundary import BoundaryAttack
from darkroom.images.attacks.distillation import DistillationAttack
from darkroom.images.attacks.evolution import EvolutionAttack
from darkroom.images.attacks.finite_difference import FiniteDifferenceAttack
from darkroom.images.attacks.gradient import GradientAttack
from darkroom.images.attacks.mi_face import MIFaceAttack
from darkroom.images.attacks.policy import PolicyAttack
from darkroom.images.attacks.surrogate import SurrogateAttack
from darkroom.named import Registry

ATTACKS: Registry[Attack] = Registry(
    "attack",
    Attack,
    GradientAttack,
    MIFaceAttack,
    EvolutionAttack,
    DistillationAttack,
    FiniteDifferenceAttack,
    BoundaryAttack,
    SurrogateAttack,
    PolicyAttack,
    AutoAttack,
    group="darkroom.attacks",
)
