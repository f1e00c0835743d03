"""The same few faces for everybody, chosen before anything is asked."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import ClassVar, Self

import numpy as np
import torch

from darkroom.access import VerifierAccess
from darkroom.errors import PlanError
from darkroom.ledger import BudgetExhausted
from darkroom.verifiers.attacks.base import Attack, Knowledge, Progress
from darkroom.verifiers.targets.base import Floats, Images
from darkroom.verifiers.targets.view import View

_ROUNDS = 20


@dataclass(frozen=True)
class FixedAttack(Attack):
    """A fixed set of photos, submitted once for everybody; nothing is learned from answers.

    Stands for attacks that publish a set of pictures and submit it to any verifier ("master faces",
    Shmelkin et al. 2021, and the non-adaptive sets of 2024 and 2025). The set here is made of
    public photos: one near the middle of each of ``photos`` groups into which k-means divides them
    by their standardised coordinates in the prior.

    It falls far short of those: they search a generator of faces for pictures that many templates
    of other recognisers are near to, and are made with large nets; this one has neither another
    recogniser nor a generator, and its photos are hardly better than as many strangers drawn by
    lot. It says what a set gets that was chosen with no knowledge of the verifier, and no more.

    Attributes:
        photos: In the set.
    """

    name: ClassVar[str] = "fixed"
    paper: ClassVar[str] = "in place of Shmelkin, Wolf & Friedlander 2021 (master faces)"
    access: ClassVar[VerifierAccess] = VerifierAccess.DECISION

    photos: int = 100

    def __post_init__(self) -> None:
        """Refuses an empty set.

        Raises:
            PlanError: If it is.
        """
        if self.photos < 1:
            raise PlanError("attack fixed: photos must be positive")

    def expected_queries(self) -> int:
        """Returns the rows a goal."""
        return self.photos

    def within(self, budget: int) -> Self:
        """Makes as small a set as may be submitted; see :meth:`Attack.within`."""
        return replace(self, photos=min(self.photos, budget))

    def _search(
        self, view: View, knowledge: Knowledge, rng: np.random.Generator
    ) -> Iterator[Progress]:
        goals = len(view.people)
        with torch.no_grad():
            start = knowledge.prior.decode(knowledge.prior.start()[None]).numpy()
        pictures = np.repeat(start, goals, axis=0)
        unknown: Floats = np.full(goals, np.nan)
        entered = np.zeros(goals, np.bool_)
        yield Progress(view.ledger.spent, pictures.copy(), unknown)
        for photo in _middles(knowledge, self.photos, rng):
            outside = np.flatnonzero(~entered)
            try:
                taken = view.decisions(np.repeat(photo[None], len(outside), axis=0), outside)
            except BudgetExhausted:
                break
            pictures[outside[taken]] = photo
            entered[outside[taken]] = True
            yield Progress(view.ledger.spent, pictures.copy(), unknown)
            if entered.all():
                break


def _middles(knowledge: Knowledge, count: int, rng: np.random.Generator) -> Images:
    """Returns a photo near the middle of each group of photos, ``(n, ...)``."""
    photos = knowledge.photos
    if len(photos) <= count:
        return photos
    rows = knowledge.prior.encode(torch.from_numpy(photos)).flatten(1).double().numpy()
    centres = rows[rng.choice(len(rows), count, replace=False)]
    for _ in range(_ROUNDS):
        group = _apart(rows, centres).argmin(axis=1)
        sums = np.zeros_like(centres)
        np.add.at(sums, group, rows)
        sizes = np.bincount(group, minlength=count)[:, None]
        centres = np.where(sizes > 0, sums / np.maximum(sizes, 1), centres)
    chosen: Images = photos[np.unique(_apart(rows, centres).argmin(axis=0))]
    return chosen


def _apart(rows: Floats, centres: Floats) -> Floats:
    squares: Floats = (rows**2).sum(1)[:, None] - 2 * rows @ centres.T + (centres**2).sum(1)
    return squares
