"""Output defences: what is changed of a model's answers before they leave. NumPy only.

Every defence turns rows of probabilities into rows of probabilities, a batch at a time; a batch
and its rows one by one give the same answers. The same objects run in an audit and in the guard.
The module that others import from: the defences themselves are in ``plain``, ``bent``, ``keyed``
and ``shrunk``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from darkroom.access import Access
from darkroom.defenses.base import Labels, OutputDefense, Scores, largest, normalised
from darkroom.defenses.reverse_sigmoid import ReverseSigmoid, Temperature
from darkroom.defenses.rounding import LabelOnly, Noise, Rounding, TopK
from darkroom.defenses.stealthy_shield import Centred, KeyedStealthyShield, Purify, StealthyShield
from darkroom.defenses.sticky_noise import Keyed, Sticky, StickyNoise
from darkroom.named import make_named, parameters_of

__all__ = [
    "OUTPUT_DEFENSES",
    "Centred",
    "Keyed",
    "KeyedStealthyShield",
    "LabelOnly",
    "Labels",
    "Noise",
    "OutputDefense",
    "Pipeline",
    "Purify",
    "ReverseSigmoid",
    "Rounding",
    "Scores",
    "StealthyShield",
    "Sticky",
    "StickyNoise",
    "Temperature",
    "TopK",
    "describe",
    "largest",
    "make_defense",
    "normalised",
]

OUTPUT_DEFENSES: dict[str, type[OutputDefense]] = {
    defense.name: defense
    for defense in (
        Rounding,
        Noise,
        StickyNoise,
        TopK,
        LabelOnly,
        Temperature,
        ReverseSigmoid,
        Purify,
        StealthyShield,
        KeyedStealthyShield,
    )
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
        """Whether the same answer to the same input always becomes the same answer."""
        return all(defense.deterministic for defense in self.defenses)

    @property
    def leaves(self) -> Access:
        """The most that can be seen of an answer behind all of them."""
        return min(
            (defense.leaves for defense in self.defenses),
            key=lambda access: access.rank,
            default=Access.SCORES,
        )

    def __call__(
        self, scores: Scores, rng: np.random.Generator, inputs: ArrayLike | None = None
    ) -> Scores:
        """Applies all in order; see :meth:`OutputDefense.__call__`.

        Args:
            scores: Probabilities, float64 ``(n, classes)``.
            rng: The source of fresh noise.
            inputs: What the scores answer, ``(n, features)``; keyed defences need it.
        """
        for defense, keyed in self._steps:
            scores = defense(scores, rng, inputs) if keyed else defense(scores, rng)
        return scores

    @cached_property
    def _steps(self) -> list[tuple[Callable[..., Scores], bool]]:
        """The defences, and whether each must see inputs."""
        return [(defense, isinstance(defense, Keyed)) for defense in self.defenses]

    def fitted(self, scores: Scores, labels: Labels) -> Pipeline:
        """Returns the same with what each must know of the model learned from its answers.

        Args:
            scores: The model's answers, ``(n, classes)``.
            labels: The true class of each, ``(n,)``.
        """
        return Pipeline(tuple(defense.fitted(scores, labels) for defense in self.defenses))


def describe(defense: OutputDefense) -> str:
    """Writes a defence with its parameters, without where it finds secrets and files.

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


def make_defense(
    name: str,
    parameters: Mapping[str, Any],
    folder: Path | None = None,
    *,
    kinds: Mapping[str, type[OutputDefense]] = OUTPUT_DEFENSES,
) -> OutputDefense:
    """Makes an output defence from a plan's words, and reads what they name.

    Args:
        name: One of ``kinds``.
        parameters: Its fields; the others keep their defaults.
        folder: What relative paths in the parameters start from; the working folder if left out.
        kinds: The class of each name.

    Raises:
        PlanError: If there is no such defence or parameter, a value is wrong, or a secret or a
            file that it names is missing.
    """
    return make_named("defence", kinds, name, parameters).prepared(folder or Path())
