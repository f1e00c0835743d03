"""Exact intervals for rates, and an interval for the difference of two rates."""

from __future__ import annotations

from math import sqrt
from typing import NamedTuple

from scipy.special import betaincinv, ndtri


class Interval(NamedTuple):
    """An estimate with a two-sided confidence interval.

    Attributes:
        estimate: The rate, or the difference of two rates.
        low: The lower end.
        high: The upper end.
    """

    estimate: float
    low: float
    high: float


def clopper_pearson(hits: int, n: int, level: float = 0.95) -> Interval:
    """Returns the exact interval of a rate (Clopper and Pearson 1934).

    Nothing found is an upper bound, never a zero: 0 of 30 gives [0, 0.116] at 95%. The bound of
    0.095 that is often quoted for 0 of 30 is the one-sided one, the end of the two-sided interval
    at 90%.

    Args:
        hits: How many trials succeeded.
        n: How many trials there were, at least one.
        level: The confidence, between 0 and 1.

    Returns:
        The rate and its interval, all in [0, 1].

    Raises:
        ValueError: If there was no trial, if there are more hits than trials or fewer than none,
            or if the level is not between 0 and 1.
    """
    _check(hits, n, level)
    tail = (1 - level) / 2
    # Quantiles of beta distributions; SciPy's binomtest searches for them, and does a test besides.
    low = float(betaincinv(hits, n - hits + 1, tail)) if hits else 0.0
    high = float(betaincinv(hits + 1, n - hits, 1 - tail)) if hits < n else 1.0
    return Interval(hits / n, low, high)


def newcombe(hits_a: int, n_a: int, hits_b: int, n_b: int, level: float = 0.95) -> Interval:
    """Returns the interval of the rate of A less that of B, from independent samples.

    This is method 10 of Newcombe (1998), "Interval estimation for the difference between
    independent proportions", without continuity correction. The paper's example, 56 of 70 against
    48 of 80, gives 0.2 with [0.0524, 0.3339].

    Args:
        hits_a: How many trials of A succeeded.
        n_a: How many trials of A there were, at least one.
        hits_b: How many trials of B succeeded.
        n_b: How many trials of B there were, at least one.
        level: The confidence, between 0 and 1.

    Returns:
        The difference and its interval, all in [-1, 1].

    Raises:
        ValueError: As for :func:`clopper_pearson`, for either sample.
    """
    a, b = wilson(hits_a, n_a, level), wilson(hits_b, n_b, level)
    found = difference_of(a, b)
    # Rounding may carry an end past what a difference can be by the last digit.
    return Interval(found.estimate, max(-1.0, found.low), min(1.0, found.high))


def difference_of(a: Interval, b: Interval) -> Interval:
    """Returns the interval of A less B, of independent estimates with intervals of their own.

    The method of variance estimates recovery (Zou & Donner 2008, Statistics in Medicine 27), of
    which Newcombe's is the case of two rates. Ends are within [-2, 2], as for two differences.
    """
    difference = a.estimate - b.estimate
    below = sqrt((a.estimate - a.low) ** 2 + (b.high - b.estimate) ** 2)
    above = sqrt((a.high - a.estimate) ** 2 + (b.estimate - b.low) ** 2)
    return Interval(difference, difference - below, difference + above)


def wilson(hits: int, n: int, level: float = 0.95) -> Interval:
    """Returns Wilson's score interval of a rate (1927); see :func:`clopper_pearson`."""
    _check(hits, n, level)
    z = float(ndtri((1 + level) / 2))
    centre = (hits + z**2 / 2) / (n + z**2)
    reach = z / (n + z**2) * sqrt(hits * (n - hits) / n + z**2 / 4)
    low = max(0.0, centre - reach) if hits else 0.0
    high = min(1.0, centre + reach) if hits < n else 1.0
    return Interval(hits / n, low, high)


def _check(hits: int, n: int, level: float) -> None:
    """Refuses counts that no experiment gives.

    Raises:
        ValueError: As in :func:`clopper_pearson`.
    """
    if n < 1:
        raise ValueError("a rate of no trials is unknown: give at least one trial")
    if not 0 <= hits <= n:
        raise ValueError(f"{hits} hits in {n} trials: give between 0 and {n} hits")
    if not 0 < level < 1:
        raise ValueError(f"confidence level {level}: give a number between 0 and 1, such as 0.95")
