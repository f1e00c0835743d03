"""The strongest attack that a view allows."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from darkroom.access import Access
from darkroom.errors import PlanError
from darkroom.images.attacks.base import Attack, Progress
from darkroom.images.attacks.evolution import EvolutionAttack
from darkroom.images.attacks.gradient import GradientAttack
from darkroom.images.attacks.surrogate import SurrogateAttack
from darkroom.images.targets.view import View
from darkroom.vision.priors.base import ImagePrior

STRONGEST: dict[Access, type[Attack]] = {
    Access.WEIGHTS: GradientAttack,
    Access.SCORES: EvolutionAttack,
    Access.TOP_K: EvolutionAttack,
    Access.LABEL: SurrogateAttack,
}
"""For each access level the attack that does best there by ``python -m benchmarks blackbox``."""


@dataclass(frozen=True)
class AutoAttack(Attack):
    """Runs the strongest attack for what the view leaves, with that attack's own settings.

    ``gradient`` with weights, ``evolution`` with scores or the largest of them, and a label-only
    attack with labels: where an output defence leaves labels alone, or so little of the scores
    that they say no more than labels do, that is what is run. :meth:`adaptation` says which it is.

    Attributes:
        rows: The most rows a goal for attacks that ask without limit of their own; 0 keeps theirs.
        confidence: The confidence at which a goal counts as reached.
    """

    name: ClassVar[str] = "auto"
    access: ClassVar[Access] = Access.WEIGHTS
    least_access: ClassVar[Access] = Access.LABEL
    paper: ClassVar[str] = "the strongest of the others, by the benchmarks of 2026"

    rows: int = 0
    confidence: float = 0.999

    def __post_init__(self) -> None:
        """Refuses values that make no search.

        Raises:
            PlanError: If a number is out of its range.
        """
        if self.rows < 0 or not 0 < self.confidence <= 1:
            raise PlanError("attack auto: rows must be 0 or more, confidence above 0 and at most 1")

    def expected_queries(self) -> int:
        """Returns the rows a goal of the costliest attack that may be chosen."""
        return max(self._make(kind).expected_queries() for kind in STRONGEST.values())

    def choose(self, view: View) -> Attack:
        """Returns the attack that is run against a view; nothing is asked of it."""
        return self._make(STRONGEST[effective_access(view)])

    def apart(self, view: View) -> bool:
        """Tells it of the attack that is chosen; see :meth:`Attack.apart`."""
        return self.choose(view).apart(view)

    def adaptation(self, view: View) -> tuple[str, ...]:
        """Says which attack was chosen and how that adapts."""
        chosen = self.choose(view)
        named = (
            f"auto chose {chosen.name}, the strongest known against {effective_access(view)} "
            f"({chosen.paper})."
        )
        return (named, *chosen.adaptation(view))

    def _make(self, kind: Any) -> Attack:
        given: dict[str, Any] = {"confidence": self.confidence}
        if self.rows and "rows" in {field.name for field in dataclasses.fields(kind)}:
            given["rows"] = self.rows
        attack: Attack = kind(**given)
        return attack

    def _search(
        self, view: View, prior: ImagePrior, goals: NDArray[np.int64], rng: np.random.Generator
    ) -> Iterator[Progress]:
        return self.choose(view).run(view, prior, goals, rng=rng)


def effective_access(view: View) -> Access:
    """Returns what a view's answers say: one class with a score of one is but a label."""
    if view.access is Access.TOP_K and view.k == 1:
        return Access.LABEL
    return view.access
