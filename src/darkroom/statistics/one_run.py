"""A lower bound on epsilon from canaries in one training run.

Steinke, Nasr and Jagielski 2023, "Privacy auditing with one (1) training run", and in the form for
f-DP, Mahloujifar, Melis and Chaudhuri 2024, "Auditing f-differential privacy in one run".

The auditor guesses that the canaries with the highest scores were in the training data. A training
that is (epsilon, delta)-private makes more than so many right guesses unlikely; the largest epsilon
that the guesses rule out is a lower bound.

**The bound holds if each canary was put into the training data by a fair coin of its own**, tossed
before training, and epsilon is that of adding or removing all that one coin decided: a canary that
stands in the data k times tests epsilon for k records together. Where a fixed number was put in
instead, the coins depend on one another, and the figures are estimates without that guarantee.

Differences from the papers: guesses are "in" alone, never "out", as in ``jax_privacy``'s
``CanaryScoreAuditor``; the number of guesses is chosen among all thresholds on the upper hull of
the curve of right against wrong guesses, with Bonferroni's correction for their number; the f-DP
form takes the trade-off of one Gaussian mechanism, as theirs does. The figures are those of
``jax_privacy``, but where it passes over a threshold because a smaller share of its guesses is
right than randomised response with the epsilon found so far would get. A Gaussian mechanism gets
fewer, so that such a threshold may rule out more. Here none is passed over.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import betaincinv, expit, log_ndtr, ndtr, ndtri
from scipy.stats import binom

Scores = NDArray[np.float64]

_TOLERANCE = 1e-6
"""To which epsilon is solved for."""

_Claim = Callable[[float, int, int, int, float, float], float]
"""Epsilon, canaries, guesses, right ones, significance, delta; positive if that is ruled out."""


class EpsilonBounds(NamedTuple):
    """What the guesses rule out.

    Attributes:
        pure: By the bound for (epsilon, delta)-privacy (Steinke et al.).
        gaussian: By that for the trade-off of a Gaussian mechanism (Mahloujifar et al.).
    """

    pure: float
    gaussian: float


class _Guesses(NamedTuple):
    """How many canaries score at least some thresholds.

    Attributes:
        right: Those in the training data, int64 ``(thresholds,)``.
        wrong: Those held out.
        thresholds: How many were looked at, among them one that no canary reaches.
    """

    right: NDArray[np.int64]
    wrong: NDArray[np.int64]
    thresholds: int


def epsilon_bounds(
    inside: Scores, outside: Scores, *, delta: float, level: float = 0.95
) -> EpsilonBounds:
    """Returns what epsilon is at least, by the scores of canaries.

    Args:
        inside: Of canaries in the training data, at least one; higher ones look more trained on.
        outside: Of canaries held out, at least one.
        delta: Of the privacy claimed, in (0, 1].
        level: The confidence, in (0, 1).

    Raises:
        ValueError: If there are no scores, they are not finite, or a number is out of its range.
    """
    if not len(inside) or not len(outside) or not np.isfinite([*inside, *outside]).all():
        raise ValueError("epsilon: give finite scores of canaries in the data and held out")
    if not 0 < delta <= 1 or not 0 < level < 1:
        raise ValueError(f"epsilon: delta {delta:g} and level {level:g}: give both in (0, 1)")
    guesses = _guesses(inside, outside)
    total, significance = len(inside) + len(outside), (1 - level) / guesses.thresholds
    return EpsilonBounds(
        _best(guesses, total, significance, delta, _by_counts),
        _best(guesses, total, significance, delta, _by_gaussian),
    )


def _guesses(inside: Scores, outside: Scores) -> _Guesses:
    """Counts right and wrong guesses at every threshold that no mixture of two others beats."""
    thresholds = np.concatenate([np.union1d(inside, outside), [np.inf]])
    missed = np.searchsorted(np.sort(inside), thresholds, side="left")
    spared = np.searchsorted(np.sort(outside), thresholds, side="left")
    kept = _hull(np.stack([missed, spared], axis=1))
    right, wrong = len(inside) - missed[kept], len(outside) - spared[kept]
    return _Guesses(right, wrong, len(kept))


def _hull(points: NDArray[np.int64]) -> NDArray[np.intp]:
    """Returns the places of the points on the upper hull of a rising curve, ``(n, 2)``."""
    kept = np.arange(len(points))
    while len(kept) > 2:
        steps = np.diff(points[kept], axis=0)
        turns = steps[:-1, 1] * steps[1:, 0] - steps[1:, 1] * steps[:-1, 0]
        onward = np.concatenate([[True], turns > 0, [True]])
        if onward.all():
            break
        kept = kept[onward]
    return kept


def _best(guesses: _Guesses, total: int, significance: float, delta: float, claim: _Claim) -> float:
    """Returns the largest epsilon that any number of guesses rules out; 0 if none does."""
    made = guesses.right + guesses.wrong
    # The most promising first, so that most others need one look.
    with np.errstate(invalid="ignore"):
        worst = np.where(
            guesses.right > 0,
            betaincinv(guesses.wrong + 1, np.maximum(guesses.right, 1), 1 - significance),
            1.0,
        )
    best = 0.0
    for place in np.argsort(worst):
        n, right = int(made[place]), int(guesses.right[place])
        best = _largest(best, lambda eps: claim(eps, total, n, right, significance, delta))  # noqa: B023
    return best


def _largest(least: float, ruled_out: Callable[[float], float]) -> float:
    """Returns the largest epsilon that is ruled out, or ``least`` if that is not."""
    if ruled_out(least) <= 0:
        return least
    low, high = least, max(1.0, 2 * least)
    while ruled_out(high) > 0:
        low, high = high, 2 * high
    return float(brentq(ruled_out, low, high, xtol=_TOLERANCE))


def _by_counts(
    epsilon: float, total: int, made: int, right: int, significance: float, delta: float
) -> float:
    """Compares the chance of so many right guesses with what is allowed; Steinke et al., sec. 5."""
    chance = expit(epsilon)
    tail = float(binom.sf(right - 1, made, chance))
    fewer = np.arange(1, right + 1)
    gains = (binom.sf(right - fewer - 1, made, chance) - tail) / fewer
    return significance - min(tail + float(gains.max(initial=0.0)) * delta * 2 * total, 1.0)


def _by_gaussian(
    epsilon: float, total: int, made: int, right: int, significance: float, delta: float
) -> float:
    """Follows the recursion over right guesses; Mahloujifar et al., algorithm 3."""
    distance = _gaussian_distance(epsilon, delta)
    inside, outside = significance * right / total, significance * (made - right) / total
    for count in range(right - 1, -1, -1):
        further = max(outside, float(ndtr(ndtri(inside) - distance)))
        if further == outside:
            break
        inside = min(inside + count / (made - count) * (further - outside), 1.0)
        outside = further
    return inside + outside - made / total


def _gaussian_distance(epsilon: float, delta: float) -> float:
    """Returns how many deviations apart a Gaussian mechanism of this epsilon and delta may be.

    Balle and Wang 2018, theorem 8, which is exact.
    """

    def excess(distance: float) -> float:
        apart = -epsilon / distance
        first = log_ndtr(distance / 2 + apart)
        second = epsilon + log_ndtr(-distance / 2 + apart)
        return float(np.exp(first) - np.exp(second)) - delta

    low = high = 1.0
    while excess(high) < 0:
        low, high = high, 2 * high
    while excess(low) > 0:
        low /= 2
    return low if low == high else float(brentq(excess, low, high, xtol=1e-14, rtol=1e-14))
