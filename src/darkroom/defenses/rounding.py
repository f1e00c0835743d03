"""Scores rounded to decimals or to multiples of a step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from darkroom.defenses.base import OutputDefense, Scores, normalised
from darkroom.defenses.effects import Effect
from darkroom.errors import PlanError

FEW = 32
"""Classes up to which a single row is rounded without NumPy."""


@dataclass(frozen=True)
class Rounding(OutputDefense):
    """Rounds every probability to decimals or to multiples of a step, then divides by the sum.

    Where all of a row rounds to nothing, the row becomes uniform. Fredrikson et al. 2015 propose
    rounding and find that it stops their black-box attack only when coarse.

    Attributes:
        decimals: Digits after the point, 0 to 15.
        step: In place of decimals, what scores are rounded to multiples of, above 0 and at most 1.
    """

    name: ClassVar[str] = "rounding"
    cost: ClassVar[str] = "one rounding and one division a score"

    decimals: int = 2
    step: float | None = None

    def __post_init__(self) -> None:
        """Refuses fewer than no decimals or more than floats have, and steps that are none.

        Raises:
            PlanError: If ``decimals`` is not 0 to 15 or ``step`` is not above 0 and at most 1.
        """
        if not 0 <= self.decimals <= 15:
            raise PlanError(f"defence rounding: decimals must be 0 to 15, got {self.decimals}")
        if self.step is not None and not 0 < self.step <= 1:
            raise PlanError(
                f"defence rounding: step must be above 0 and at most 1, got {self.step}"
            )

    @property
    def width(self) -> float:
        """The distance between two neighbouring answers.

        >>> Rounding(2).width, Rounding(step=0.05).width
        (0.01, 0.05)
        """
        return 10.0**-self.decimals if self.step is None else self.step

    @property
    def effect(self) -> Effect:
        """See :attr:`OutputDefense.effect`."""
        return Effect(step=self.width, decimals=None if self.step else self.decimals)

    def __call__(self, scores: Scores, rng: np.random.Generator) -> Scores:  # noqa: ARG002
        """Rounds; see :meth:`OutputDefense.__call__`."""
        if len(scores) == 1 and scores.size <= FEW and self.step is None:
            return self._few(scores)
        # How many steps each score is, whose shares are those of the rounded scores.
        steps = scores * 10.0**self.decimals if self.step is None else scores / self.step
        return normalised(np.rint(steps, steps))

    def _few(self, scores: Scores) -> Scores:
        """Does the same to a row of few: for these NumPy takes longer to begin than to compute."""
        factor = 10.0**self.decimals
        (row,) = scores.tolist()
        steps = [round(one * factor) for one in row]  # halves to even, as NumPy rounds
        total = sum(steps)
        return np.array([[one / total for one in steps] if total else [1 / len(row)] * len(row)])
