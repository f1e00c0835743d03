"""Faces grown from decisions alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import ClassVar, Self

import numpy as np
import torch

from darkroom.access import VerifierAccess
from darkroom.errors import PlanError
from darkroom.ledger import BudgetExhausted
from darkroom.verifiers.attacks.base import Attack, Knowledge, Progress, decoded
from darkroom.verifiers.attacks.probes import first_probes
from darkroom.verifiers.targets.base import Floats, Labels
from darkroom.verifiers.targets.view import View

_ASKED = 20  # rows of each search in a round
_FIRST, _LEAST, _MOST = 0.3, 0.05, 2.0  # how far around a point is asked, in the prior's spread


@dataclass(frozen=True)
class DecisionAttack(Attack):
    """Strangers until one is accepted, then away from where refusals begin.

    First photos of strangers are submitted, those of all goals in the same order, until one is
    accepted: a dictionary, with the dictionary's chance. Then points around it are asked in the
    prior's latents. The search steps from the middle of those refused to the middle of those
    accepted, and asks farther out when most are accepted and nearer when few are, so that it moves
    to the middle of what the verifier takes for the person.

    The search is that of BREP-MI (Kahla et al. 2022, "Label-only model inversion attacks via
    boundary repulsion"); differences: it begins at an accepted stranger and not at a draw that has
    the label, both sides of the boundary are averaged and not only the refused one, and the radius
    shrinks as well as grows.

    Attributes:
        rows: A person.
        dictionary: Of them, at most so many strangers.
    """

    name: ClassVar[str] = "decision"
    paper: ClassVar[str] = "after Kahla, Chen, Just & Jia 2022 (BREP-MI)"
    access: ClassVar[VerifierAccess] = VerifierAccess.DECISION

    rows: int = 2000
    dictionary: int = 1000

    def __post_init__(self) -> None:
        """Refuses values that make no search.

        Raises:
            PlanError: If a number is out of its range.
        """
        if self.rows < 1 or self.dictionary < 1:
            raise PlanError("attack decision: rows and dictionary must be positive")

    def expected_queries(self) -> int:
        """Returns the rows a goal."""
        return self.rows

    def within(self, budget: int) -> Self:
        """Submits no more strangers than there are rows; see :meth:`Attack.within`."""
        return replace(self, rows=min(self.rows, budget))

    def _search(
        self, view: View, knowledge: Knowledge, rng: np.random.Generator
    ) -> Iterator[Progress]:
        return _Search(self, view, knowledge, rng).run()


class _Search:
    """The state of one attack on all goals."""

    def __init__(
        self, attack: DecisionAttack, view: View, knowledge: Knowledge, rng: np.random.Generator
    ) -> None:
        self.attack, self.view, self.knowledge = attack, view, knowledge
        self.prior, self.rng = knowledge.prior, rng
        goals = len(view.people)
        start = self.prior.start().flatten().double().numpy()
        self.points: Floats = np.tile(start, (goals, 1))
        self.radius: Floats = np.full(goals, _FIRST * self.prior.spread)
        self.entered = np.zeros(goals, np.bool_)
        self.pictures = np.repeat(decoded(self.prior, self.points[:1]), goals, axis=0)

    def run(self) -> Iterator[Progress]:
        """Yields progress after each few strangers and each round, until rows run out."""
        yield self._progress()
        try:
            yield from self._strangers()
            while len(goals := np.flatnonzero(self.entered & (self._left() >= _ASKED))):
                self._round(goals)
                yield self._progress()
        except BudgetExhausted:
            pass
        yield self._progress()

    def _left(self) -> Labels:
        """Returns the rows that each goal may still cost, ``(goals,)``."""
        left: Labels = self.attack.rows - self.view.ledger.alone
        return left

    def _strangers(self) -> Iterator[Progress]:
        """Submits strangers for everybody until one is accepted."""
        count = min(self.attack.dictionary, self.attack.rows)
        photos = first_probes(self.knowledge, count, self.rng)
        latents = self.prior.encode(torch.from_numpy(photos)) if len(photos) else torch.empty(0)
        for first in range(0, len(photos), _ASKED):
            outside = np.flatnonzero(~self.entered)
            if not len(outside):
                return
            asked = photos[first : first + _ASKED]
            rows = np.repeat(outside, len(asked))
            taken = self.view.decisions(np.tile(asked, (len(outside), 1, 1, 1)), rows)
            hits = taken.reshape(len(outside), len(asked))
            for goal, hit in zip(outside, hits, strict=True):
                if hit.any():
                    place = first + int(hit.argmax())
                    self.entered[goal] = True
                    self.pictures[goal] = photos[place]
                    near = self.prior.project(latents[place : place + 1]).flatten()
                    self.points[goal] = near.double().numpy()
            yield self._progress()

    def _round(self, goals: Labels) -> None:
        """Asks around the points of some goals, and moves to the middle of what is accepted."""
        size = self.points.shape[1]
        draws = self.rng.standard_normal((len(goals), _ASKED - 1, size))
        around = self.points[goals, None] + self.radius[goals, None, None] * draws
        asked = np.concatenate([self.points[goals, None], around], axis=1)
        images = decoded(self.prior, asked.reshape(-1, size))
        taken = self.view.decisions(images, np.repeat(goals, _ASKED)).reshape(len(goals), _ASKED)
        pictures = images.reshape(len(goals), _ASKED, *images.shape[1:])
        for row, goal in enumerate(goals):
            if taken[row, 0]:
                self.pictures[goal] = pictures[row, 0]
            share = taken[row, 1:].mean()
            if 0 < share < 1:
                way = draws[row, taken[row, 1:]].mean(axis=0)
                way -= draws[row, ~taken[row, 1:]].mean(axis=0)
                length = np.sqrt((way**2).mean())
                self.points[goal] += self.radius[goal] * way / max(length, 1e-12)
            self.radius[goal] *= 1.25 if share > 0.6 else 0.8 if share < 0.3 else 1.0
        spread = self.prior.spread
        self.radius = self.radius.clip(_LEAST * spread, _MOST * spread)
        kept = torch.from_numpy(self.points).float().view(-1, *self.prior.latent_shape)
        self.points = self.prior.project(kept).flatten(1).double().numpy()

    def _progress(self) -> Progress:
        unknown: Floats = np.full(len(self.points), np.nan)
        return Progress(self.view.ledger.spent, self.pictures.copy(), unknown)
