"""Intervals when the same rows recur in many splits of one table."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from darkroom.statistics.intervals import Interval


def pigeonhole(
    counts: NDArray[np.float64],
    statistic: Callable[[NDArray[np.float64]], NDArray[np.float64]],
    *,
    rng: np.random.Generator,
    draws: int = 2000,
    level: float = 0.95,
) -> Interval:
    """Returns a statistic of pooled counts with an interval over rows and over splits.

    Rows and splits are drawn anew, each with replacement, and every count weighs as often as both
    its row and its split were drawn: the pigeonhole bootstrap (Owen 2007, Annals of Applied
    Statistics 1), which covers what is due to rows, to splits (so to training), and to both, and
    errs on the wide side.

    Args:
        counts: What each row adds in each split, ``(splits, rows, cells)``; zeros where a row does
            not take part, such as a row that is no member in that split.
        statistic: Maps pooled counts ``(draws, cells)`` to values ``(draws,)``.
        rng: For the draws.
        draws: How many.
        level: The confidence.
    """
    splits, rows, cells = counts.shape
    estimate = float(statistic(counts.sum(axis=(0, 1))[None])[0])
    by_row = counts.transpose(1, 0, 2).reshape(rows, splits * cells)
    values = np.empty(draws)
    step = max(1, (1 << 24) // max(rows, splits * cells))
    for start in range(0, draws, step):
        size = min(step, draws - start)
        drawn_rows = rng.multinomial(rows, np.full(rows, 1 / rows), size=size)
        drawn_splits = rng.multinomial(splits, np.full(splits, 1 / splits), size=size)
        pooled = (drawn_rows.astype(np.float64) @ by_row).reshape(size, splits, cells)
        values[start : start + size] = statistic(
            np.einsum("ds,dsc->dc", drawn_splits.astype(np.float64), pooled)
        )
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return Interval(estimate, min(estimate, float(low)), max(estimate, float(high)))
