"""What every attack refuses before it asks anything."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import numpy as np
import pytest
from numpy.typing import NDArray
from torch import nn

from darkroom.access import Access
from darkroom.errors import PlanError
from darkroom.images.attacks.base import Attack, Progress
from darkroom.images.targets.torch import TorchTarget
from darkroom.images.targets.view import View
from darkroom.ledger import QueryLedger
from darkroom.vision.priors.base import ImagePrior
from darkroom.vision.priors.spaces import MeanPrior
from darkroom.vision.spec import ImageSpec

SPEC = ImageSpec((1, 2, 2))


class Idle(Attack):
    """Answers the start of the prior without a query."""

    name: ClassVar[str] = "idle"
    access: ClassVar[Access] = Access.SCORES
    paper: ClassVar[str] = "none"
    confidence = 0.9

    def expected_queries(self) -> int:
        return 0

    def _search(
        self, view: View, prior: ImagePrior, goals: NDArray[np.int64], rng: np.random.Generator
    ) -> Iterator[Progress]:
        images = prior.decode(prior.start()[None]).numpy().repeat(len(goals), axis=0)
        yield Progress(view.ledger.spent, images, np.zeros(len(goals)))


def view(access: Access = Access.SCORES) -> View:
    model = nn.Sequential(nn.Flatten(), nn.Linear(4, 3))
    return View(TorchTarget(model, SPEC.shape), access, QueryLedger(2))


def run(goals: list[int], prior: ImagePrior, access: Access = Access.SCORES) -> list[Progress]:
    wanted = np.array(goals, dtype=np.int64)
    return list(Idle().run(view(access), prior, wanted, rng=np.random.default_rng(0)))


@pytest.mark.parametrize("access", [Access.SCORES, Access.WEIGHTS])
def test_enough_access_passes(access: Access) -> None:
    assert len(run([0, 2], MeanPrior.black(SPEC), access)) == 1


@pytest.mark.parametrize("access", [Access.TOP_K, Access.LABEL])
def test_too_little_access_is_refused(access: Access) -> None:
    with pytest.raises(PlanError, match=f"idle needs scores but the view allows {access}"):
        run([0], MeanPrior.black(SPEC), access)


class Frugal(Idle):
    """Works with labels, though it is run with scores."""

    least_access: ClassVar[Access] = Access.LABEL


class Calm(Frugal):
    """Changes nothing of what it needs."""


@pytest.mark.parametrize("kind", [Frugal, Calm])
def test_the_least_access_decides(kind: type[Attack]) -> None:
    assert (Idle.least_access, kind.access, kind.least_access) == (
        Access.SCORES,
        Access.SCORES,
        Access.LABEL,
    )
    prior, rng = MeanPrior.black(SPEC), np.random.default_rng(0)
    assert len(list(kind().run(view(Access.LABEL), prior, np.array([0]), rng=rng))) == 1


def test_an_attack_that_does_not_adapt_says_nothing() -> None:
    assert Idle().adaptation(view()) == ()


@pytest.mark.parametrize("goals", [[], [3], [-1], [0, 1, 7]])
def test_goals_that_are_no_classes_are_refused(goals: list[int]) -> None:
    with pytest.raises(PlanError, match="goals must be classes 0 to 2 of the target"):
        run(goals, MeanPrior.black(SPEC))


@pytest.mark.parametrize(
    "spec",
    [
        ImageSpec((1, 2, 3)),
        ImageSpec((3, 2, 2)),
        ImageSpec((1, 2, 2), -1.0),
        ImageSpec((1, 2, 2), high=255.0),
    ],
)
def test_a_prior_of_other_images_is_refused(spec: ImageSpec) -> None:
    with pytest.raises(PlanError, match="fit the prior on photos of the target's shape and range"):
        run([0], MeanPrior.black(spec))


def test_refusals_come_before_the_first_answer_is_asked_for() -> None:
    with pytest.raises(PlanError):
        Idle().run(view(), MeanPrior.black(SPEC), np.array([9]), rng=np.random.default_rng(0))
