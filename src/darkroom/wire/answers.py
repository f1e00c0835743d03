"""What every kind of target checks in a model's answers, in NumPy."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

Outputs = Literal["logits", "probabilities"]


TOLERANCE = 1e-3
"""How far from one a row of probabilities may sum: half-precision servers are that far off."""

FEW = 64
"""Scores up to which Python's own sums are faster than those of arrays."""


class AnswerError(Exception):
    """An answer that cannot be used; its text is the reason, for the target's own message."""


def probabilities(
    answers: NDArray[np.float64], outputs: Outputs, tolerance: float = TOLERANCE
) -> NDArray[np.float64]:
    """Returns what a model answered as probabilities.

    Args:
        answers: ``(n, classes)``.
        outputs: What the model was declared to return.
        tolerance: How far from one a row of probabilities may sum.

    Returns:
        ``(n, classes)``, non-negative; every row sums to one.

    Raises:
        AnswerError: If a value is not finite, or rows that should be probabilities are not.
    """
    if outputs == "probabilities" and answers.size and extremes(answers)[0] >= 0:  # NaN is not
        sums: NDArray[np.float64] = answers.sum(axis=1, keepdims=True)
        if max(abs(one - 1) for one in extremes(sums)) <= tolerance:
            return answers / sums
    if not np.isfinite(answers).all():
        raise AnswerError("it holds NaN or infinite values")
    if outputs == "logits":
        return normalised(np.exp(answers - answers.max(axis=1, keepdims=True, initial=-np.inf)))
    if (answers < 0).any():
        raise AnswerError(f"its probabilities are negative (the least is {answers.min():.3g})")
    sums = answers.sum(axis=1, keepdims=True)
    worst = np.abs(sums - 1).max(initial=0)
    if worst > tolerance:
        found = float(sums[np.abs(sums - 1).argmax(), 0])
        raise AnswerError(f"its rows are no probabilities: one sums to {found:.4g}")
    return answers


def extremes(values: NDArray[np.float64]) -> tuple[float, float]:
    """Returns the least and the largest of at least one value; both are NaN where one is.

    For the few scores of one answer, several times as fast as ``min`` and ``max``.
    """
    return values.item(values.argmin()), values.item(values.argmax())


def normalised(answers: NDArray[np.float64]) -> NDArray[np.float64]:
    """Divides each row by its sum."""
    sums: NDArray[np.float64] = answers.sum(axis=1, keepdims=True)
    return answers / sums


def look_like_probabilities(answers: NDArray[np.float64]) -> bool:
    """Tells whether every row is non-negative and sums to one; true of no rows."""
    off = np.abs(answers.sum(axis=1) - 1).max(initial=0)
    return bool((answers >= 0).all() and off < TOLERANCE)


class ClassNames:
    """What a model calls its classes, so that a word or number in an answer becomes a position.

    >>> names = ClassNames(["ada", "grace"])
    >>> names.count, names.position("grace")
    (2, 1)
    >>> [ClassNames(3).position(name) for name in (2, "2", "LABEL_2")]
    [2, 2, 2]
    """

    def __init__(self, classes: int | Sequence[str]) -> None:
        """Numbers the classes.

        Args:
            classes: Their names in order, or how many there are when the model numbers them.
        """
        self.known: Mapping[object, int]
        if isinstance(classes, int):
            self.count = classes
            numbers = range(classes)
            forms: tuple[Callable[[int], object], ...] = (int, str, "LABEL_{}".format)
            self.known = {form(number): number for form in forms for number in numbers}
        else:
            self.count = len(classes)
            self.known = {name: number for number, name in enumerate(classes)}

    def position(self, name: object) -> int:
        """Returns which class a name means.

        Raises:
            AnswerError: If there is none of that name.
        """
        # True is 1 as a key; a model that answers it means something else.
        found = None if isinstance(name, bool) else self._find(name)
        if found is None:
            raise AnswerError(f"it names a class {str(name)[:40]!r} that [target] classes lacks")
        return found

    def _find(self, name: object) -> int | None:
        return self.known.get(name) if isinstance(name, str | int) else None


class TopK(NamedTuple):
    """The most confident classes of each row, the most confident first.

    Attributes:
        classes: Int64 ``(n, k)``; no class twice in a row.
        scores: The confidence in each, float64 ``(n, k)``: non-negative, never rising within a
            row, and no row sums to more than one.
    """

    classes: NDArray[np.int64]
    scores: NDArray[np.float64]
