"""A secret rotation of all templates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from darkroom.verifiers.protection.base import Floats, Protection


@dataclass(frozen=True)
class Rotation(Protection):
    """Multiplies every template by one secret orthogonal matrix, which leaves scores alone.

    The matrix is drawn uniformly (Mezzadri 2007).
    """

    name: ClassVar[str] = "rotation"
    paper: ClassVar[str] = "Mezzadri 2007"
    cost: ClassVar[str] = "a matrix product a photo"
    keeps: ClassVar[bool] = True

    def protected(self, templates: Floats, key: int) -> Floats:
        """Rotates."""
        rotated: Floats = templates @ secret_rotation(templates.shape[1], key)
        return rotated


def secret_rotation(size: int, key: int) -> Floats:
    """Returns the orthogonal matrix of a key, ``(size, size)``."""
    drawn = np.random.default_rng([key, 1]).standard_normal((size, size))
    q, r = np.linalg.qr(drawn)
    matrix: Floats = q * np.sign(np.diag(r))
    return matrix
