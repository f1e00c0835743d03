"""Whether a model was trained on lines as they are spelled in the audit."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from darkroom.access import LanguageAccess
from darkroom.auditing.record import Check
from darkroom.errors import TargetError
from darkroom.remote.target import ServedTarget
from darkroom.text.checks.model import parts_of
from darkroom.text.targets.base import LanguageTarget, free

NAME = "spelling"

LEAST, MOST, MOST_MASKED = 6, 12, 6
"""Lines that are read in each spelling."""

SURE, FAR, BITS = 5.0, 0.2, 8.0
"""Standard errors, share of the bits, and bits, by which another spelling must surprise less."""

Bits = NDArray[np.float64]


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


class Gain(NamedTuple):
    """By how many bits lines surprise less in another spelling.

    Attributes:
        given: Bits of each line as it is written, ``(n,)``.
        less: By how many fewer it surprises, ``(n,)``.
    """

    given: Bits
    less: Bits

    @property
    def mean(self) -> float:
        """What is gained on average."""
        return float(self.less.mean())

    @property
    def error(self) -> float:
        """The standard error of that."""
        return float(self.less.std(ddof=1)) / math.sqrt(len(self.less))

    @property
    def far(self) -> bool:
        """Whether it is surely and far less."""
        least = max(SURE * self.error, FAR * float(self.given.mean()), BITS)
        return len(self.less) >= LEAST and self.mean > least

    def more_than(self, other: Gain) -> bool:
        """Tells whether surely more is gained than on other lines."""
        if len(other.less) < LEAST:
            return False
        more = self.mean - other.mean
        return more > max(SURE * math.hypot(self.error, other.error), BITS)


def check_spelling(
    target: LanguageTarget, lines: Sequence[str], controls: Sequence[str] = ()
) -> Check | None:
    """Asks whether lines surprise a model surely and far less in another spelling.

    A model may only be better at lower case than at capitals. It learned the lines so where they
    gain more by it than lines that it was never trained on.

    Args:
        target: The model.
        lines: Those that it is said to have been trained on, the likeliest to be known first.
        controls: Others of the same kind, which it was not.

    Returns:
        ``None`` where the model tells no probabilities, where each would cost a query, or where
        there are too few lines, or none that has another spelling.
    """
    if isinstance(target, ServedTarget) or not target.access.includes(LanguageAccess.LOGPROBS):
        return None
    given = _read(target, lines)
    found = {way: _gain(target, given, spell) for way, spell in SPELLINGS.items()}
    gains = {way: gain for way, gain in found.items() if gain is not None}
    if not gains:
        return None
    best = max(gains, key=lambda way: gains[way].mean if gains[way].far else -math.inf)
    gain = gains[best]
    if not gain.far:
        told = f"In none of {len(gains)} other spellings do lines surprise the model far less."
        return Check(name=NAME, outcome="passed", found=told)
    told = (
        f"Lines surprise the model far less {best}: {(gain.given - gain.less).mean():.0f} bits "
        f"each, and {gain.given.mean():.0f} as they are written here."
    )
    others = _gain(target, _read(target, controls), SPELLINGS[best])
    if others is None or not gain.more_than(others):
        return Check(name=NAME, outcome="noted", found=told)
    return Check(
        name=NAME,
        outcome="failed",
        found=told,
        cause="spelling",
        remedy=f"Give secrets and sentences as the model learned them: {best}.",
    )


def _read(target: LanguageTarget, lines: Sequence[str]) -> dict[tuple[str, str], float]:
    """Returns the bits of some lines as they are written, by where they are cut."""
    most = MOST_MASKED if target.masked else MOST
    chosen = [line for line in dict.fromkeys(lines) if 8 <= len(line) <= 600][:most]
    pairs = [(first, "".join(rest)) for first, *rest in map(parts_of, chosen)]
    return dict(zip(pairs, _bits(target, pairs), strict=True))


def _gain(
    target: LanguageTarget, given: dict[tuple[str, str], float], spell: Callable[[str], str]
) -> Gain | None:
    """Returns what a spelling gains; ``None`` where it changes too few lines, or cannot be read."""
    # Both are cut at the same place, so that the same text is compared.
    spelled = {(first, rest): (spell(first), spell(rest)) for first, rest in given}
    changed = {pair: other for pair, other in spelled.items() if pair != other}
    if len(changed) < LEAST:
        return None
    before = np.array([given[pair] for pair in changed])
    after = _bits(target, list(changed.values()))
    told = np.isfinite(before) & np.isfinite(after)
    return Gain(before[told], before[told] - after[told]) if told.sum() >= LEAST else None


def _bits(target: LanguageTarget, pairs: Sequence[tuple[str, str]]) -> Bits:
    """Returns how surprising each ending is behind its beginning; infinite if it cannot be read."""
    if not pairs:
        return np.empty(0)
    beginnings, endings = zip(*pairs, strict=True)
    try:
        scores = target.score(beginnings, endings, free())
    except TargetError:
        return np.full(len(pairs), math.inf)
    return np.array([-float(np.sum(one)) / math.log(2) for one in scores])
