"""The strongest attack that a view of a model of tables allows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from darkroom.access import Access
from darkroom.defenses.effects import UNCHANGED, Effect
from darkroom.tables.attacks.base import Asked, Posterior, Records, TableAttack
from darkroom.tables.attacks.errors import Errors
from darkroom.tables.attacks.map import MapAttack
from darkroom.tables.attacks.score_map import ScoreMapAttack
from darkroom.tables.attacks.tree_counts import TreeCountsAttack
from darkroom.tables.candidates import Candidates
from darkroom.tables.priors.counts import TablePrior
from darkroom.tables.schema import Rows
from darkroom.tables.targets.view import TableView


@dataclass(frozen=True)
class AutoAttack(TableAttack):
    """Runs the strongest attack for what the view shows, with that attack's own settings.

    ``tree-counts`` where a single tree is given with its counts, ``score-map`` where a classifier
    shows its confidences, and ``map`` where labels or numbers are all there is.
    :meth:`adaptation` says which it is. Without ``access``, a plan gives it the most that the
    model shows.

    Attributes:
        draws: Values of unknown columns that are summed over, at most.
        memory: Bytes that a block may take.
    """

    name: ClassVar[str] = "auto"
    access: ClassVar[Access] = Access.LABEL
    paper: ClassVar[str] = "the strongest of the others, as measured in 2026"
    weighs_scores: ClassVar[bool] = True

    draws: int = 64
    memory: int = 1 << 26

    def choose(self, view: TableView) -> TableAttack:
        """Returns the attack that is run against a view; nothing is asked of it."""
        trees = view.trees if view.access is Access.WEIGHTS else None
        if trees is not None and len(trees.counts) == 1:
            return TreeCountsAttack(draws=self.draws, memory=self.memory)
        if view.shows_scores and view.access.includes(Access.SCORES):
            return ScoreMapAttack(draws=self.draws, memory=self.memory)
        return MapAttack(draws=self.draws, memory=self.memory)

    def asks(self, effect: Effect) -> int:
        """Returns how often the same is asked, by any that may be chosen."""
        return max(ScoreMapAttack().asks(effect), MapAttack().asks(effect))

    def expected_queries(self, candidates: Candidates, effect: Effect = UNCHANGED) -> int:
        """Returns the rows a record that the attack spends at most; see the base."""
        return super().expected_queries(candidates) * self.asks(effect)

    def adaptation(self, view: TableView) -> tuple[str, ...]:
        """Says which attack was chosen and how that adapts."""
        chosen = self.choose(view)
        named = f"auto chose {chosen.name}, the strongest against what is shown ({chosen.paper})."
        return (named, *chosen.adaptation(view))

    def _check_errors(self, view: TableView, errors: Errors) -> None:
        self.choose(view)._check_errors(view, errors)

    def ask(
        self,
        view: TableView,
        prior: TablePrior,
        records: Records,
        errors: Errors,
        *,
        rng: np.random.Generator,
    ) -> Iterator[Asked]:
        """Lets the chosen attack do it; see :meth:`TableAttack.ask`."""
        self._check(view, prior, records)
        return self.choose(view).ask(view, prior, records, errors, rng=rng)

    def conclude(
        self,
        view: TableView,
        prior: TablePrior,
        records: Records,
        errors: Errors,
        found: Posterior,
        *,
        rng: np.random.Generator,
    ) -> Posterior:
        """Lets the chosen attack do it; see :meth:`TableAttack.conclude`."""
        return self.choose(view).conclude(view, prior, records, errors, found, rng=rng)

    def _weigh(
        self,
        view: TableView,
        rows: Rows,
        goals: NDArray[np.int64],
        response: NDArray[np.float64],
        errors: Errors,
    ) -> NDArray[np.float64]:
        return self.choose(view)._weigh(view, rows, goals, response, errors)
