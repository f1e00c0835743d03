"""Attacks on secrets by the names that plans use."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from darkroom.named import make_named
from darkroom.text.attacks.averaging import Averaging
from darkroom.text.attacks.base import SecretAttack
from darkroom.text.attacks.best_first import BestFirst
from darkroom.text.attacks.fill_mask import FillMask
from darkroom.text.attacks.sampling import SamplingAttack

SECRET_ATTACKS: dict[str, type[SecretAttack]] = {
    attack.name: attack for attack in (BestFirst, FillMask, SamplingAttack, Averaging)
}


def make_secret_attack(name: str, parameters: Mapping[str, Any]) -> SecretAttack:
    """Builds an attack from a plan's words.

    Args:
        name: One of :data:`SECRET_ATTACKS`.
        parameters: Fields of the attack's class; the others keep their defaults.

    Raises:
        PlanError: If there is no such attack or parameter, or a value is wrong.
    """
    return make_named("attack", SECRET_ATTACKS, name, parameters)
