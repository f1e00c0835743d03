"""Scores that are too small to matter are not told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field

from darkroom.defenses.base import OutputDefense, Scores, normalised


@dataclass(frozen=True)
class Floor(OutputDefense):
    """Tells scores below a floor as zero; the winner is always told.

    Attributes:
        least: The smallest score that is told.
    """

    name: ClassVar[str] = "floor"
    deterministic: ClassVar[bool] = True
    changes_label: ClassVar[bool] = False

    least: Annotated[float, Field(ge=0, le=1)] = 0.05

    def __call__(self, scores: Scores, rng: np.random.Generator) -> Scores:  # noqa: ARG002
        """Hides what is small; see :meth:`OutputDefense.__call__`."""
        if not scores.size:
            return scores
        told = scores >= np.minimum(self.least, scores.max(axis=1, keepdims=True))
        return normalised(np.where(told, scores, 0.0))
