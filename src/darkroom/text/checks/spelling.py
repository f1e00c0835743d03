"""Whether a model was trained on lines as they are spelled in the audit."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from darkroom.access import LanguageAccess
from darkroom.auditing.record import Check
from darkroom.errors import TargetError
from darkroom.remote.target import ServedTarget
from darkroom.text.checks.model import parts_of
from darkroom.text.targets.base import LanguageTarget, free
from darkroom.text.targets.codec import SOURCE_ENDS

NAME = "spelling"

MOST = 12
"""Lines that are read in each spelling."""

SURE, FAR = 4.0, 0.2
"""Standard errors, and share of the bits, by which another spelling must be less surprising."""

BY_HEART = 0.5
"""Bits a character that only text which was learned is worth; good models have one or so of any."""


def _grouped(size: int, between: str) -> Callable[[str], str]:
    """Returns what writes numbers of six digits or more in groups, counted from their end."""
    digit = re.compile(rf"\d(?=(?:\d{{{size}}})+(?!\d))")
    number = re.compile(r"(?<!\d)\d{6,}(?!\d)")
    return lambda line: number.sub(lambda found: digit.sub(rf"\g<0>{between}", found[0]), line)


SPELLINGS: dict[str, Callable[[str], str]] = {
    "in lower case": str.lower,
    "in capitals": str.upper,
    "with numbers in groups of three": _grouped(3, " "),
    "with numbers in groups of three with hyphens": _grouped(3, "-"),
    "with numbers in groups of four": _grouped(4, " "),
    "with numbers in groups of four with hyphens": _grouped(4, "-"),
}


def check_spelling(target: LanguageTarget, lines: Sequence[str]) -> Check | None:
    """Asks whether lines surprise a model surely and far less in another spelling.

    Args:
        target: The model.
        lines: Those that it is said to have been trained on, the likeliest first.

    Returns:
        ``None`` where the model tells no probabilities, or each would cost a query.
    """
    if isinstance(target, ServedTarget) or not target.access.includes(LanguageAccess.LOGPROBS):
        return None
    lines = [line for line in dict.fromkeys(lines) if len(line) >= 8][:MOST]
    if len(lines) < 2:
        return None
    try:
        given = _bits(target, lines)
        found = {way: _gained(target, lines, given, spell) for way, spell in SPELLINGS.items()}
    except TargetError:
        return None  # what it cannot read is told by the check of its language
    best = max(found, key=lambda way: found[way])
    if found[best] <= 0:
        return Check(
            name=NAME,
            outcome="passed",
            found=f"In {len(SPELLINGS)} other spellings the lines surprise the model no less.",
        )
    bits = float(given.mean()) - found[best]
    learned = bits < BY_HEART * np.mean([len(line) for line in lines])
    return Check(
        name=NAME,
        # A model may only be better at other spellings, and have learned no line in any.
        outcome="failed" if learned else "noted",
        found=f"Lines surprise the model far less {best}: {bits:.0f} bits each, and "
        f"{given.mean():.0f} as they are written here.",
        cause="spelling" if learned else "",
        remedy=f"Give secrets and sentences as the model learned them: {best}." if learned else "",
    )


def _gained(
    target: LanguageTarget,
    lines: Sequence[str],
    given: NDArray[np.float64],
    spell: Callable[[str], str],
) -> float:
    """Returns by how many bits a spelling is less surprising, where that is surely and far."""
    spelled = [_spelled(line, spell) for line in lines]
    if spelled == list(lines):
        return 0.0
    less = given - _bits(target, spelled)
    error = float(less.std(ddof=1)) / math.sqrt(len(less))
    far = less.mean() > SURE * error and less.mean() > FAR * given.mean()
    return float(less.mean()) if far else 0.0


def _spelled(line: str, spell: Callable[[str], str]) -> str:
    """Spells a line otherwise, and what an encoder reads before it."""
    return SOURCE_ENDS.join(map(spell, line.split(SOURCE_ENDS)))


def _bits(target: LanguageTarget, lines: Sequence[str]) -> NDArray[np.float64]:
    """Returns how surprising each line is behind its first word, in bits."""
    parts = [parts_of(line) for line in lines]
    scores = target.score([one[0] for one in parts], ["".join(one[1:]) for one in parts], free())
    return np.array([-float(np.sum(one)) / math.log(2) for one in scores])
