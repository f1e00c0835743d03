"""The checks of attacks find what is wrong with attacks that break a promise."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from darkroom.access import Access
from darkroom.images.attacks.base import Attack, Progress
from darkroom.images.targets.view import View
from darkroom.ledger import BudgetExhausted
from darkroom.testing.images.attacks import check_attack
from darkroom.vision.priors.base import ImagePrior

Broken = Callable[[Progress], Progress]


@dataclass(frozen=True)
class Climber(Attack):
    """Keeps what of random moves the model likes better, and says what ``lie`` makes of it."""

    name: ClassVar[str] = "climber"
    access: ClassVar[Access] = Access.SCORES

    rows: int = 60
    lie: str = ""

    def expected_queries(self) -> int:
        return self.rows - 5 * (self.lie == "spends more")

    def _search(
        self, view: View, prior: ImagePrior, goals: NDArray[np.int64], rng: np.random.Generator
    ) -> Iterator[Progress]:
        seed = 7 if self.lie == "ignores the seed" else int(rng.integers(2**31))
        source = torch.default_generator if self.lie == "global" else torch.Generator()
        if self.lie != "global":
            source.manual_seed(seed)
        rows = np.arange(len(goals))
        point = prior.start().repeat(len(goals), 1)
        best, told = prior.decode(point).numpy(), np.full(len(goals), np.nan)
        tried = point
        yield self._progress(view, best, told)
        try:
            for _ in range(self.rows):
                images = prior.decode(tried).numpy()
                found = view.scores(images, rows)[rows, goals]
                better = np.isnan(told) | (found > told)
                if self.lie == "keeps the worst":
                    better = np.isnan(told) | (found < told)
                point = torch.where(torch.from_numpy(better)[:, None], tried, point)
                if self.lie == "changes what it yielded":
                    best[better] = images[better]
                else:
                    best = np.where(better[:, None, None, None], images, best)
                told = np.where(better, found, told)
                yield self._progress(view, best, told)
                tried = point + 0.3 * torch.randn(point.shape, generator=source)
        except BudgetExhausted:
            if self.lie == "gives up":
                yield self._progress(view, best * 0 - 1, told)

    def _progress(self, view: View, best: NDArray[np.float32], told: object) -> Progress:
        queries, confidence = view.ledger.spent, np.array(told)
        if self.lie == "miscounts":
            queries = queries // 2
        if self.lie == "boasts":
            confidence = np.minimum(confidence + 0.1, 1.0)
        if self.lie == "out of range":
            best = best + 1
        if self.lie == "doubles":
            best = best.astype(np.float64)
        return Progress(queries, best, confidence)


@pytest.mark.parametrize(
    ("lie", "sentence"),
    [
        ("keeps the worst", "climber comes no nearer"),
        ("miscounts", "climber says"),
        ("out of range", "out of the target's range"),
        ("doubles", "answers float64"),
        ("global", "draws from a global source"),
        ("gives up", "answers values from -1"),
        ("boasts", "tells confidences that are off by 0.1"),
        ("changes what it yielded", "yield copies"),
        ("spends more", "expects 55 rows a goal and spends 60"),
    ],
)
def test_a_broken_promise_is_named(lie: str, sentence: str) -> None:
    with pytest.raises(AssertionError, match=sentence):
        check_attack(Climber(lie=lie))


def test_an_honest_attack_passes() -> None:
    check_attack(Climber())


def test_a_part_without_a_name_or_with_parameters_that_are_not_plain_is_refused() -> None:
    with pytest.raises(AssertionError, match="Climber has no name"):
        check_attack(type("Climber", (Climber,), {"name": ""})())
