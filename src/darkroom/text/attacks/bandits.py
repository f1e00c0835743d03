"""Finding the best of many candidates from random answers, with an error rate that holds.

Two settings. In the first, asking about a candidate returns its surprise with noise, and the least
surprising is wanted (best-arm identification). In the second, asking returns one candidate drawn at
random, and the most frequent is wanted (mode estimation). In both, the bounds hold at every number
of queries at once, so one may look after each and stop when the answer is sure.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaln

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Pull = Callable[[Integers], Floats]
"""Asks about candidates, by position; returns a noisy surprise for each."""


_LEADER = 16
"""How much more often the candidate that leads is asked about, where there are as many others."""


class Choice(NamedTuple):
    """What was found.

    Attributes:
        best: The position of the candidate with the least mean surprise.
        certain: Whether it is the best with the confidence asked for.
        pulls: How often each candidate was asked about, ``(candidates,)``.
        means: The mean surprise of each.
    """

    best: int
    certain: bool
    pulls: Integers
    means: Floats


def successive_elimination(
    pull: Pull,
    candidates: int,
    deviation: float,
    *,
    confidence: float = 0.95,
    budget: int,
    dropping: bool = True,
) -> Choice:
    """Finds the least surprising candidate, asking no longer about those surely worse.

    Even-Dar et al. 2006, "Action elimination and stopping conditions". Differences: the radius is
    that of Robbins' normal mixture, which holds at all times at once; noise is Gaussian with a
    known deviation; and the candidate that leads is asked about more often than the others, so that
    these need not wait for it (as in top-two sampling, Russo 2016).

    Args:
        pull: Asks.
        candidates: How many there are.
        deviation: The noise's standard deviation.
        confidence: That the answer is right, where it is called certain.
        budget: The most to ask.
        dropping: Whether candidates that cannot win are asked no more; all alike, the baseline,
            is for comparisons.
    """
    sums, pulls = np.zeros(candidates), np.zeros(candidates, np.int64)
    alive = np.arange(candidates)
    standing = np.ones(candidates, bool)
    while True:
        wanted = alive
        if dropping and pulls.any():
            leader = alive[(sums[alive] / pulls[alive]).argmin()]
            wanted = np.concatenate([alive, np.repeat(leader, min(_LEADER, len(alive)))])
        asked = wanted[: max(0, budget - int(pulls.sum()))]
        if not len(asked):
            break
        np.add.at(sums, asked, pull(asked))
        np.add.at(pulls, asked, 1)
        if len(asked) < len(wanted):
            break
        means = sums / pulls
        radius = radii(pulls, deviation, (1 - confidence) / candidates)
        least = (means + radius)[standing].min()
        standing &= means - radius <= least
        if standing.sum() <= 1 or deviation == 0:
            break
        if dropping:
            alive = np.flatnonzero(standing)
    known = pulls > 0
    means = np.where(known, sums / np.maximum(pulls, 1), np.inf)
    best = int(np.where(standing, means, np.inf).argmin())
    certain = bool(standing.sum() == 1 or (deviation == 0 and known.all()))
    return Choice(best, certain, pulls, means)


def radii(pulls: Integers, deviation: float, error: float) -> Floats:
    """Returns how far a mean of Gaussian draws is from the truth at most, at all times at once.

    Robbins 1970: with probability ``1 - error`` no partial sum of ``t`` draws ever leaves
    plus or minus ``deviation * sqrt((t + 1)(2 ln(1/error) + ln(t + 1)))``.

    Args:
        pulls: How many draws each mean is of, ``(n,)``.
        deviation: Of one draw.
        error: The probability of ever being wrong, for one mean.
    """
    t = np.maximum(pulls, 1).astype(np.float64)
    inside = (t + 1) * (2 * math.log(1 / error) + np.log(t + 1))
    return np.where(pulls > 0, deviation * np.sqrt(inside) / t, np.inf)


def mode_is_certain(counts: Mapping[str, int], categories: int, confidence: float = 0.95) -> bool:
    """Tells whether the most frequent of the draws so far is surely the most likely.

    Jain et al. 2022, "PAC Mode Estimation using PPR Martingale Confidence Sequences" (PPR-1v1):
    the leader is tested against each rival as a coin that shows one of the two; with a uniform
    prior, the coin's being fair is given up once the ratio of prior to posterior at one half
    reaches the number of rivals over the error. The test holds after every draw at once.

    Args:
        counts: How often each value was drawn; values never drawn may be left out.
        categories: How many values there are at most.
        confidence: That the answer is right.
    """
    if not counts:
        return False
    first, *others = sorted(counts.values(), reverse=True)
    second = others[0] if others else 0
    if categories < 2:
        return True
    # A rival that was never drawn is easier to beat than the second, so the second decides.
    threshold = math.log((categories - 1) / (1 - confidence))
    return _log_ratio(first, second) >= threshold


def _log_ratio(hits: int, misses: int) -> float:
    """Returns the logarithm of prior over posterior of a fair coin, with a uniform prior."""
    posterior = -math.log(2) * (hits + misses) - betaln(hits + 1, misses + 1)
    return float(-posterior) if hits > misses else 0.0
