"""What every output defence is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from darkroom.defenses.effects import Effect
from darkroom.named import parameters_of

Scores = NDArray[np.float64]
Labels = NDArray[np.int64]

BLOCK = 1 << 17
"""Scores worked on at a time, so that what lies between steps stays in a core's cache."""

FEW = 16
"""Up to so many largest scores, looking for the largest again and again is fastest."""


class OutputDefense(ABC):
    """Changes answers. Subclasses are frozen dataclasses whose fields are their parameters.

    Attributes:
        name: The word used in plans.
        numbers: Whether it changes predicted numbers, ``(n, 1)``, instead of probabilities.
        needs_inputs: Whether it is called with the inputs too, ``(n, features)``, behind ``rng``.
        learns: Whether :meth:`fitted` learns anything from answers.
        cost: What it does to each score, in a few words; ``python -m benchmarks defenses`` has
            the microseconds.
    """

    name: ClassVar[str]
    numbers: ClassVar[bool] = False
    needs_inputs: ClassVar[bool] = False
    learns: ClassVar[bool] = False
    cost: ClassVar[str] = ""

    @abstractmethod
    def __call__(self, scores: Scores, rng: np.random.Generator) -> Scores:
        """Returns what is answered instead.

        Args:
            scores: Probabilities, float64 ``(n, classes)``; ``n`` may be 0.
            rng: The source of fresh noise; rows draw from it in order.

        Returns:
            The same shape; finite, non-negative, and every row sums to one.
        """

    @property
    def effect(self) -> Effect:
        """What it does to what an attacker learns of an answer; unknown unless a subclass says."""
        return Effect.unknown(self.name)

    def prepared(self, folder: Path) -> Self:  # noqa: ARG002 - for those that read files
        """Returns the defence with what its parameters name read: a secret, class means.

        Args:
            folder: What relative paths in its parameters start from.

        Raises:
            PlanError: If something named is missing or does not do.
        """
        return self

    def fitted(self, scores: Scores, labels: Labels) -> Self:  # noqa: ARG002 - for those that learn
        """Returns the defence with what it must know of the model learned from answers.

        Args:
            scores: The model's answers, ``(n, classes)``.
            labels: The true class of each, ``(n,)``.
        """
        return self

    def decisive(self) -> dict[str, Any]:
        """Returns what decides its answers, as JSON can hold it, without secrets."""
        return {
            name: value for name, value in parameters_of(self).items() if value not in (None, "")
        }


def normalised(scores: Scores) -> Scores:
    """Divides each row by its sum; a row without any becomes uniform.

    >>> normalised(np.array([[1.0, 3.0], [0.0, 0.0]])).tolist()
    [[0.25, 0.75], [0.5, 0.5]]
    """
    sums = np.add.reduce(scores, axis=1, keepdims=True)  # as sum, and faster for a few
    if not sums.size or sums.item(sums.argmin()) > 0:  # argmin is faster than min for a few
        shares: Scores = scores / sums
        return shares
    empty = sums <= 0
    return np.where(empty, 1 / scores.shape[1], scores / np.where(empty, 1, sums))


def largest(scores: Scores, k: int) -> NDArray[np.int64]:
    """Returns the classes of each row's ``k`` largest scores, best first, ``(n, min(k, classes))``.

    Of equal ones, the first come first.

    >>> largest(np.array([[0.2, 0.4, 0.4, 0.0]]), 3).tolist()
    [[1, 2, 0]]
    """
    k = min(k, scores.shape[1])
    rows = np.arange(len(scores))
    if k > FEW or not len(scores):
        classes = _members(scores, k)
        order = np.argsort(-np.take_along_axis(scores, classes, axis=1), axis=1, kind="stable")
        return np.take_along_axis(classes, order, axis=1)
    left, chosen = scores.copy(), np.empty((len(scores), k), np.int64)
    for place in range(k):
        chosen[:, place] = left.argmax(axis=1)
        left[rows, chosen[:, place]] = -1.0
    return chosen


def _members(scores: Scores, k: int) -> NDArray[np.int64]:
    """Returns the classes of each row's ``k`` largest scores in the order of classes."""
    n, classes = scores.shape
    if k == classes or n == 0:
        return np.broadcast_to(np.arange(k), (n, k)).copy()
    least = np.partition(scores, classes - k, axis=1)[:, [classes - k]]
    above, level = scores > least, scores == least
    room = k - above.sum(axis=1, keepdims=True)
    inside = above | (level & (level.cumsum(axis=1, dtype=np.int32) <= room))
    members: NDArray[np.int64] = inside.nonzero()[1].reshape(n, k).astype(np.int64)
    return members


def blocks(rows: int, classes: int) -> list[slice]:
    """Returns slices of rows that hold about :data:`BLOCK` scores each."""
    step = max(1, BLOCK // max(1, classes))
    return [slice(begin, begin + step) for begin in range(0, rows, step)]
