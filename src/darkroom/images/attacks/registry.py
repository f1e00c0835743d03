"""Attacks by the names that plans use."""

from __future__ import annotations

from typing import Any

from darkroom.images.attacks.auto import AutoAttack
from darkroom.images.attacks.base import Attack
from darkroom.images.attacks.boundary import BoundaryAttack
from darkroom.images.attacks.evolution import EvolutionAttack
from darkroom.images.attacks.finite_difference import FiniteDifferenceAttack
from darkroom.images.attacks.gradient import GradientAttack
from darkroom.images.attacks.mi_face import MIFaceAttack
from darkroom.images.attacks.policy import PolicyAttack
from darkroom.images.attacks.surrogate import SurrogateAttack
from darkroom.named import make_named

ATTACKS: dict[str, type[Attack]] = {
    attack.name: attack
    for attack in (
        GradientAttack,
        MIFaceAttack,
        EvolutionAttack,
        FiniteDifferenceAttack,
        BoundaryAttack,
        SurrogateAttack,
        PolicyAttack,
        AutoAttack,
    )
}


def make_attack(name: str, parameters: dict[str, Any]) -> Attack:
    """Builds an attack from a plan's words.

    Args:
        name: One of :data:`ATTACKS`.
        parameters: Fields of the attack's class; the others keep their defaults.

    Raises:
        PlanError: If there is no such attack or parameter, or a value is of the wrong type or
            out of its range.
    """
    return make_named("attack", ATTACKS, name, parameters)
