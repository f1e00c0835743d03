"""What scores are behind noise that was cut off below zero and divided by the row's sum."""

from __future__ import annotations

import math
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from scipy import special

Rows = NDArray[np.float64]

SURELY = 3.0
"""A mean score of few answers is told from zero when it is above so many of its deviations."""

FEW = 8
"""Below so many answers, negative estimates of scores near zero are no good: see
:func:`without_bias`."""

PASSES = 3
"""The correction for dividing by a sum that varies depends on the scores, and settles in these."""

HALVINGS = 25


def without_bias(means: Rows, deviation: float, *, laplace: bool = False, repeats: int = 1) -> Rows:
    """Estimates the scores behind noise that was cut off below zero and divided by the sum.

    Cutting raises the mean of a score ``s`` to ``g(s) = E max(s + noise, 0)``. The division by the
    sum ``S`` of a row makes of it, to second order in the noise,

        E[score / S] = g / E[S] * (1 + var(S) / E[S]**2) - var(score) / E[S]**2,

    where ``E[S]`` is found by bisection as that for which the estimates add up to one. Estimates of
    scores near zero may be negative for that, along the tangent of ``g`` at zero: cut off there,
    they would add up to more than there is. Of less than :data:`FEW` answers the tangent is too
    far from the curve, and those that cannot be told from zero are left out of the sum instead.

    Args:
        means: Mean answers, ``(n, classes)``, rows summing to one.
        deviation: The noise's standard deviation, above 0.
        laplace: Whether the noise is Laplace's instead of Gaussian.
        repeats: Of how many answers each is the mean.

    Returns:
        The same shape, between zero and one; rows sum to about one.
    """
    curve = _Curve.of(deviation, laplace=laplace)
    least = SURELY * deviation / math.sqrt(repeats) if repeats < FEW else -np.inf
    total, scores = _estimated(means, np.zeros_like(means), curve, least)
    for _ in range(PASSES - 1):
        raised, spread = curve.at(scores)
        shift = raised * spread.sum(axis=1, keepdims=True) / total**2 - spread / total
        total, scores = _estimated(means, shift, curve, least)
    return scores.clip(0, 1)


def _estimated(means: Rows, shift: Rows, curve: _Curve, least: float) -> tuple[Rows, Rows]:
    """Returns sums ``(n, 1)`` for which estimates of at least ``least`` add up to one, and them."""
    low = np.ones((len(means), 1))
    high = np.full((len(means), 1), 1 + means.shape[1] * curve.raised[0] * 3)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        found = curve.score(means * middle - shift)
        less = np.where(found > least, found, 0.0).sum(axis=1, keepdims=True) < 1
        low, high = np.where(less, middle, low), np.where(less, high, middle)
    return high, curve.score(means * high - shift)


class _Curve(NamedTuple):
    """The mean and the variance of scores with noise after cutting off what is below zero.

    Attributes:
        scores: In rising order from zero, ``(m,)``.
        raised: The mean of each.
        spread: The variance of each.
    """

    scores: Rows
    raised: Rows
    spread: Rows

    @classmethod
    def of(cls, deviation: float, *, laplace: bool) -> Self:
        """Tabulates the moments."""
        scores = np.concatenate([np.linspace(0, 1, 2001), [2.0]])
        if laplace:
            scale = deviation / math.sqrt(2)
            tail = scale * np.exp(-scores / scale)
            raised = scores + tail / 2
            square = scores**2 + deviation**2 - scale * tail
        else:
            units = scores / deviation
            density = deviation * np.exp(-(units**2) / 2) / math.sqrt(2 * math.pi)
            inside = special.ndtr(units)
            raised = scores * inside + density
            square = (scores**2 + deviation**2) * inside + scores * density
        return cls(scores, raised, square - raised**2)

    def score(self, raised: Rows) -> Rows:
        """Returns the scores with these means; negative ones are on the tangent at zero."""
        # With either noise the curve's slope there is the chance to be above zero, one half.
        below = 2 * (raised - self.raised[0])
        return np.where(below < 0, below, np.interp(raised, self.raised, self.scores))

    def at(self, scores: Rows) -> tuple[Rows, Rows]:
        """Returns the means and variances of scores, those below zero taken as zero."""
        return np.interp(scores, self.scores, self.raised), np.interp(
            scores, self.scores, self.spread
        )
