"""Intervals of means of a few bounded values."""

from __future__ import annotations

from math import sqrt

import numpy as np
from numpy.typing import NDArray

from darkroom.statistics.intervals import Interval


def mean_interval(
    values: NDArray[np.float64], *, lowest: float, highest: float, level: float = 0.95
) -> Interval:
    """Returns Student's interval of a mean, each end with one value more than was seen.

    A few values that are all the same have no spread, which says little about the next one. So the
    lower end counts one more value at ``lowest``, and the upper end one at ``highest``, as Agresti
    and Coull (1998) do for rates.

    Args:
        values: ``(n,)``, at least one.
        lowest: What one more value may well be at least.
        highest: What it may be at most.
        level: The confidence, between 0 and 1.

    Raises:
        ValueError: If there are no values.

    >>> mean_interval(np.full(10, 3.0), lowest=0.0, highest=3.0).high
    3.0
    """
    if not len(values):
        raise ValueError("a mean of no values is unknown: give at least one")
    estimate = float(np.mean(values))
    below = _end(np.append(values, lowest), -1, level)
    above = _end(np.append(values, highest), 1, level)
    return Interval(estimate, min(below, estimate), max(above, estimate))


def _end(values: NDArray[np.float64], side: int, level: float) -> float:
    n = len(values)
    # Slow to import, and not needed before.
    from scipy.stats import t as student

    reach = float(student.ppf((1 + level) / 2, n - 1)) * float(values.std(ddof=1)) / sqrt(n)
    return float(values.mean()) + side * reach
