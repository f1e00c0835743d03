"""After which rows acceptance is read, so that a dictionary of strangers leaves room above it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from darkroom.auditing.record import Difference
from darkroom.statistics.intervals import Interval, clopper_pearson
from darkroom.statistics.power import raised, widened
from darkroom.verifiers.attacks.base import Progress
from darkroom.verifiers.subject import VerifierSubject
from darkroom.verifiers.targets.base import Floats
from darkroom.vision.guesses import advantage
from darkroom.vision.judges.panel import Judgement


class Point(NamedTuple):
    """What an attack had at one milestone.

    Attributes:
        queries: Rows spent on the goal that cost most.
        progress: What it had.
        scores: What the verifier says of it, without any defence, ``(goals,)``.
        other: The same against templates of other photos, or ``None``.
        judged: What the judges say of it.
        bits: How far it narrows down the people, where that is measured.
    """

    queries: int
    progress: Progress
    scores: Floats
    other: NDArray[np.bool_] | None
    judged: Judgement
    bits: float | None

    def accepted(self, subject: VerifierSubject) -> NDArray[np.bool_]:
        """Tells which pictures are accepted, ``(goals,)``."""
        found: NDArray[np.bool_] = self.scores >= subject.operating.threshold
        return found

    def gained(self, subject: VerifierSubject) -> Interval:
        """Returns the share accepted above that of as many strangers, with its 95% interval."""
        return advantage(
            share_of(self.accepted(subject)), subject.operating.dictionary(self.queries)
        )


class Read(NamedTuple):
    """Where acceptance is read, and what shows there; see :class:`.record.Reading`."""

    point: Point
    gained: Difference
    looks: int


def places_read(subject: VerifierSubject) -> list[int]:
    """Returns after how many rows acceptance is read, beside the end."""
    return [subject.operating.rows_for(share) for share in (0.25, 0.5)]


def read_acceptance(points: Sequence[Point], subject: VerifierSubject) -> Read:
    """Reads acceptance where a dictionary opens a quarter and half, and in the end.

    Args:
        points: The course of an attack, in order.
        subject: The verifier.

    Returns:
        The place whose advantage has the higher lower end. Its interval is corrected for the number
        of places (:func:`.widened`).
    """
    end, places = len(points) - 1, set[int]()
    for rows in (*places_read(subject), np.inf):
        places.add(next((at for at, one in enumerate(points) if one.queries >= rows), end))
    found = []
    for place in sorted(places):
        gained = points[place].gained(subject)
        ends = (widened(gained, len(places)), raised(gained, len(places)))
        low, high = (float(np.clip(end, -1, 1)) for end in ends)
        both = Difference(estimate=gained.estimate, low=low, high=high)
        found.append(Read(points[place], both, len(places)))
    return max(found, key=lambda one: (one.gained.low, one.gained.estimate))


def share_of(hits: NDArray[np.bool_]) -> Interval:
    """Returns the share of people for whom something is so, with its exact interval."""
    return clopper_pearson(int(hits.sum()), len(hits))
