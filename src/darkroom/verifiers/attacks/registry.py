"""Attacks on verifiers by the names that plans use."""

from __future__ import annotations

from darkroom.named import Registry
from darkroom.verifiers.attacks.base import Attack
from darkroom.verifiers.attacks.decision import DecisionAttack
from darkroom.verifiers.attacks.evolution import EvolutionAttack
from darkroom.verifiers.attacks.fixed import FixedAttack
from darkroom.verifiers.attacks.gradient import GradientAttack
from darkroom.verifiers.attacks.template import TemplateAttack

VERIFIER_ATTACKS: Registry[Attack] = Registry(
    "attack",
    Attack,
    EvolutionAttack,
    GradientAttack,
    TemplateAttack,
    DecisionAttack,
    FixedAttack,
    group="darkroom.attacks",
)
