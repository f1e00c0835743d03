"""Scores raised to a power, which is another temperature of their softmax."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from darkroom.defenses.base import OutputDefense, Scores, blocks, normalised
from darkroom.defenses.effects import Effect
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
    cost: ClassVar[str] = "a logarithm and an exponential a score"

    degree: float = 2.0

    def __post_init__(self) -> None:
        """Refuses what is no temperature.

        Raises:
            PlanError: If ``degree`` is not above 0.
        """
        if not 0 < self.degree < np.inf:
            raise PlanError(f"defence temperature: degree must be above 0, got {self.degree}")

    @property
    def effect(self) -> Effect:
        """See :attr:`OutputDefense.effect`."""
        return Effect(curves=(self,))

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
