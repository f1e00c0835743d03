"""What an output defence does to what an attacker learns of an answer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

from darkroom.access import Access


class Curve(Protocol):
    """A defence whose change of an answer can be undone by whoever knows it."""

    @property
    def name(self) -> str:
        """The word used in plans."""

    def undone(self, answers: NDArray[np.float64]) -> NDArray[np.float64]:
        """Returns the scores behind answers, ``(n, classes)``."""


@dataclass(frozen=True)
class Effect:
    """What happens to an answer, as far as an attacker cares: nothing, unless it is said here.

    An attacker knows the defences (Kerckhoffs), but neither their secrets nor what they draw.
    Attacks read this and never ask which defence it is. Scores here are whatever is answered:
    probabilities, predicted numbers, log-probabilities.

    Attributes:
        deterministic: Whether the same answer to the same input always becomes the same answer.
        changes_label: Whether the winner among the scores can become another one.
        leaves: The most that can be seen of an answer.
        kept: How many of the largest scores are told; ``None`` for all.
        step: What scores are rounded to multiples of; 0 where they are not rounded.
        decimals: The digits that rounding leaves; ``None`` where it is by another step.
        deviation: The standard deviation of the noise on a score; 0 without.
        laplace: Whether that noise is Laplace's instead of Gaussian.
        cell: How far apart inputs must be for draws of their own, in units of the input, where a
            secret and the input decide what is drawn; 0 where the input's exact bytes do, and
            ``None`` where draws are fresh.
        drawn: Whether answers are pulled toward a class that is drawn.
        curves: What is undone in this order to see what came before.
        share: Of its class's mean answer in each answer; 0 without.
        silent: The names of defences that do not say what they do. What else is said here is then
            no more than the least that happens.
    """

    deterministic: bool = True
    changes_label: bool = False
    leaves: Access = Access.SCORES
    kept: int | None = None
    step: float = 0.0
    decimals: int | None = None
    deviation: float = 0.0
    laplace: bool = False
    cell: float | None = None
    drawn: bool = False
    curves: tuple[Curve, ...] = ()
    share: float = 0.0
    silent: tuple[str, ...] = ()

    @classmethod
    def unknown(cls, name: str) -> Self:
        """Returns the effect of a defence that does not say: anything may change at any time.

        Args:
            name: What plans call it.
        """
        return cls(deterministic=False, changes_label=True, silent=(name,))

    @classmethod
    def chained(cls, effects: Sequence[Effect]) -> Self:
        """Returns what defences do that change an answer one after the other.

        Args:
            effects: Of each, in order.
        """
        coarsest = max(effects, key=lambda one: one.step, default=UNCHANGED)
        straight = [number for number, one in enumerate(effects) if not one.curves]
        outermost = effects[straight[-1] + 1 if straight else 0 :]
        return cls(
            deterministic=all(one.deterministic for one in effects),
            changes_label=any(one.changes_label for one in effects),
            leaves=min((one.leaves for one in effects), key=_rank, default=Access.SCORES),
            kept=min((one.kept for one in effects if one.kept is not None), default=None),
            step=coarsest.step,
            decimals=coarsest.decimals,
            deviation=math.sqrt(sum(one.deviation**2 for one in effects)),
            laplace=any(one.laplace for one in effects),
            cell=max((one.cell for one in effects if one.cell is not None), default=None),
            drawn=any(one.drawn for one in effects),
            curves=tuple(curve for one in reversed(outermost) for curve in one.curves),
            share=effects[-1].share if effects else 0.0,
            silent=tuple(name for one in effects for name in one.silent),
        )

    @property
    def exact(self) -> bool:
        """Whether the scores that are told at all are told as they were."""
        return self == Effect(leaves=self.leaves, kept=self.kept)

    @property
    def reads_alone(self) -> bool:
        """Whether nothing about an answer is drawn, or learned from the answers to others."""
        return self.deterministic and self.cell is None and not self.drawn and not self.share

    @property
    def caveats(self) -> tuple[str, ...]:
        """A sentence for each defence that does not say what it does."""
        return tuple(
            f"The defence {name} does not say what it does, so the attack is not adapted to it: "
            "what it finds is a lower bound of what an attacker could."
            for name in self.silent
        )


UNCHANGED = Effect()
"""What happens to answers without a defence."""


def _rank(access: Access) -> int:
    return access.rank
