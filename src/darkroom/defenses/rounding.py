"""Output defences that hide a part of each answer: rounding, fresh noise, top-k, label-only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from darkroom.access import Access
from darkroom.defenses.base import OutputDefense, Scores, blocks, largest, normalised
from darkroom.errors import PlanError


@dataclass(frozen=True)
class Rounding(OutputDefense):
    """Rounds every probability to decimals or to multiples of a step, then divides by the sum.

    Where all of a row rounds to nothing, the row becomes uniform. Fredrikson et al. 2015 propose
    rounding and find that it stops their black-box attack only when coarse.

    Attributes:
        decimals: Digits after the point, 0 to 15.
        step: In place of decimals, what scores are rounded to multiples of, above 0 and at most 1.
    """

    name: ClassVar[str] = "rounding"
    deterministic: ClassVar[bool] = True
    changes_label: ClassVar[bool] = False
    cost: ClassVar[str] = "one rounding and one division a score"

    decimals: int = 2
    step: float | None = None

    def __post_init__(self) -> None:
        """Refuses fewer than no decimals or more than floats have, and steps that are none.

        Raises:
            PlanError: If ``decimals`` is not 0 to 15 or ``step`` is not above 0 and at most 1.
        """
        if not 0 <= self.decimals <= 15:
            raise PlanError(f"defence rounding: decimals must be 0 to 15, got {self.decimals}")
        if self.step is not None and not 0 < self.step <= 1:
            raise PlanError(
                f"defence rounding: step must be above 0 and at most 1, got {self.step}"
            )

    @property
    def width(self) -> float:
        """The distance between two neighbouring answers.

        >>> Rounding(2).width, Rounding(step=0.05).width
        (0.01, 0.05)
        """
        return 10.0**-self.decimals if self.step is None else self.step

    def __call__(self, scores: Scores, rng: np.random.Generator) -> Scores:  # noqa: ARG002
        """Rounds; see :meth:`OutputDefense.__call__`."""
        # How many steps each score is, whose shares are those of the rounded scores.
        steps = scores * 10.0**self.decimals if self.step is None else scores / self.step
        return normalised(np.rint(steps, steps))


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
    cost: ClassVar[str] = "one random draw a score"

    deviation: float = 0.05
    kind: str = "gaussian"

    def __post_init__(self) -> None:
        """Refuses noise that cannot be drawn.

        Raises:
            PlanError: If the deviation is negative or no number, or the kind is unknown.
        """
        require_noise(self.name, self.deviation, self.kind)

    def __call__(self, scores: Scores, rng: np.random.Generator) -> Scores:
        """Adds noise; see :meth:`OutputDefense.__call__`."""
        answers = np.empty_like(scores)
        for rows in blocks(*scores.shape):
            part = scores[rows]
            if self.kind == "gaussian":
                drawn = rng.normal(0.0, self.deviation, part.shape)
            else:
                # The difference of two exponentials is Laplace's, and faster to draw.
                pair = rng.standard_exponential((len(part), 2, part.shape[1]))
                drawn = (pair[:, 0] - pair[:, 1]) * (self.deviation / np.sqrt(2))
            answers[rows] = with_noise(part, drawn)
        return answers


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
    cost: ClassVar[str] = "a search for the largest, k times a row"

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
    cost: ClassVar[str] = "one search for the largest a row"

    def __call__(self, scores: Scores, rng: np.random.Generator) -> Scores:  # noqa: ARG002
        """Keeps the label; see :meth:`OutputDefense.__call__`."""
        kept = np.zeros_like(scores)
        np.put_along_axis(kept, scores.argmax(axis=1)[:, None], 1.0, axis=1)
        return kept


def require_noise(name: str, deviation: float, kind: str) -> None:
    """Refuses noise that cannot be drawn.

    Raises:
        PlanError: If the deviation is negative or no number, or the kind is unknown.
    """
    if not 0 <= deviation < np.inf:
        raise PlanError(f"defence {name}: deviation must be 0 or more, got {deviation}")
    if kind not in ("gaussian", "laplace"):
        raise PlanError(f"defence {name}: kind {kind!r} is not gaussian or laplace")


def with_noise(scores: Scores, drawn: Scores) -> Scores:
    """Returns scores with noise, cut off below zero and divided by the sum; ``drawn`` is used up.

    >>> with_noise(np.array([[0.5, 0.5]]), np.array([[0.5, -0.9]])).tolist()
    [[1.0, 0.0]]
    """
    drawn += scores
    np.maximum(drawn, 0.0, out=drawn)
    return normalised(drawn)
