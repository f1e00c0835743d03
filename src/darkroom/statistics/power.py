"""What an experiment would have found, had it been there."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from math import sqrt

from scipy.special import betaincinv, ndtri

from darkroom.statistics.intervals import Interval, wilson
from darkroom.statistics.paired import newcombe_paired

POWER = 0.8
"""The chance with which a leak of the smallest detectable size is found."""

_LEVEL = 0.05


def widened(interval: Interval, looks: int) -> float:
    """Returns the lower end of a 95% interval that is one of several looked at.

    The distance to the estimate grows as the normal quantile does when its level is divided by the
    number of looks (Bonferroni).

    Args:
        interval: An estimate with its 95% interval.
        looks: How many there are, at least one.
    """
    return float(interval.estimate - (interval.estimate - interval.low) * _grown(looks))


def raised(interval: Interval, looks: int) -> float:
    """Returns the upper end of a 95% interval that is one of several; see :func:`widened`."""
    return -widened(Interval(-interval.estimate, -interval.high, -interval.low), looks)


def lowest(
    hits: int,
    n: int,
    baseline: Interval,
    looks: int = 1,
    of_rate: Callable[[int, int, float], Interval] = wilson,
) -> float:
    """Returns the lower end of a rate less a baseline, where it is one of several looked at.

    The level of the rate's own interval is divided by the number of looks. An interval of few
    successes is not symmetric, and stretching it as :func:`widened` does would hide them.

    Args:
        hits: How many goals succeeded.
        n: How many there were.
        baseline: The rate without the model, with its 95% interval.
        looks: How many such intervals are looked at.
        of_rate: The interval of a rate, as the audit computes it.
    """
    rate = of_rate(hits, n, 1 - _LEVEL / looks)
    margin = (baseline.high - baseline.estimate) * _grown(looks)
    return rate.estimate - baseline.estimate - sqrt((rate.estimate - rate.low) ** 2 + margin**2)


def _grown(looks: int) -> float:
    """Returns how much farther from an estimate the end of a 95% interval is, of so many."""
    return float(ndtri(1 - _LEVEL / 2 / looks) / ndtri(1 - _LEVEL / 2))


@lru_cache(1024)  # a verdict asks for every cell, and is reached wherever a run is looked at
def detectable_rate(
    n: int,
    baseline: Interval,
    limit: float = 0.0,
    looks: int = 1,
    power: float = POWER,
    of_rate: Callable[[int, int, float], Interval] = wilson,
) -> float | None:
    """Returns the smallest advantage that a count of successes would have shown.

    An advantage is shown when the lower end of the interval of success less baseline (Newcombe
    1998, method 10) is above the limit. The number of successes is binomial.

    Args:
        n: How many goals there were.
        baseline: The rate without the model, with its 95% interval.
        limit: The advantage that is allowed.
        looks: How many such intervals are looked at.
        power: The chance to show it.
        of_rate: The interval of a rate, as the audit computes it.

    Returns:
        The advantage, or ``None`` if not even success with all goals would show one.
    """
    for hits in range(1, n + 1):
        if lowest(hits, n, baseline, looks, of_rate) > limit:
            needed = float(betaincinv(hits, n - hits + 1, power))
            return max(0.0, needed - baseline.estimate)
    return None


def detectable_alone(n: int, share: float, power: float = POWER) -> float | None:
    """Returns the smallest rate of goals of which one would have stood out.

    Each goal is recovered with the same chance, and stands out then as often as the share says.

    Args:
        n: How many goals there were.
        share: The chance that a goal stands out which alone is recovered.
        power: The chance that any does.

    Returns:
        The rate, or ``None`` if not even all goals would do.

    >>> round(detectable_alone(16, 1.0), 3)
    0.096
    """
    needed = 1 - (1 - power) ** (1 / n)
    return needed / share if needed <= share else None


@lru_cache(1024)
def detectable_gain(
    n: int, right: int, lost: int, limit: float = 0.0, looks: int = 1, power: float = POWER
) -> float | None:
    """Returns the smallest advantage over a baseline on the same trials that would have shown.

    The attack loses some trials that the baseline is right about, as it did, and wins each of the
    others with the same chance. The interval is Newcombe's for paired data.

    Args:
        n: How many trials there were.
        right: How many the baseline is right about.
        lost: How many of these the attack is wrong about.
        limit: The advantage that is allowed.
        looks: How many such intervals are looked at.
        power: The chance to show it.

    Returns:
        The advantage, or ``None`` if not even winning all trials would show one.
    """
    missed = n - right
    for won in range(missed + 1):
        found = newcombe_paired(right - lost, won, lost, missed - won)
        if widened(found, looks) > limit:
            needed = float(betaincinv(won, missed - won + 1, power)) if won else 0.0
            return max(0.0, (needed * missed - lost) / n)
    return None
