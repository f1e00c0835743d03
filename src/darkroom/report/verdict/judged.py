"""One thing that a cell says, and how a run may stand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Literal, NamedTuple

from darkroom.auditing.record import SIGNIFICANCE, Cell
from darkroom.report.kind_page import Finding, findings_of
from darkroom.report.wording import percent, several, spread
from darkroom.statistics.intervals import Interval, clopper_pearson
from darkroom.statistics.power import lowest, widened


class Standing(StrEnum):
    """How a run stands, from the worst to the best."""

    LEAK = "leak"
    PERSON = "one-person"
    UNFIT = "unfit"
    UNSUPPORTED = "unsupported"
    WEAK = "too-few"
    WORSE = "worse"
    MISLED = "misled"
    NARROWED = "narrowed"
    WITHIN = "within"
    CLEAR = "clear"


OUTCOMES: Mapping[Standing, Literal["leak", "none shown", "cannot tell"]] = {
    Standing.LEAK: "leak",
    Standing.PERSON: "leak",
    Standing.UNFIT: "cannot tell",
    Standing.UNSUPPORTED: "cannot tell",
    Standing.WEAK: "cannot tell",
    Standing.WORSE: "cannot tell",
    Standing.MISLED: "cannot tell",
    Standing.NARROWED: "cannot tell",
    Standing.WITHIN: "none shown",
    Standing.CLEAR: "none shown",
}


class Judged(NamedTuple):
    """A cell, and one thing that it says."""

    cell: Cell
    finding: Finding

    @property
    def advantage(self) -> Interval:
        """What the model adds to the baseline."""
        found = self.finding.advantage
        return Interval(found.estimate, found.low, found.high)

    def low(self, looks: int) -> float:
        """The lower end of that, as one of so many that are looked at."""
        if looks == 1 or not self.finding.counted:
            return widened(self.advantage, looks)
        success, without, goals = self.finding.success, self.finding.baseline, self.cell.goals
        baseline = Interval(without.estimate, without.low, without.high)
        found = lowest(round(success.estimate * goals), goals, baseline, looks, clopper_pearson)
        return min(self.advantage.low, found)

    def exposed(self, looks: int) -> bool:
        """Whether the worst-off person or group stands out, of so many cells with one each."""
        worst = self.cell.details.worst_off
        if worst is None or not self.finding.tells:
            return False
        return worst.p_adjusted * looks < SIGNIFICANCE


def reach(cell: Cell) -> str:
    """Says how many goals an attack recovers, with the interval.

    Args:
        cell: The cell; no hit at all is given as an upper bound.
    """
    return counted(Judged(cell, findings_of(cell)[0]))


def counted(judged: Judged) -> str:
    """Says the same of one thing that a cell says."""
    cell, (nouns, _, success, *_) = judged
    hits = round(success.estimate * cell.goals)
    goals = f"{hits} of {several(cell.goals, nouns.goal, nouns.goals)}"
    if hits == 0:
        return f"{goals} (at most {percent(success.high)}, the upper end of the 95% interval)"
    return f"{goals} ({percent(success.estimate)}, interval {spread(success)})"


def strength(judged: Judged) -> tuple[float, float]:
    """Returns by what the strongest cell is chosen."""
    return judged.advantage.low, judged.advantage.estimate


def bits_told(judged: Sequence[Judged]) -> list[Interval]:
    """Returns the bits of those that say how far an attack narrows down the truth."""
    found = [one.cell.bits for one in judged if one.finding.tells]
    return [Interval(bits.estimate, bits.low, bits.high) for bits in found if bits is not None]
