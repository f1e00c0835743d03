"""Attacks by the names that plans use."""

from __future__ import annotations

import dataclasses
from typing import Any

from pydantic import TypeAdapter, ValidationError

from darkroom.attacks.base import Attack
from darkroom.attacks.gradient import GradientAttack
from darkroom.attacks.mi_face import MIFaceAttack
from darkroom.errors import PlanError, nearest, require_known

ATTACKS: dict[str, type[GradientAttack] | type[MIFaceAttack]] = {
    attack.name: attack for attack in (GradientAttack, MIFaceAttack)
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
    if name not in ATTACKS:
        raise PlanError(f"no attack is called {name!r}: {nearest(name, ATTACKS)}")
    known = [field.name for field in dataclasses.fields(ATTACKS[name])]
    require_known(f"attack {name}", parameters, known)
    try:
        return TypeAdapter(ATTACKS[name]).validate_python(parameters)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise PlanError(
            f"attack {name}: {place}: {first['msg']}, got {first['input']!r}"
        ) from error
