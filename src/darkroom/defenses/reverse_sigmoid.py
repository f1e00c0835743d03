"""Scores perturbed along the reverse of a sigmoid, so that small ones fall as they should rise."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, NamedTuple

import numpy as np

from darkroom.defenses.base import OutputDefense, Scores, blocks, normalised
from darkroom.defenses.effects import Effect
from darkroom.errors import PlanError

MISS = 1e-6
"""How far from one scores may add up in a case that fits."""

STEPS = 50
"""Halvings of the range in which a factor lies."""


@dataclass(frozen=True)
class ReverseSigmoid(OutputDefense):
    """The deceptive perturbation of Lee, Edwards, Molloy & Su 2019 against model stealing.

    Every probability ``y`` becomes, up to a common factor that makes rows sum to one,

        y - beta * (s(gamma * logit(y)) - 1/2),      s the logistic function,

    so a score answers to two inputs to the sigmoid, and small scores go up as they come down. For
    scores near zero the curve falls, and with many classes ``beta / 2`` is added to each of them:
    the winner can change, which the paper avoids by its choice of ``beta``.

    Differences from the paper: ``beta`` is at most 1, where nothing becomes negative.

    Attributes:
        beta: The size of the perturbation, 0 to 1; the paper's.
        gamma: How steep it is, above 0; the paper's.
    """

    name: ClassVar[str] = "reverse-sigmoid"
    cost: ClassVar[str] = "a logarithm, an exponential and three divisions a score"

    beta: float = 0.3
    gamma: float = 0.2

    def __post_init__(self) -> None:
        """Refuses what is no perturbation.

        Raises:
            PlanError: If ``beta`` is not 0 to 1 or ``gamma`` is not above 0.
        """
        if not 0 <= self.beta <= 1:
            raise PlanError(f"defence reverse-sigmoid: beta must be 0 to 1, got {self.beta}")
        if not 0 < self.gamma < np.inf:
            raise PlanError(f"defence reverse-sigmoid: gamma must be above 0, got {self.gamma}")

    @property
    def effect(self) -> Effect:
        """See :attr:`OutputDefense.effect`."""
        if self.gamma >= 1:
            # The curve then rises first, and :meth:`undone` is of no use.
            return replace(Effect.unknown(self.name), deterministic=True)
        return Effect(changes_label=self.beta > 0, curves=(self,))

    def __call__(self, scores: Scores, rng: np.random.Generator) -> Scores:  # noqa: ARG002
        """Perturbs; see :meth:`OutputDefense.__call__`."""
        answers = np.empty_like(scores)
        for rows in blocks(*scores.shape):
            answers[rows] = normalised(self.curve(scores[rows]))
        return answers

    def curve(self, scores: Scores) -> Scores:
        """Returns what becomes of probabilities before rows are made to sum to one.

        >>> ReverseSigmoid(0.5, 0.1).curve(np.array([[0.0, 0.5, 1.0]])).tolist()
        [[0.25, 0.5, 0.75]]
        """
        # Rows that sum to a hair over one must not give the logarithm of a negative number.
        inside = np.minimum(scores, 1.0)
        with np.errstate(divide="ignore", over="ignore"):
            logits = np.log(inside / (1 - inside))
            raised: Scores = 1 / (1 + np.exp(-self.gamma * logits))
        raised -= 0.5
        raised *= -self.beta
        raised += scores
        return np.maximum(raised, 0.0, out=raised)

    def undone(self, answers: Scores) -> Scores:
        """Returns the scores that most likely became these answers, ``(n, classes)``.

        With ``gamma`` below 1, the curve falls, rises and falls again, so an answer can have come
        from several scores. One above ``beta / 2`` came from the rise, and the others are taken to
        come from the first fall, since few of many classes have middling scores (with the defaults,
        0.013 to 0.15 is read as less); the winner's can have come from the rise or the last fall,
        and the factor that made the row sum to one is not known. For either case the factor is
        that with which the scores sum to one, and the case that comes nearest to it is taken.

        >>> bend = ReverseSigmoid()
        >>> scores = np.array([[0.9899, 0.0099999, 1e-4, 1e-7]])
        >>> bend.undone(bend(scores, np.random.default_rng(0))).round(4).tolist()
        [[0.9899, 0.01, 0.0001, 0.0]]
        """
        if self.beta == 0 or not len(answers):
            return answers.copy()
        curve = _Inverse.of(self)
        cases = [_solved(answers, curve, last=last) for last in (False, True)]
        rise, last = (np.abs(case.sum(axis=1) - 1) for case in cases)
        # A winner that is all but certain says the most about the others, and so comes first.
        certain = (last < MISS) | (last < rise)
        return normalised(np.where(certain[:, None], cases[1], cases[0]))


class _Inverse(NamedTuple):
    """The three pieces of the curve, turned round: raised scores in rising order, and scores.

    Attributes:
        fall: From zero to the lowest point.
        rise: From there to the highest point.
        last: From there to one.
    """

    fall: tuple[Scores, Scores]
    rise: tuple[Scores, Scores]
    last: tuple[Scores, Scores]

    @classmethod
    def of(cls, bend: ReverseSigmoid) -> _Inverse:
        """Tabulates a curve, closer where scores are smaller."""
        small = np.concatenate([[0.0], np.logspace(-40, np.log10(0.5), 4001)])
        raised = bend.curve(small[None])[0]
        turn = int(raised.argmin())
        # The curve is the same upside down, seen from one.
        top, top_raised = 1 - small[::-1], 1 - raised[::-1]
        back = len(small) - 1 - turn
        rising = np.concatenate([small[turn:], top[1 : back + 1]])
        raised_rising = np.concatenate([raised[turn:], top_raised[1 : back + 1]])
        return cls(
            (raised[turn::-1], small[turn::-1]),
            (raised_rising, rising),
            (top_raised[: back - 1 : -1], top[: back - 1 : -1]),
        )


def _solved(answers: Scores, curve: _Inverse, *, last: bool) -> Scores:
    """Returns scores for which the winner's is on the rise, or on the last fall."""
    rows = np.arange(len(answers))
    winners = answers.argmax(axis=1)
    best = answers[rows, winners]
    piece = curve.last if last else curve.rise

    def scores_for(factor: Scores) -> Scores:
        raised = answers * factor[:, None]
        ceiling = curve.fall[0][-1]
        scores = np.interp(raised, *curve.fall)
        if not last:
            scores = np.where(raised > ceiling, np.interp(raised, *curve.rise), scores)
        scores[rows, winners] = np.interp(best * factor, *piece)
        return scores

    # With a larger factor the winner on the rise has more, and on the last fall less.
    low, high = piece[0][0] / best, piece[0][-1] / best
    for _ in range(STEPS):
        middle = (low + high) / 2
        more = (scores_for(middle).sum(axis=1) < 1) != last
        low, high = np.where(more, middle, low), np.where(more, high, middle)
    return scores_for((low + high) / 2)
