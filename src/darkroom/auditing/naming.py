"""How cells are called: by people, and by what decides their result."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from darkroom.defenses.pipeline import Pipeline


def cell_title(attack: str, prior: str, defense: Pipeline, *, naive: bool) -> str:
    """Returns what a progress bar calls a cell.

    Args:
        attack: Its name.
        prior: Its name.
        defense: The output defences that the answers pass.
        naive: Whether the attacker is not told of them.
    """
    against = f" against {defense.name}" if defense.defenses else ""
    against += ", not told" if naive else ""
    return f"Attack {attack} / {prior}{against}"


def cell_key(decisive: dict[str, Any]) -> str:
    """Returns a hash of everything that decides a cell's result, 16 hexadecimal digits.

    Args:
        decisive: That, as JSON has it; the order of names does not matter.
    """
    return hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()[:16]
