"""Secret polynomials of a template's numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from darkroom.errors import PlanError
from darkroom.verifiers.protection.base import Floats, Protection


@dataclass(frozen=True)
class PolyProtect(Protection):
    """Maps each few numbers of a template to one by a secret polynomial of its owner.

    Krivokuća Hahn and Marcel (2022, "Towards protecting face embeddings in mobile face verification
    scenarios"): numbers ``v_1 .. v_m`` become ``c_1 v_1^e_1 + ... + c_m v_m^e_m``, with whole
    coefficients that are not zero and exponents that are a permutation of 1 to m, both of the user
    alone; the next ``m`` numbers begin ``m - overlap`` on, and zeros fill up the last.

    Attributes:
        terms: Of each polynomial, ``m``; five at least, as in the paper.
        overlap: Numbers that two neighbouring polynomials share, below ``terms``.
        largest: The largest coefficient.
    """

    name: ClassVar[str] = "polyprotect"
    paper: ClassVar[str] = "Krivokuća Hahn & Marcel 2022 (PolyProtect)"
    own_keys: ClassVar[bool] = True
    cost: ClassVar[str] = "a few powers for each number of a template"

    terms: int = 5
    overlap: int = 2
    largest: int = 50

    def __post_init__(self) -> None:
        """Refuses polynomials that there are not.

        Raises:
            PlanError: If a number is out of its range.
        """
        super().__post_init__()
        if self.terms < 2 or not 0 <= self.overlap < self.terms or self.largest < 1:
            raise PlanError(
                "defence polyprotect: terms must be 2 or more, overlap below it, and largest "
                "positive"
            )

    def protected(self, templates: Floats, key: int) -> Floats:
        """Returns the values of the polynomials."""
        coefficients, exponents = self._secret(key)
        step, m = self.terms - self.overlap, self.terms
        count = max(0, -(-(templates.shape[1] - m) // step)) + 1
        missing = (count - 1) * step + m - templates.shape[1]
        filled = np.pad(templates, ((0, 0), (0, missing)))
        sets = np.stack([filled[:, at * step : at * step + m] for at in range(count)], axis=1)
        values: Floats = (coefficients * sets**exponents).sum(axis=2)
        return values

    def _secret(self, key: int) -> tuple[Floats, Floats]:
        rng = np.random.default_rng([key, 3])
        size = rng.integers(1, self.largest, self.terms, endpoint=True)
        signs = rng.choice([-1.0, 1.0], self.terms)
        exponents = 1.0 + rng.permutation(self.terms)
        return (size * signs).astype(np.float64), exponents.astype(np.float64)
