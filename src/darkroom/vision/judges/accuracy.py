"""How good judges are on real photos that they never saw."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from darkroom.errors import DataError
from darkroom.statistics.intervals import Interval, clopper_pearson
from darkroom.vision.judges.base import Labels
from darkroom.vision.judges.images import Images
from darkroom.vision.judges.panel import Panel


class Rate(NamedTuple):
    """A rate with its counts.

    Attributes:
        hits: How many trials succeeded.
        trials: How many counted.
        attempts: How many were begun; those that never brought the target to the wanted
            confidence are not among the trials.
        interval: The exact 95% interval; ``None`` without a trial, when nothing is known.
    """

    hits: int
    trials: int
    attempts: int
    interval: Interval | None

    @classmethod
    def of(cls, success: NDArray[np.bool_], attempts: int | None = None) -> Rate:
        """Counts trials.

        Args:
            success: Whether each trial succeeded, ``(trials,)``.
            attempts: How many were begun; as many as trials unless told.
        """
        hits, trials = int(success.sum()), len(success)
        interval = clopper_pearson(hits, trials) if trials else None
        return cls(hits, trials, trials if attempts is None else attempts, interval)


class Accuracy(NamedTuple):
    """How often real photos are recognised.

    Attributes:
        panel: Plausible and named by the majority: what counts as a success of an attack.
        majority: Named by the majority, whatever the gate says.
        gate: Plausible.
        judges: Named by each judge, in the order of the panel's.
    """

    panel: Rate
    majority: Rate
    gate: Rate
    judges: tuple[Rate, ...]


def judge_accuracy(panel: Panel, photos: Images, people: Labels) -> Accuracy:
    """Measures the panel on real photos that it never saw.

    Args:
        panel: The judges.
        photos: Photos that none of the judges was trained on, such as the target's training
            photos, ``(n, channels, height, width)``.
        people: The person on each, ``(n,)``.

    Raises:
        DataError: If there is no photo, or if their shape is not the panel's.
    """
    require_photos(photos, people)
    judgement = panel.judge(photos)
    votes = judgement.votes(people)
    return Accuracy(
        Rate.of(judgement.names(people)),
        Rate.of(votes.sum(axis=1) >= 2),
        Rate.of(judgement.plausible),
        tuple(Rate.of(vote) for vote in votes.T),
    )


def require_photos(photos: Images, people: Labels) -> None:
    """Refuses no photos, and labels that are not one a photo.

    Raises:
        DataError: As above.
    """
    if not len(photos) or len(photos) != len(people):
        raise DataError(
            f"judges' test photos: {len(photos)} photos with {len(people)} labels: give at least "
            "one photo, and one label each"
        )
