"""Output defences of models that predict a number, such as a dose. NumPy only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from darkroom.access import Access
from darkroom.defenses.base import OutputDefense, Scores
from darkroom.defenses.effects import Effect
from darkroom.defenses.noise import require_noise
from darkroom.errors import PlanError


class ValueDefense(OutputDefense):
    """Changes predicted numbers, ``(n, 1)``, which are no probabilities and need not sum to one."""

    numbers: ClassVar[bool] = True


@dataclass(frozen=True)
class ValueRounding(ValueDefense):
    """Rounds every prediction to the nearest multiple of a step.

    A patient needs a dose in tablets, not in microgrammes: Fredrikson et al. 2014 and 2015 name
    rounding as the first thing to try.

    Attributes:
        step: In the units of the response, above 0.
    """

    name: ClassVar[str] = "value-rounding"
    cost: ClassVar[str] = "a division and a multiplication a row"

    step: float = 1.0

    def __post_init__(self) -> None:
        """Refuses steps that are none.

        Raises:
            PlanError: If the step is not above 0.
        """
        if not 0 < self.step < np.inf:
            raise PlanError(f"defence {self.name}: step must be above 0, got {self.step}")

    @property
    def effect(self) -> Effect:
        """See :attr:`OutputDefense.effect`."""
        return Effect(leaves=Access.LABEL, step=self.step)

    def __call__(self, scores: Scores, rng: np.random.Generator) -> Scores:  # noqa: ARG002
        """Rounds; see :class:`ValueDefense`."""
        rounded: Scores = np.round(scores / self.step) * self.step
        return rounded


@dataclass(frozen=True)
class ValueNoise(ValueDefense):
    """Adds fresh Gaussian noise to every prediction.

    Attributes:
        deviation: The noise's standard deviation in the units of the response, 0 or more.
    """

    name: ClassVar[str] = "value-noise"
    cost: ClassVar[str] = "a draw a row"

    deviation: float = 1.0

    def __post_init__(self) -> None:
        """Refuses noise that cannot be drawn.

        Raises:
            PlanError: If the deviation is negative or no number.
        """
        require_noise(self.name, self.deviation, "gaussian")

    @property
    def effect(self) -> Effect:
        """See :attr:`OutputDefense.effect`."""
        return Effect(
            deterministic=self.deviation == 0,
            leaves=Access.LABEL,
            deviation=self.deviation,
        )

    def __call__(self, scores: Scores, rng: np.random.Generator) -> Scores:
        """Adds noise; see :class:`ValueDefense`."""
        return scores + rng.normal(0.0, self.deviation, scores.shape)
