"""Output defences: what is changed of a model's answers before they leave. NumPy only.

Every defence turns rows of probabilities into rows of probabilities, a batch at a time; a batch
and its rows one by one give the same answers. The same objects run in an audit and in the guard.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from darkroom.access import Access
from darkroom.errors import PlanError
from darkroom.named import make_named, parameters_of

Scores = NDArray[np.float64]


class OutputDefense(ABC):
    """Changes answers. Subclasses are frozen dataclasses whose fields are their parameters.

    Attributes:
        name: The word used in plans.
        deterministic: Whether the same answer always becomes the same answer.
        changes_label: Whether the winning class can become another one.
        leaves: The most that can be seen of an answer behind it.
    """

    name: ClassVar[str]
    deterministic: ClassVar[bool]
    changes_label: ClassVar[bool]
    leaves: ClassVar[Access] = Access.SCORES

    @abstractmethod
    def __call__(self, scores: Scores, rng: np.random.Generator) -> Scores:
        """Returns what is answered instead.

        Args:
            scores: Probabilities, float64 ``(n, classes)``; ``n`` may be 0.
            rng: The source of fresh noise; rows draw from it in order.

        Returns:
            The same shape; finite, non-negative, and every row sums to one.
        """


@dataclass(frozen=True)
class Rounding(OutputDefense):
    """Rounds every probability, then divides by the sum.

    Where all of a row rounds to nothing, the row becomes uniform. Fredrikson et al. 2015 propose
    rounding and find that it stops their black-box attack only when coarse.

    Attributes:
        decimals: Digits after the point, 0 or more.
    """

    name: ClassVar[str] = "rounding"
    deterministic: ClassVar[bool] = True
    changes_label: ClassVar[bool] = False

    decimals: int = 2

    def __post_init__(self) -> None:
        """Refuses fewer than no decimals.

        Raises:
            PlanError: If ``decimals`` is negative.
        """
        if self.decimals < 0:
            raise PlanError(f"defence rounding: decimals must be 0 or more, got {self.decimals}")

    def __call__(self, scores: Scores, rng: np.random.Generator) -> Scores:  # noqa: ARG002
        """Rounds; see :meth:`OutputDefense.__call__`."""
        return normalised(np.round(scores, self.decimals))


@dataclass(frozen=True)
class Noise(OutputDefense):
    """Adds fresh noise to every probability, cuts what falls below zero, divides by the sum.

    Attributes:
        deviation: The noise's standard deviation, 0 or more.
        kind: ``gaussian`` or ``laplace``.
    """

    name: ClassVar[str] = "noise"
    deterministic: ClassVar[bool] = False
    changes_label: ClassVar[bool] = True

    deviation: float = 0.05
    kind: str = "gaussian"

    def __post_init__(self) -> None:
        """Refuses noise that cannot be drawn.

        Raises:
            PlanError: If the deviation is negative or no number, or the kind is unknown.
        """
        if not 0 <= self.deviation < np.inf:
            raise PlanError(f"defence noise: deviation must be 0 or more, got {self.deviation}")
        if self.kind not in ("gaussian", "laplace"):
            raise PlanError(f"defence noise: kind {self.kind!r} is not gaussian or laplace")

    def __call__(self, scores: Scores, rng: np.random.Generator) -> Scores:
        """Adds noise; see :meth:`OutputDefense.__call__`."""
        if self.kind == "gaussian":
            drawn = rng.normal(0.0, self.deviation, scores.shape)
        else:
            drawn = rng.laplace(0.0, self.deviation / np.sqrt(2), scores.shape)
        return normalised((scores + drawn).clip(0, None))


@dataclass(frozen=True)
class TopK(OutputDefense):
    """Keeps the ``k`` largest probabilities of a row, divided by their sum; the others become 0.

    Of equal ones, the first classes are kept.

    Attributes:
        k: How many, 1 or more.
    """

    name: ClassVar[str] = "top-k"
    deterministic: ClassVar[bool] = True
    changes_label: ClassVar[bool] = False
    leaves: ClassVar[Access] = Access.TOP_K

    k: int = 3

    def __post_init__(self) -> None:
        """Refuses to keep nothing.

        Raises:
            PlanError: If ``k`` is below 1.
        """
        if self.k < 1:
            raise PlanError(f"defence top-k: k must be 1 or more, got {self.k}")

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
    deterministic: ClassVar[bool] = True
    changes_label: ClassVar[bool] = False
    leaves: ClassVar[Access] = Access.LABEL

    def __call__(self, scores: Scores, rng: np.random.Generator) -> Scores:  # noqa: ARG002
        """Keeps the label; see :meth:`OutputDefense.__call__`."""
        kept = np.zeros_like(scores)
        np.put_along_axis(kept, scores.argmax(axis=1)[:, None], 1.0, axis=1)
        return kept


def normalised(scores: Scores) -> Scores:
    """Divides each row by its sum; a row without any becomes uniform.

    >>> normalised(np.array([[1.0, 3.0], [0.0, 0.0]])).tolist()
    [[0.25, 0.75], [0.5, 0.5]]
    """
    sums = scores.sum(axis=1, keepdims=True)
    empty = sums <= 0
    return np.where(empty, 1 / scores.shape[1], scores / np.where(empty, 1, sums))


def largest(scores: Scores, k: int) -> NDArray[np.int64]:
    """Returns the classes of each row's ``k`` largest scores, best first, ``(n, min(k, classes))``.

    Of equal ones, the first come first.
    """
    return np.argsort(-scores, axis=1, kind="stable")[:, :k].astype(np.int64)


OUTPUT_DEFENSES: dict[str, type[OutputDefense]] = {
    defense.name: defense for defense in (Rounding, Noise, TopK, LabelOnly)
}


@dataclass(frozen=True)
class Pipeline:
    """Output defences in the order in which they change an answer.

    Attributes:
        defenses: At least none.
    """

    defenses: tuple[OutputDefense, ...] = ()

    @property
    def name(self) -> str:
        """What reports call it, such as ``rounding(decimals=2) + top-k(k=3)``, or ``none``."""
        return " + ".join(describe(defense) for defense in self.defenses) or "none"

    @property
    def deterministic(self) -> bool:
        """Whether the same answer always becomes the same answer."""
        return all(defense.deterministic for defense in self.defenses)

    @property
    def leaves(self) -> Access:
        """The most that can be seen of an answer behind all of them."""
        return min(
            (defense.leaves for defense in self.defenses),
            key=lambda access: access.rank,
            default=Access.SCORES,
        )

    def __call__(self, scores: Scores, rng: np.random.Generator) -> Scores:
        """Applies all in order; see :meth:`OutputDefense.__call__`."""
        for defense in self.defenses:
            scores = defense(scores, rng)
        return scores


def describe(defense: OutputDefense) -> str:
    """Writes a defence with its parameters.

    >>> describe(Rounding(decimals=1)), describe(LabelOnly())
    ('rounding(decimals=1)', 'label-only')
    """
    parameters = parameters_of(defense)
    inside = ", ".join(f"{name}={value}" for name, value in parameters.items())
    return f"{defense.name}({inside})" if inside else defense.name


def make_defense(name: str, parameters: Mapping[str, Any]) -> OutputDefense:
    """Makes an output defence from a plan's words.

    Args:
        name: One of :data:`OUTPUT_DEFENSES`.
        parameters: Its fields; the others keep their defaults.

    Raises:
        PlanError: If there is no such defence or parameter, or a value is wrong.
    """
    return make_named("defence", OUTPUT_DEFENSES, name, parameters)
