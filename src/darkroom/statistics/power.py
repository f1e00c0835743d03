"""What an experiment would have found, had it been there."""

from __future__ import annotations

from math import sqrt

from scipy.stats import beta, norm

from darkroom.statistics.intervals import Interval, wilson

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
    grown = norm.ppf(1 - _LEVEL / 2 / looks) / norm.ppf(1 - _LEVEL / 2)
    return float(interval.estimate - (interval.estimate - interval.low) * grown)


def detectable_rate(
    n: int, baseline: Interval, limit: float = 0.0, looks: int = 1, power: float = POWER
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

    Returns:
        The advantage, or ``None`` if not even success with all goals would show one.
    """
    margin = baseline.high - baseline.estimate
    for hits in range(n + 1):
        rate = wilson(hits, n, 1 - _LEVEL / looks)
        low = rate.estimate - baseline.estimate
        low -= sqrt((rate.estimate - rate.low) ** 2 + margin**2)
        if low > limit:
            needed = float(beta.ppf(power, hits, n - hits + 1))
            return max(0.0, needed - baseline.estimate)
    return None


def detectable_mean(interval: Interval, limit: float = 0.0, looks: int = 1) -> float:
    """Returns the smallest mean that an interval as wide as this one would have shown.

    Args:
        interval: An estimate with its 95% interval, of many goals.
        limit: What is allowed.
        looks: How many such intervals are looked at.
    """
    error = (interval.estimate - interval.low) / norm.ppf(1 - _LEVEL / 2)
    return float(limit + (norm.ppf(1 - _LEVEL / 2 / looks) + norm.ppf(POWER)) * error)
