"""What a seed decides of a run: its results without versions, keys, times and sentences."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

EXPECTED = Path(__file__).parent / "expected"

RELATIVE, ABSOLUTE = 1e-3, 1e-6

# What a run is called, how long it took, and what is said of it rather than measured.
_LEFT_OUT = {
    *("key", "kind", "target", "owner", "paper", "parameters", "description"),
    *("seconds", "cost", "time_factor", "training_time_factor"),
    *("threat_model", "sentence", "judge_names", "masked", "text"),
}
# What rests on eigenfaces that are drawn, whose signs a library chooses.
_DRAWN = {"baseline", "advantage", "details"}


def decided(value: Any, *, details: bool = False) -> Any:
    """Returns the part of a record that its seed decides, short: this is where names are mapped.

    Args:
        value: Cells as ``results.json`` has them, or a part of one.
        details: Whether it is of ``details``, where an interval is its estimate.

    Returns:
        The same with floats of six digits, and intervals as ``[estimate, low, high]``.
    """
    if isinstance(value, dict):
        if set(value) == {"estimate", "low", "high"}:
            ends = ("estimate",) if details else ("estimate", "low", "high")
            return [decided(value[name]) for name in ends]
        left_out = _LEFT_OUT | (_DRAWN if value.get("prior") == "eigenfaces" else set())
        return {
            name: decided(part, details=details or name == "details")
            for name, part in value.items()
            if name not in left_out
        }
    if isinstance(value, list):
        return [decided(part, details=details) for part in value]
    return float(f"{value:.6g}") if isinstance(value, float) else value


def differences(expected: Any, found: Any, place: str = "") -> Iterator[str]:
    """Yields a line for each figure that is another one; what is only in ``found`` is new.

    Args:
        expected: What :func:`decided` returned once.
        found: What it returns now.
        place: Where both stand.
    """
    if isinstance(expected, dict) and isinstance(found, dict):
        for name, part in expected.items():
            yield from differences(part, found.get(name), f"{place}.{name}")
    elif isinstance(expected, list) and isinstance(found, list) and len(expected) == len(found):
        for number, (part, other) in enumerate(zip(expected, found, strict=True)):
            yield from differences(part, other, f"{place}[{number}]")
    elif not _same(expected, found):
        yield f"{place}: {json.dumps(expected)[:200]} was expected, {json.dumps(found)[:200]} found"


def _same(expected: Any, found: Any) -> bool:
    numbers = (expected, found)
    if float in map(type, numbers) and all(type(one) in (int, float) for one in numbers):
        return math.isclose(expected, found, rel_tol=RELATIVE, abs_tol=ABSOLUTE)
    return type(expected) is type(found) and bool(expected == found)
