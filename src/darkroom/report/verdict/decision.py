"""What a run says in a sentence, and how far its judges can be trusted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from darkroom.auditing.record import Cell, Check
from darkroom.auditing.run_record import Limit, VerdictRecord
from darkroom.kinds import Nouns
from darkroom.report.kind_page import findings_of, page_of, smallest_detectable
from darkroom.report.verdict.judged import OUTCOMES, Judged, Standing, bits_told, strength
from darkroom.report.verdict.sentences import (
    by_defense,
    headline,
    label,
    limits,
    reasons,
    sentences,
)
from darkroom.statistics.power import raised, widened

_LITTLE = 0.1

_MISLED = 1.0
"""Bits below none by which an attack is misled; one that finds nothing may be a little off."""


@dataclass(frozen=True)
class Verdict:
    """The verdict of a run.

    Attributes:
        standing: Its kind.
        label: The kind in a few words.
        headline: The verdict in a sentence.
        reasons: Why it cannot be told, or what else decides.
        sentences: What else must be known to read it rightly.
        by_defense: One sentence a defence, when there are several.
        limit: Whether the plan's limit is kept, when it has one.
        judged: What decides the verdict; ``None`` where nothing was attacked.
        smallest: The smallest advantage that would have been found with a chance of 80%; ``None``
            where none would have been.
    """

    standing: Standing
    label: str
    headline: str
    reasons: tuple[str, ...] = ()
    sentences: tuple[str, ...] = ()
    by_defense: tuple[str, ...] = ()
    limit: str | None = None
    judged: Judged | None = None
    smallest: float | None = None

    @property
    def outcome(self) -> Literal["leak", "none shown", "cannot tell"]:
        """What it comes to."""
        return OUTCOMES[self.standing]

    def record(self, checks: Sequence[Check]) -> VerdictRecord:
        """Returns what ``results.json`` says of it.

        Args:
            checks: What was found of the subject.
        """
        return VerdictRecord(
            outcome=self.outcome,
            sentence=self.headline,
            reasons=self.reasons,
            smallest_detectable=self.smallest,
            checks=tuple(checks),
        )


def decide(cells: Sequence[Cell], limit: Limit | None, checks: Sequence[Check] = ()) -> Verdict:
    """Draws the verdict from the strongest cell whose judges can support one.

    A leak is shown when the lower end of the advantage's interval is above the limit, or above
    zero without one; when somebody stands out; or when the bits are surely above their limit. All
    of these are corrected for the number of cells. Who stands out does so in a cell with unfit
    judges too, as they take no part in it. No leak is shown only where a leak of some size would
    have been, where no cell was left out that looks like one, and where the truth is not surely
    narrowed down, which is allowed where the plan has a limit that says nothing of bits. Nor is it
    where the truth is surely less likely to every attack than what it is compared with.

    Where cells answer several questions, such as whether pictures are accepted and whether they
    show anybody, each is decided, and the worst answer is the verdict.

    Args:
        cells: Those of the run; none where a check failed.
        limit: What the plan allows.
        checks: What was found of the subject.
    """
    failures = [check for check in checks if check.outcome == "failed"]
    if failures or not cells:
        return _unfit(failures)
    questions: dict[Nouns, list[Judged]] = {}
    for cell in cells:
        for finding in findings_of(cell):
            questions.setdefault(finding.nouns, []).append(Judged(cell, finding))
    looks = sum(not one.finding.unsound for group in questions.values() for one in group)
    answers = sorted((_answer(group, limit, looks) for group in questions.values()), key=_badness)
    worst, others = answers[0], answers[1:]
    # Where nothing is found, what is odd about the subject may be why.
    odd = [one.found for one in checks if one.outcome == "noted" and worst.outcome == "none shown"]
    return replace(worst, sentences=(*worst.sentences, *(one.headline for one in others), *odd))


_ORDER = list(Standing)


def _badness(verdict: Verdict) -> tuple[int, float]:
    return _ORDER.index(verdict.standing), -(verdict.smallest or 0.0)


def _answer(cells: Sequence[Judged], limit: Limit | None, looks: int) -> Verdict:
    """Draws the verdict on one question, where so many advantages are looked at in all."""
    allowed = limit or Limit()
    sound = [judged for judged in cells if not judged.finding.unsound]
    strongest = max(sound or cells, key=strength)
    smallest = _smallest(sound, cells, allowed, looks)
    doubted = [
        one for one in cells if one.finding.unsound and one.advantage.low > allowed.advantage
    ]
    standing = _stand(strongest, sound, cells, limit, smallest, looks)
    if doubted and _ORDER.index(standing) >= _ORDER.index(Standing.MISLED):
        standing, strongest = Standing.UNSUPPORTED, max(doubted, key=strength)
    return Verdict(
        standing=standing,
        label=label(standing, strongest.finding.nouns),
        headline=headline(standing, strongest, smallest),
        reasons=tuple(reasons(standing, strongest, cells)),
        sentences=tuple(sentences(standing, strongest, cells, sound)),
        by_defense=tuple(by_defense(sound)),
        limit=None if limit is None else limits(sound or cells, limit),
        judged=strongest,
        smallest=smallest,
    )


def _unfit(failures: Sequence[Check]) -> Verdict:
    """Returns the verdict on a subject that is not what its owner thinks."""
    standing = Standing.UNFIT
    found = failures[0].found if failures else "Nothing was attacked."
    return Verdict(
        standing=standing,
        label="Cannot tell",
        headline=f"Cannot tell: the check of the subject failed. {found}",
        reasons=tuple(f"{check.found} {check.remedy}".strip() for check in failures),
    )


def _smallest(
    sound: Sequence[Judged], cells: Sequence[Judged], limit: Limit, looks: int
) -> float | None:
    """Returns the smallest advantage that any of the sound cells would have shown."""
    found = [smallest_detectable(*judged, limit, looks, len(cells)) for judged in sound]
    return min((size for size in found if size is not None), default=None)


# long: what makes each standing, in its order
def _stand(
    strongest: Judged,
    sound: Sequence[Judged],
    cells: Sequence[Judged],
    limit: Limit | None,
    smallest: float | None,
    looks: int,
) -> Standing:
    allowed = limit or Limit()
    exposed = allowed.worst_off and any(judged.exposed(len(cells)) for judged in cells)
    if not sound:
        return Standing.PERSON if exposed else Standing.UNSUPPORTED
    low = max(judged.low(looks) for judged in sound)
    bits = bits_told(sound)
    told = max((widened(one, looks) for one in bits), default=0.0)
    at_most = max((raised(one, looks) for one in bits), default=0.0)
    highest = max(raised(judged.advantage, looks) for judged in sound)
    if low > allowed.advantage or (allowed.bits is not None and told > allowed.bits):
        return Standing.LEAK
    if exposed:
        return Standing.PERSON
    if low > 0:
        return Standing.WITHIN
    # Where guesses are nearly always right, a model has nothing left to give away.
    room = 1 - min(judged.finding.baseline.low for judged in sound)
    little = room <= _LITTLE and strongest.finding.tells
    if smallest is None and not little:
        return Standing.WORSE if highest < 0 else Standing.WEAK
    if not page_of(strongest.cell.kind).narrows:
        return Standing.CLEAR
    if at_most < -_MISLED:
        return Standing.MISLED
    return Standing.NARROWED if told > 0 and limit is None else Standing.CLEAR
