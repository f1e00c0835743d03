"""Signs of secret projections of templates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from darkroom.errors import PlanError
from darkroom.verifiers.protection.base import Floats, Protection


@dataclass(frozen=True)
class BinarisedHash(Protection):
    """Keeps the signs of projections onto secret directions: a BioHash.

    After Jin, Ling and Goh (2004, "BioHashing"); differences: the directions are Gaussian and not
    made orthonormal, so that there may be more of them than numbers in a template, and one key
    serves the store, where theirs is a token of each user.

    Attributes:
        bits: Signs a template.
    """

    name: ClassVar[str] = "binarised"
    paper: ClassVar[str] = "after Jin, Ling & Goh 2004 (BioHashing)"
    cost: ClassVar[str] = "a matrix product a photo"

    bits: int = 256

    def __post_init__(self) -> None:
        """Refuses numbers of bits that are none.

        Raises:
            PlanError: If there is none.
        """
        super().__post_init__()
        if self.bits < 1:
            raise PlanError("defence binarised: bits must be positive")

    def protected(self, templates: Floats, key: int) -> Floats:
        """Returns the signs as -1 and 1."""
        rng = np.random.default_rng([key, 2])
        directions = rng.standard_normal((templates.shape[1], self.bits))
        signs: Floats = np.where(templates @ directions >= 0, 1.0, -1.0)
        return signs
