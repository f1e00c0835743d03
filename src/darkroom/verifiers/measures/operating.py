"""The operating point: from which score on a verifier accepts, and whom it accepts wrongly."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from darkroom.errors import DataError
from darkroom.statistics.crossed import crossed_rate
from darkroom.statistics.intervals import Interval, clopper_pearson
from darkroom.verifiers.targets.base import Floats, Labels


class OperatingPoint(NamedTuple):
    """From which score on a verifier accepts.

    Attributes:
        threshold: The score.
        wanted: The false-accept rate that it was chosen for; ``None`` where it was given.
        false_accepts: How often strangers are accepted, over all strangers and people.
        false_rejects: How often other photos of the people enrolled are refused; ``None`` without
            any.
        strangers: How many strangers that is known from.
        pairs: How many pairs of a stranger's photo and a person.
        genuine: How many other photos of the people.
    """

    threshold: float
    wanted: float | None
    false_accepts: Interval
    false_rejects: Interval | None
    strangers: int
    pairs: int
    genuine: int

    def dictionary(self, queries: int) -> Interval:
        """Returns how often one of so many strangers is accepted: 1 - (1 - rate) ** queries.

        That is what an attacker gets who submits strangers and learns nothing. It takes everybody
        to be as easy to impersonate as the average; with people who differ it would be less, so
        the baseline is rather too high than too low.

        Args:
            queries: How many strangers are submitted for each person.
        """
        return Interval(*(one_of(rate, queries) for rate in self.false_accepts))

    def rows_for(self, share: float) -> int:
        """Returns how many strangers open so large a share of people; never none.

        Args:
            share: Between 0 and 1.
        """
        rate = min(self.false_accepts.estimate, 0.5)
        return 2**31 if rate <= 0 else max(1, round(float(np.log1p(-share) / np.log1p(-rate))))


def one_of(rate: float, queries: int) -> float:
    """Returns the chance of one hit or more in so many tries.

    >>> round(one_of(0.001, 300), 3), one_of(0.5, 0)
    (0.259, 0.0)
    """
    if rate >= 1:
        return float(queries > 0)
    return float(-np.expm1(queries * np.log1p(-rate)))


def threshold_at(scores: Floats, rate: float) -> float:
    """Returns the lowest score above all but the share ``rate`` of impostors' scores.

    Args:
        scores: Of pairs that do not belong together, any shape.
        rate: Between 0 and 1.

    Raises:
        DataError: If there are too few scores to tell that rate.
    """
    ordered = np.sort(scores, axis=None)[::-1]
    accepted = int(rate * len(ordered))
    if accepted < 1:
        raise DataError(
            f"a false-accept rate of {rate:g} cannot be set from {len(ordered)} pairs of a "
            f"stranger and a person: give more strangers, or a rate of "
            f"{1 / len(ordered):.2g} or more"
        )
    # Between the last score that is accepted and the first that is not.
    last, after = ordered[accepted - 1], ordered[min(accepted, len(ordered) - 1)]
    if not np.isfinite(last):
        raise DataError(
            f"a false-accept rate of {rate:g} cannot be set: a face is found in too few photos of "
            "strangers"
        )
    return float((last + after) / 2) if np.isfinite(after) else float(last)


def operating_point(
    impostors: Floats,
    groups: Labels,
    genuine: Floats,
    *,
    threshold: float | None,
    rate: float | None,
) -> OperatingPoint:
    """Finds the operating point, or measures one that is given.

    Args:
        impostors: Scores of strangers' photos for everybody, ``(photos, people)``.
        groups: The stranger on each photo, ``(photos,)``.
        genuine: Scores of other photos of the people for themselves; may be none.
        threshold: The score, where it is given.
        rate: The false-accept rate wanted where it is not.

    Raises:
        DataError: If there are too few strangers for that rate.
    """
    chosen = threshold_at(impostors, rate or 0.0) if threshold is None else threshold
    accepted: NDArray[np.bool_] = impostors >= chosen
    refused = int((genuine < chosen).sum())
    return OperatingPoint(
        threshold=chosen,
        wanted=rate if threshold is None else None,
        false_accepts=crossed_rate(accepted, groups),
        false_rejects=clopper_pearson(refused, len(genuine)) if len(genuine) else None,
        strangers=len(np.unique(groups)),
        pairs=impostors.size,
        genuine=len(genuine),
    )
