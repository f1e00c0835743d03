"""When oddness that gathers becomes an alarm: charts of cumulative sums, fitted on real traffic."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from darkroom.guard.detector.streams import CHARTS, FEATURES, TAILS, WINDOW

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

QUANTILES = 1024
SURE = 0.95
"""How sure it is that a tail falls no more slowly than it is taken to."""

_LOW, _BOTH = (np.array([TAILS.get(name) == end for name in FEATURES]) for end in ("low", "both"))
"""Which features are odd where they are small, or at either end."""

_LEAST_DRIFT, _MARGIN = 1.25, 1.1
_TAIL = 20


class Charts(NamedTuple):
    """One kind of stream's normal behaviour and its limits.

    Attributes:
        tables: Quantiles of each feature in real traffic, ``(features, QUANTILES)``; NaN where a
            feature was never told.
        drift: Oddness a row that is taken for normal, ``(charts,)``.
        limits: The sum at which a chart alarms, ``(charts,)``; infinite where it never does.
    """

    tables: Floats
    drift: Floats
    limits: Floats

    @classmethod
    def together(cls, charts: Sequence[Charts]) -> Charts:
        """Returns the charts of several streams for :meth:`step`: one more dimension, the first."""
        return cls(*map(np.stack, zip(*charts, strict=True)))

    @classmethod
    def fit(cls, halves: tuple[Sequence[Floats], Sequence[Floats]], alarms: float) -> Charts:
        """Fits tables and limits on real traffic.

        Oddness of a feature is minus the logarithm of its tail probability among real rows, at one
        on average by construction. It gathers as Page's (1954) cumulative sum, less a drift that
        is above what the oddest real stream shows in the long run, since some clients are odd by
        nature. Maxima of a sum between two returns to zero have an exponential tail (Siegmund
        1985); fitted to the largest of them, it says which limit is exceeded as often as allowed.
        They are few, and those of one odd visitor come together, so that the tail is taken to fall
        as slowly as the upper end of an interval says.
        Drift and limits are those of each half of the traffic by the other half's tables, since
        rows are less odd by tables that hold themselves.

        Args:
            halves: Features of each stream's rows, ``(rows, features)``, in either half.
            alarms: How many may be exceeded in both together, of all charts.
        """
        odd: list[Floats] = []
        for tabled, scored in (halves, halves[::-1]):
            odd += [cls._normal(tabled).oddness(stream) for stream in scored]
        fitted = cls._normal([*halves[0], *halves[1]])
        places = range(len(CHARTS))
        fitted = fitted._replace(
            drift=np.array([_drift([one[:, place] for one in odd]) for place in places])
        )
        sums = [fitted.sums(np.zeros(len(CHARTS)), one) for one in odd]
        each = alarms / len(CHARTS)
        limits = [_limit([one[:, place] for one in sums], each) for place in places]
        return fitted._replace(limits=np.array(limits))

    @classmethod
    def _normal(cls, streams: Sequence[Floats]) -> Charts:
        """Returns tables of all rows, with charts that never alarm."""
        tables = np.full((len(FEATURES), QUANTILES), np.nan)
        rows = np.concatenate([*streams, np.empty((0, len(FEATURES)))])
        for place, column in enumerate(rows.T):
            told = column[np.isfinite(column)]
            if len(told):
                tables[place] = np.quantile(told, np.linspace(0, 1, QUANTILES), method="nearest")
        return cls(tables, np.zeros(len(CHARTS)), np.full(len(CHARTS), np.inf))

    def oddness(self, features: Floats) -> Floats:
        """Returns how odd each feature and their mean are, ``(rows, charts)``, NaN for unknown."""
        low, high = np.empty(features.shape), np.empty(features.shape)
        for place, (column, table) in enumerate(zip(features.T, self.tables, strict=True)):
            low[:, place] = table.searchsorted(column, "right")
            high[:, place] = QUANTILES - table.searchsorted(column, "left")
        return self._oddness(features, low, high)

    def _oddness(self, features: Floats, low: Floats, high: Floats) -> Floats:
        """Returns it of how many quantiles are no higher, and no lower, than each feature."""
        tail = np.where(_LOW, low, np.where(_BOTH, 1 + 2 * np.minimum(low, high), high))
        told = np.isfinite(features) & np.isfinite(self.tables[..., 0])
        each = np.where(told, np.log((QUANTILES + 1) / np.minimum(1 + tail, QUANTILES + 1)), 0.0)
        count = told.sum(axis=1, keepdims=True)
        mean = each.sum(axis=1, keepdims=True) / np.maximum(count, 1)
        odd: Floats = np.concatenate([each, mean], axis=1)
        odd[~np.concatenate([told, count > 0], axis=1)] = np.nan
        return odd

    def step(self, levels: Floats, before: Bools, features: Floats) -> tuple[Floats, Bools]:
        """Takes one row in each of several streams, with charts of their own.

        Args:
            levels: Of each stream, ``(streams, charts)``.
            before: Which charts were in an alarm, ``(streams, charts)``.
            features: Of the row in each, ``(streams, features)``.

        Returns:
            The sums after it, as :meth:`sums`, and who is in an alarm, as :meth:`alarmed`.
        """
        low = (self.tables <= features[..., None]).sum(axis=2, dtype=np.float64)
        high = (self.tables >= features[..., None]).sum(axis=2, dtype=np.float64)
        oddness = self._oddness(features, low, high)
        steps = np.where(np.isfinite(oddness), oddness - self.drift, 0.0)
        sums: Floats = np.maximum(levels + steps, 0.0)
        over, ended = sums >= self.limits, sums <= self.limits / 2
        return sums, np.where(over | ended, over, before)

    def sums(self, levels: Floats, oddness: Floats) -> Floats:
        """Returns the sums after each row, ``(rows, charts)``, which go on from ``levels``."""
        steps = np.where(np.isfinite(oddness), oddness - self.drift, 0.0)
        walk: Floats = levels + np.cumsum(steps, axis=0)
        below: Floats = np.minimum(np.minimum.accumulate(walk, axis=0), 0.0)
        return walk - below

    def alarmed(self, before: Bools, sums: Floats) -> Bools:
        """Returns which charts are in an alarm that has not ended after the last row.

        Args:
            before: Which were before the first, ``(charts,)``.
            sums: Of :meth:`sums`, one row at least.
        """
        over, ended = sums >= self.limits, sums <= self.limits / 2
        # What happened last decides; rows between the two limits change nothing.
        since_over = np.where(over.any(axis=0), over[::-1].argmax(axis=0), len(sums))
        since_end = np.where(ended.any(axis=0), ended[::-1].argmax(axis=0), len(sums))
        found: Bools = np.where(since_over == since_end, before, since_over < since_end)
        return found


def _drift(streams: list[Floats]) -> float:
    """Returns what a chart takes for normal: above the mean of every stream long enough to tell."""
    told = [one[np.isfinite(one)] for one in streams]
    means = [float(one.mean()) for one in told if len(one) >= WINDOW]
    return max(_LEAST_DRIFT, _MARGIN * max(means, default=0.0))


def _limit(streams: list[Floats], alarms: float) -> float:
    """Returns the limit that maxima of excursions exceed ``alarms`` times."""
    peaks = np.sort(np.concatenate([_peaks(one) for one in streams] or [np.empty(0)]))[::-1]
    if not len(peaks):
        return np.inf
    count = min(_TAIL, max(1, len(peaks) // 2))
    floor = peaks[min(count, len(peaks) - 1)]
    scale = max(float((peaks[:count] - floor).mean()), 0.1) * _widened(count)
    # Below the tail's own range nothing is known of it.
    return float(floor + scale * np.log(max(count / alarms, 1.0)))


def _widened(count: int) -> float:
    """Returns by how much the mean of some exponential values may be too small.

    Twice their sum over the true mean is chi-squared with two degrees of freedom each, of which
    this takes the lower quantile (Wilson & Hilferty 1931).

    Args:
        count: Of the values, 1 or more.

    Returns:
        The upper end of a one-sided :data:`SURE` interval of the mean, over the mean; above 1.
    """
    freedom = 2.0 * count
    spread = 2 / (9 * freedom)
    root = 1 - spread + NormalDist().inv_cdf(1 - SURE) * spread**0.5
    return float(1 / root**3)


def _peaks(sums: Floats) -> Floats:
    """Returns the largest value between each two returns to zero."""
    above = sums > 0
    starts = np.flatnonzero(above & ~np.concatenate([[False], above[:-1]]))
    return np.maximum.reduceat(sums, starts) if len(starts) else np.empty(0)
