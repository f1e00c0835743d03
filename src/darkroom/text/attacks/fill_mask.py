"""The secret behind masks: fillings within the format, rescored with everything else in sight."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from darkroom.access import LanguageAccess
from darkroom.ledger import BudgetExhausted
from darkroom.text.attacks.base import (
    Found,
    Guess,
    Places,
    SecretGoal,
    SecretProgress,
)
from darkroom.text.attacks.best_first import BestFirst, PrefixSearch
from darkroom.text.formats.filling import FillTokens
from darkroom.text.targets.view import LanguageView


@dataclass(frozen=True)
class FillMask(PrefixSearch):
    """Best-first search over masks, and pseudo-log-likelihood over what it finds.

    The secret's place is filled with masks, as many as a secret of the format can have tokens, each
    number tried. Masks are filled from left to right, each given those before it and the masks
    behind; along this order the likelihood of a filling is a product, so the search of Carlini et
    al. 2019 finds the likeliest fillings exactly (:class:`.BestFirst`).
    The fillings found are then ordered by pseudo-log-likelihood (Salazar et al. 2020, "Masked
    Language Model Scoring"): each token masked in turn while all others stand.

    Differences from Salazar et al.: only fillings of the format are scored, and only those that the
    search proposes.

    Attributes:
        wanted: How many fillings to rescore.
        rows: The most rows to spend on a goal, rescoring included.
        batch: The most partial fillings of one goal to ask about at once.
    """

    name: ClassVar[str] = "fill-mask"
    access: ClassVar[LanguageAccess] = LanguageAccess.LOGPROBS
    paper: ClassVar[str] = "Salazar et al. 2020, Masked Language Model Scoring"
    masked: ClassVar[bool | None] = True

    wanted: int = 4
    rows: int = 500
    batch: int = 32

    def _search(
        self, view: LanguageView, goals: Sequence[SecretGoal], rng: np.random.Generator
    ) -> Iterator[SecretProgress]:
        places = Places(view)
        fillings = [places.of(goal) for goal in goals]
        longest = max(
            goal.secrets.automaton.lengths[goal.secrets.automaton.start][1] for goal in goals
        )
        # A secret has at most as many tokens as bytes; the rest is for the search.
        searching = max(1, self.rows - self.wanted * longest)
        search = BestFirst(wanted=self.wanted, rows=searching, batch=self.batch, repeats=1)
        last = None
        for progress in search.run(view, goals, rng=rng):
            last = progress
            yield progress
        assert last is not None
        found = [
            self._rescored(view, place, number, one)
            for number, (place, one) in enumerate(zip(fillings, last.found, strict=True))
        ]
        yield SecretProgress(view.ledger.spent, tuple(found))

    def _rescored(self, view: LanguageView, place: object, number: int, found: Found) -> Found:
        """Orders fillings by pseudo-log-likelihood; leaves them as they are without rows."""
        assert isinstance(place, FillTokens)
        if len(found.guesses) < 2:
            return found
        secrets = [guess.secret for guess in found.guesses]
        try:
            surprises = view.fillings(place.encode(secrets), place.blank, number)
        except BudgetExhausted:
            return found
        order = np.argsort(surprises, kind="stable")
        guesses = tuple(Guess(secrets[row], float(surprises[row])) for row in order)
        certain = found.certain and guesses[0].secret == secrets[0]
        return Found(guesses, certain, 0.0)
