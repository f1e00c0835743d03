"""Random search: the simplest attack that needs nothing but scores."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field

from darkroom.access import Access
from darkroom.images.attacks.base import Attack, Progress
from darkroom.images.targets.view import View
from darkroom.ledger import BudgetExhausted
from darkroom.vision.priors.base import ImagePrior


@dataclass(frozen=True)
class RandomSearch(Attack):
    """Moves each goal's image at random within the prior, and keeps what the model likes better.

    Matyas (1965), Random optimization.

    Attributes:
        rows: Rows a goal at most.
        step: How far a move goes, in the prior's standard deviations.
        confidence: The confidence at which a goal counts as reached.
    """

    name: ClassVar[str] = "random-search"
    access: ClassVar[Access] = Access.SCORES
    paper: ClassVar[str] = "Matyas 1965"

    rows: Annotated[int, Field(ge=2)] = 500
    step: Annotated[float, Field(gt=0)] = 0.3
    confidence: Annotated[float, Field(gt=0, le=1)] = 0.999

    def expected_queries(self) -> int:
        """Returns the rows a goal that are spent when nothing ends the search early."""
        return self.rows

    def _search(
        self, view: View, prior: ImagePrior, goals: NDArray[np.int64], rng: np.random.Generator
    ) -> Iterator[Progress]:
        source = torch.Generator().manual_seed(int(rng.integers(2**31)))
        places = np.arange(len(goals))
        best = torch.stack([prior.start()] * len(goals))
        images, told = prior.decode(best).numpy(), np.full(len(goals), np.nan)
        yield Progress(view.ledger.spent, images, told)
        tried = best
        with suppress(BudgetExhausted):
            for row in range(1, self.rows + 1):
                seen = prior.decode(tried).numpy()
                found = view.scores(seen, places)[places, goals]
                better = np.isnan(told) | (found > told)
                best = torch.where(_rows(torch.from_numpy(better), best), tried, best)
                # New arrays, not changed ones: what was yielded is the caller's.
                images = np.where(better[:, None, None, None], seen, images)
                told = np.where(better, found, told)
                if row & (row - 1) == 0:  # a power of two
                    yield Progress(view.ledger.spent, images, told)
                if (told >= self.confidence).all():
                    break
                noise = torch.randn(best.shape, generator=source)
                tried = prior.project(best + self.step * prior.spread * noise)
        yield Progress(view.ledger.spent, images, told)


def _rows(chosen: torch.Tensor, latents: torch.Tensor) -> torch.Tensor:
    """Returns a choice of rows in as many dimensions as latents have."""
    return chosen.view(-1, *[1] * (latents.ndim - 1))
