"""Some of the scores alone: the largest few, or the label."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from darkroom.access import Access
from darkroom.defenses.base import OutputDefense, Scores, largest, normalised
from darkroom.defenses.effects import Effect
from darkroom.errors import PlanError


@dataclass(frozen=True)
class TopK(OutputDefense):
    """Keeps the ``k`` largest probabilities of a row, divided by their sum; the others become 0.

    Of equal ones, the first classes are kept.

    Attributes:
        k: How many, 1 or more.
    """

    name: ClassVar[str] = "top-k"
    cost: ClassVar[str] = "a search for the largest, k times a row"

    k: int = 3

    def __post_init__(self) -> None:
        """Refuses to keep nothing.

        Raises:
            PlanError: If ``k`` is below 1.
        """
        if self.k < 1:
            raise PlanError(f"defence top-k: k must be 1 or more, got {self.k}")

    @property
    def effect(self) -> Effect:
        """See :attr:`OutputDefense.effect`."""
        return Effect(leaves=Access.TOP_K, kept=self.k)

    def __call__(self, scores: Scores, rng: np.random.Generator) -> Scores:  # noqa: ARG002
        """Keeps the largest; see :meth:`OutputDefense.__call__`."""
        kept = np.zeros_like(scores)
        chosen = largest(scores, self.k)
        np.put_along_axis(kept, chosen, np.take_along_axis(scores, chosen, axis=1), axis=1)
        return normalised(kept)


@dataclass(frozen=True)
class LabelOnly(OutputDefense):
    """Answers the winning class alone, as probability one; of equal ones, the first."""

    name: ClassVar[str] = "label-only"
    cost: ClassVar[str] = "one search for the largest a row"

    @property
    def effect(self) -> Effect:
        """See :attr:`OutputDefense.effect`."""
        return Effect(leaves=Access.LABEL)

    def __call__(self, scores: Scores, rng: np.random.Generator) -> Scores:  # noqa: ARG002
        """Keeps the label; see :meth:`OutputDefense.__call__`."""
        kept = np.zeros_like(scores)
        np.put_along_axis(kept, scores.argmax(axis=1)[:, None], 1.0, axis=1)
        return kept
