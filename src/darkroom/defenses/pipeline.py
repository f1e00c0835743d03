"""Output defences in a chain.

Every defence turns rows of probabilities into rows of probabilities, a batch at a time; a batch
and its rows one by one give the same answers. The same objects run in an audit and in the guard.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

from darkroom.defenses.base import Labels, OutputDefense, Scores
from darkroom.defenses.effects import Effect
from darkroom.named import parameters_of


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
    def effect(self) -> Effect:
        """What all of them do to what an attacker learns of an answer."""
        return Effect.chained([defense.effect for defense in self.defenses])

    def __call__(
        self, scores: Scores, rng: np.random.Generator, inputs: ArrayLike | None = None
    ) -> Scores:
        """Applies all in order; see :meth:`OutputDefense.__call__`.

        Args:
            scores: Probabilities, float64 ``(n, classes)``.
            rng: The source of fresh noise.
            inputs: What the scores answer, ``(n, features)``; some need them.
        """
        for defense, sees in self._steps:
            scores = defense(scores, rng, inputs) if sees else defense(scores, rng)
        return scores

    @cached_property
    def _steps(self) -> list[tuple[Callable[..., Scores], bool]]:
        """The defences, and whether each must see inputs."""
        return [(defense, defense.needs_inputs) for defense in self.defenses]

    @property
    def needs_inputs(self) -> bool:
        """Whether any of them must see inputs."""
        return any(defense.needs_inputs for defense in self.defenses)

    @property
    def learns(self) -> bool:
        """Whether :meth:`fitted` learns anything from answers."""
        return any(defense.learns for defense in self.defenses)

    def fitted(self, scores: Scores, labels: Labels) -> Pipeline:
        """Returns the same with what each must know of the model learned from its answers.

        Args:
            scores: The model's answers, ``(n, classes)``.
            labels: The true class of each, ``(n,)``.
        """
        return Pipeline(tuple(defense.fitted(scores, labels) for defense in self.defenses))


def describe(defense: OutputDefense) -> str:
    """Writes a defence with its parameters, without where it finds secrets and files.

    >>> from darkroom.defenses.rounding import Rounding
    >>> from darkroom.defenses.top_k import LabelOnly
    >>> describe(Rounding(decimals=1)), describe(LabelOnly())
    ('rounding(decimals=1)', 'label-only')
    """
    quiet = {one.name for one in fields(defense) if one.metadata.get("quiet")}  # type: ignore[arg-type]
    shown = {
        name: value
        for name, value in parameters_of(defense).items()
        if name not in quiet and value is not None and value is not False
    }
    if "step" in shown:
        shown.pop("decimals", None)
    inside = ", ".join(
        name if value is True else f"{name}={value}" for name, value in shown.items()
    )
    return f"{defense.name}({inside})" if inside else defense.name
