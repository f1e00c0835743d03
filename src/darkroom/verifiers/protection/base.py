"""What every protection of templates is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


class Protection(ABC):
    """Turns templates into what is stored. Subclasses are frozen dataclasses of their parameters.

    A key decides how; with another key the same template becomes something else, so that what
    leaked can be withdrawn (renewability), and cannot be found in another store (unlinkability).

    Attributes:
        name: The word used for it.
        paper: Where it comes from.
        own_keys: Whether everybody has a key of their own, instead of one for the store.
    """

    name: ClassVar[str]
    paper: ClassVar[str] = ""
    own_keys: ClassVar[bool] = False

    @abstractmethod
    def protected(self, templates: Floats, key: int) -> Floats:
        """Returns what is stored.

        Args:
            templates: ``(n, size)``.
            key: A number that nobody else has, 0 or more.

        Returns:
            ``(n, length)``.
        """

    def scores(self, asked: Floats, stored: Floats) -> Floats:
        """Compares what is asked with what is stored, both protected with the same key.

        Args:
            asked: ``(n, length)``.
            stored: ``(m, length)``.

        Returns:
            The cosine of each pair, ``(n, m)``.
        """
        found: Floats = _unit(asked) @ _unit(stored).T
        return found


def _unit(rows: Floats) -> Floats:
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    one: Floats = rows / np.maximum(length, 1e-12)
    return one
