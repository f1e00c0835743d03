"""Fresh Gaussian or Laplace noise on scores."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from darkroom.defenses.base import OutputDefense, Scores, blocks, normalised
from darkroom.defenses.effects import Effect
from darkroom.errors import PlanError


@dataclass(frozen=True)
class Noise(OutputDefense):
    """Adds fresh noise to every probability, cuts what falls below zero, divides by the sum.

    Attributes:
        deviation: The noise's standard deviation, 0 or more.
        kind: ``gaussian`` or ``laplace``.
    """

    name: ClassVar[str] = "noise"
    cost: ClassVar[str] = "one random draw a score"

    deviation: float = 0.05
    kind: str = "gaussian"

    def __post_init__(self) -> None:
        """Refuses noise that cannot be drawn.

        Raises:
            PlanError: If the deviation is negative or no number, or the kind is unknown.
        """
        require_noise(self.name, self.deviation, self.kind)

    @property
    def effect(self) -> Effect:
        """See :attr:`OutputDefense.effect`."""
        return Effect(
            deterministic=self.deviation == 0,
            changes_label=self.deviation > 0,
            deviation=self.deviation,
            laplace=self.deviation > 0 and self.kind == "laplace",
        )

    def __call__(self, scores: Scores, rng: np.random.Generator) -> Scores:
        """Adds noise; see :meth:`OutputDefense.__call__`."""
        answers = np.empty_like(scores)
        for rows in blocks(*scores.shape):
            part = scores[rows]
            if self.kind == "gaussian":
                drawn = rng.normal(0.0, self.deviation, part.shape)
            else:
                # The difference of two exponentials is Laplace's, and faster to draw.
                pair = rng.standard_exponential((len(part), 2, part.shape[1]))
                drawn = (pair[:, 0] - pair[:, 1]) * (self.deviation / np.sqrt(2))
            answers[rows] = with_noise(part, drawn)
        return answers


def require_noise(name: str, deviation: float, kind: str) -> None:
    """Refuses noise that cannot be drawn.

    Raises:
        PlanError: If the deviation is negative or no number, or the kind is unknown.
    """
    if not 0 <= deviation < np.inf:
        raise PlanError(f"defence {name}: deviation must be 0 or more, got {deviation}")
    if kind not in ("gaussian", "laplace"):
        raise PlanError(f"defence {name}: kind {kind!r} is not gaussian or laplace")


def with_noise(scores: Scores, drawn: Scores) -> Scores:
    """Returns scores with noise, cut off below zero and divided by the sum; ``drawn`` is used up.

    >>> with_noise(np.array([[0.5, 0.5]]), np.array([[0.5, -0.9]])).tolist()
    [[1.0, 0.0]]
    """
    drawn += scores
    np.maximum(drawn, 0.0, out=drawn)
    return normalised(drawn)
