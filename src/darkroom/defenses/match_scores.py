"""Output defences of verifiers, which answer how alike two faces are. NumPy only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from darkroom.access import Access
from darkroom.defenses.base import OutputDefense, Scores
from darkroom.defenses.effects import Effect
from darkroom.defenses.noise import require_noise
from darkroom.errors import PlanError

MOST_DECIMALS = 12


class MatchDefense(OutputDefense):
    """Changes match scores, ``(n, 1)``, which are no probabilities and need not sum to one."""

    numbers: ClassVar[bool] = True


@dataclass(frozen=True)
class MatchRounding(MatchDefense):
    """Rounds every score.

    Attributes:
        decimals: That are left, 0 or more.
    """

    name: ClassVar[str] = "match-rounding"
    cost: ClassVar[str] = "a multiplication and a division a row"

    decimals: int = 2

    def __post_init__(self) -> None:
        """Refuses numbers of decimals that are none.

        Raises:
            PlanError: If there are fewer than 0, or more than a number has.
        """
        if not 0 <= self.decimals <= MOST_DECIMALS:
            raise PlanError(
                f"defence {self.name}: decimals must be 0 to {MOST_DECIMALS}, got {self.decimals}"
            )

    @property
    def effect(self) -> Effect:
        """See :attr:`OutputDefense.effect`."""
        return Effect(step=10.0**-self.decimals, decimals=self.decimals)

    def __call__(self, scores: Scores, rng: np.random.Generator) -> Scores:  # noqa: ARG002
        """Rounds; see :class:`MatchDefense`."""
        rounded: Scores = np.round(scores, self.decimals)
        return rounded


@dataclass(frozen=True)
class MatchNoise(MatchDefense):
    """Adds fresh Gaussian noise to every score.

    Attributes:
        deviation: The noise's standard deviation, 0 or more.
    """

    name: ClassVar[str] = "match-noise"
    cost: ClassVar[str] = "a draw a row"

    deviation: float = 0.05

    def __post_init__(self) -> None:
        """Refuses noise that cannot be drawn.

        Raises:
            PlanError: If the deviation is negative or no number.
        """
        require_noise(self.name, self.deviation, "gaussian")

    @property
    def effect(self) -> Effect:
        """See :attr:`OutputDefense.effect`."""
        return Effect(deterministic=self.deviation == 0, deviation=self.deviation)

    def __call__(self, scores: Scores, rng: np.random.Generator) -> Scores:
        """Adds noise; see :class:`MatchDefense`."""
        return scores + rng.normal(0.0, self.deviation, scores.shape)


@dataclass(frozen=True)
class DecisionOnly(MatchDefense):
    """Tells whether a photo is accepted, and no score."""

    name: ClassVar[str] = "decision-only"
    cost: ClassVar[str] = "nothing"

    @property
    def effect(self) -> Effect:
        """See :attr:`OutputDefense.effect`."""
        return Effect(leaves=Access.LABEL)

    def __call__(self, scores: Scores, rng: np.random.Generator) -> Scores:  # noqa: ARG002
        """Leaves scores to whoever compares them with the threshold, which comes last."""
        return scores
