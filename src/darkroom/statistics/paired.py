"""Comparing two methods on the same trials."""

from __future__ import annotations

from math import sqrt

from darkroom.statistics.intervals import Interval, wilson


def newcombe_paired(both: int, first: int, second: int, neither: int) -> Interval:
    """Returns the 95% interval of the rate of A less that of B, on the same trials.

    This is method 10 of Newcombe (1998), "Improved confidence intervals for the difference between
    binomial proportions based on paired data", Statistics in Medicine 17: Wilson's intervals
    joined with a correlation that is corrected for continuity.

    Args:
        both: Trials in which A and B succeeded.
        first: In which A alone did.
        second: In which B alone did.
        neither: In which neither did.

    Returns:
        The difference and its interval, all in [-1, 1].

    Raises:
        ValueError: If there was no trial.

    >>> newcombe_paired(1, 1, 7, 12).low.__round__(3)
    -0.507
    """
    n = both + first + second + neither
    a, b = wilson(both + first, n), wilson(both + second, n)
    difference = (first - second) / n
    product = (both + first) * (second + neither) * (both + second) * (first + neither)
    determinant = both * neither - first * second
    correlation = 0.0  # of nothing too: where the product is zero, so is the determinant
    if determinant > n / 2:
        correlation = (determinant - n / 2) / sqrt(product)
    elif determinant < 0:
        correlation = determinant / sqrt(product)

    def reach(one: float, other: float) -> float:
        return sqrt(max(0.0, one**2 - 2 * correlation * one * other + other**2))

    below = reach(a.estimate - a.low, b.high - b.estimate)
    above = reach(a.high - a.estimate, b.estimate - b.low)
    return Interval(difference, max(-1.0, difference - below), min(1.0, difference + above))


def sign_test(first: int, second: int) -> float:
    """Returns the exact one-sided p-value that A is right more often than B (McNemar 1947).

    Args:
        first: Trials in which A alone was right.
        second: In which B alone was.

    >>> sign_test(5, 0)
    0.03125
    """
    # It takes longer to import than all else of a report, which tests no signs.
    from scipy.stats import binom

    return float(binom.sf(first - 1, first + second, 0.5)) if first + second else 1.0
