"""Output defences that bend scores along a known curve: temperature and reverse sigmoid."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from darkroom.defenses.base import OutputDefense, Scores, blocks, normalised
from darkroom.errors import PlanError


@dataclass(frozen=True)
class Temperature(OutputDefense):
    """Raises every probability to the power ``1 / degree`` and divides by the sum.

    That is the softmax of the logits divided by ``degree``: above 1 answers are flatter, below 1
    sharper. Whoever knows the degree undoes it (:meth:`undone`) but for rounding errors, so
    against an attacker it hides nothing; it is here because calibration uses it (Guo et al. 2017),
    and to show that.

    Attributes:
        degree: The temperature, above 0.
    """

    name: ClassVar[str] = "temperature"
    deterministic: ClassVar[bool] = True
    changes_label: ClassVar[bool] = False
    cost: ClassVar[str] = "a logarithm and an exponential a score"

    degree: float = 2.0

    def __post_init__(self) -> None:
        """Refuses what is no temperature.

        Raises:
            PlanError: If ``degree`` is not above 0.
        """
        if not 0 < self.degree < np.inf:
            raise PlanError(f"defence temperature: degree must be above 0, got {self.degree}")

    def __call__(self, scores: Scores, rng: np.random.Generator) -> Scores:  # noqa: ARG002
        """Raises to the power; see :meth:`OutputDefense.__call__`."""
        return _powered(scores, 1 / self.degree)

    def undone(self, answers: Scores) -> Scores:
        """Returns the scores behind answers, ``(n, classes)``; what underflowed stays 0.

        >>> cool = Temperature(3.0)
        >>> answers = cool(np.array([[0.7, 0.2, 0.1]]), np.random.default_rng(0))
        >>> cool.undone(answers).round(9).tolist()
        [[0.7, 0.2, 0.1]]
        """
        return _powered(answers, self.degree)


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
    deterministic: ClassVar[bool] = True
    changes_label: ClassVar[bool] = True
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


def _powered(scores: Scores, power: float) -> Scores:
    answers = np.empty_like(scores)
    with np.errstate(divide="ignore"):
        for rows in blocks(*scores.shape):
            logs = np.log(scores[rows])
            # The winner becomes one before the sum, so that no row underflows as a whole.
            logs -= logs.max(axis=1, keepdims=True)
            logs *= power
            answers[rows] = normalised(np.exp(logs, out=logs))
    return answers
