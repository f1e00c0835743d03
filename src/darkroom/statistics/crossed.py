"""Rates over all pairs of rows and columns, which are not independent trials."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta

from darkroom.statistics.intervals import Interval


def crossed_rate(
    hits: NDArray[np.bool_], groups: NDArray[np.int64], level: float = 0.95
) -> Interval:
    """Returns the share of pairs that are hits, with an interval for new rows and new columns.

    A stranger who is like one person is like others too, and a person who is like one stranger is
    like more: pairs are fewer than they seem. The number of independent pairs that would have as
    large a variance takes their place (Kish 1965), and the exact interval of so many follows
    (Korn & Graubard 1998). The variance is that of two-way clustering (Cameron, Gelbach & Miller
    2011): over groups of rows, plus over columns, less over pairs.

    Without a hit nothing is known of how pairs hang together: each group with each column counts.

    Args:
        hits: ``(rows, columns)``, one of each at least.
        groups: The group of each row, such as the person on a photo, ``(rows,)``.
        level: Of the interval.
    """
    rate, most = float(hits.mean()), float(hits.size)
    group = np.unique(groups, return_inverse=True)[1]
    pairs = float((group.max() + 1) * hits.shape[1])
    if 0 < rate < 1:
        away = hits - rate
        by_row = np.bincount(group, weights=away.sum(axis=1))
        cells = np.stack([np.bincount(group, weights=column) for column in away.T], axis=1)
        spread = (by_row**2).sum() + (away.sum(axis=0) ** 2).sum() - (cells**2).sum()
        variance = max(float(spread), float((cells**2).sum())) / most**2
        pairs = min(most, rate * (1 - rate) / max(variance, 1e-12))
    found, tail = rate * pairs, (1 - level) / 2
    low = float(beta.ppf(tail, found, pairs - found + 1)) if rate > 0 else 0.0
    high = float(beta.ppf(1 - tail, found + 1, pairs - found)) if rate < 1 else 1.0
    return Interval(rate, min(low, rate), max(high, rate))
