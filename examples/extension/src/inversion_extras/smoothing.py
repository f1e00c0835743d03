"""Scores that are all drawn toward the same value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field

from darkroom.defenses.base import OutputDefense, Scores, normalised
from darkroom.defenses.effects import Effect


@dataclass(frozen=True)
class Smoothing(OutputDefense):
    """Mixes every answer with the one that knows nothing.

    Attributes:
        share: Of the even answer in each answer.
    """

    name: ClassVar[str] = "smoothing"

    share: Annotated[float, Field(ge=0, lt=1)] = 0.5

    @property
    def effect(self) -> Effect:
        """Says that whoever knows the share can undo it; without this, it would be unknown."""
        return Effect(curves=(self,))

    def __call__(self, scores: Scores, rng: np.random.Generator) -> Scores:  # noqa: ARG002
        """Mixes; see :meth:`OutputDefense.__call__`."""
        mixed: Scores = (1 - self.share) * scores + self.share / scores.shape[1]
        return mixed

    def undone(self, answers: Scores) -> Scores:
        """Returns the scores behind answers, ``(n, classes)``."""
        even = self.share / answers.shape[1]
        return normalised(np.maximum((answers - even) / (1 - self.share), 0.0))
