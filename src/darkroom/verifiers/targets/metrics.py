"""How templates are compared, and what the owner's units are."""

from __future__ import annotations

from enum import StrEnum

import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

Floats = NDArray[np.float64]

NO_FACE = -np.inf
"""The score of a photo without a face, which no threshold accepts."""


class Metric(StrEnum):
    """How two templates are compared.

    Scores are higher for what is more alike: the cosine, or the negative of the distance. What a
    reader is shown, and what a plan says, is in the owner's units: cosine, or distance. A server
    that tells decisions alone has 1 for accepted and 0 for refused.
    """

    COSINE = "cosine"
    EUCLIDEAN = "euclidean"
    DECISION = "decision"

    @property
    def unit(self) -> str:
        """What a score is called."""
        return {Metric.COSINE: "similarity", Metric.EUCLIDEAN: "distance"}.get(self, "decision")

    def scores(self, templates: Floats, stored: Floats) -> Floats:
        """Compares templates with stored ones.

        Args:
            templates: ``(n, size)``.
            stored: ``(m, size)``.

        Returns:
            ``(n, m)``; negative infinity where a template is NaN.
        """
        if self is Metric.COSINE:
            found = unit(templates) @ unit(stored).T
        else:
            squares = (templates**2).sum(axis=1)[:, None] + (stored**2).sum(axis=1)
            found = -np.sqrt(np.maximum(squares - 2 * templates @ stored.T, 0.0))
        return np.where(np.isnan(found), NO_FACE, found)

    def of_score(self, score: float) -> float:
        """Returns a score in the owner's units, or what is in the owner's units as a score."""
        return -score if self is Metric.EUCLIDEAN else score

    def differentiable(self, templates: Tensor, stored: Tensor) -> Tensor:
        """Compares row by row, differentiably: ``(n, size)`` with ``(n, size)`` to ``(n,)``."""
        if self is Metric.COSINE:
            return functional.cosine_similarity(templates, stored)
        return -(templates - stored).square().sum(dim=1).clamp_min(1e-12).sqrt()


def unit(rows: Floats) -> Floats:
    """Returns rows at length one; those of no length stay."""
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    one: Floats = rows / np.maximum(length, 1e-12)
    return one
