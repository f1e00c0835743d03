"""A view gives no more than its access level, and charges before it answers."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from darkroom.access import Access
from darkroom.defenses.pipeline import Pipeline
from darkroom.defenses.rounding import Rounding
from darkroom.defenses.top_k import LabelOnly
from darkroom.defenses.top_k import TopK as KeepTopK
from darkroom.errors import TargetError
from darkroom.images.targets.base import Target
from darkroom.images.targets.torch import TorchTarget
from darkroom.images.targets.view import View
from darkroom.ledger import BudgetExhausted, Limit, QueryLedger
from darkroom.vision.spec import ImageSpec

SHAPE = (1, 2, 2)


class Remote(Target):
    """Answers scores only, and counts how many rows it was asked."""

    access = Access.SCORES

    def __init__(self) -> None:
        self.name, self.spec, self.classes, self.asked = "remote", ImageSpec(SHAPE), 2, 0

    def scores(self, images: NDArray[np.float32]) -> NDArray[np.float64]:
        self.asked += len(images)
        return np.full((len(images), 2), 0.5)

    def fingerprint(self) -> str:
        return "0"


def white_box(access: Access, limit: Limit | None = None) -> View:
    model = nn.Sequential(nn.Flatten(), nn.Linear(4, 2))
    return View(TorchTarget(model, SHAPE), access, QueryLedger(2, limit))


def rows(count: int) -> NDArray[np.float32]:
    return np.zeros((count, *SHAPE), np.float32)


def test_every_row_is_charged_to_its_goal() -> None:
    view = white_box(Access.WEIGHTS)
    view.scores(rows(3), np.array([0, 1, 1]))
    view.log_scores(torch.from_numpy(rows(1)), np.array([0]))
    assert view.ledger.spent.tolist() == [2, 2]


def test_nothing_is_asked_that_cannot_be_paid() -> None:
    remote = Remote()
    view = View(remote, Access.SCORES, QueryLedger(2, Limit(per_goal=2)))
    with pytest.raises(BudgetExhausted):
        view.scores(rows(4), np.array([0, 0, 0, 1]))
    assert (remote.asked, view.ledger.total) == (0, 0)
    view.scores(rows(3), np.array([0, 0, 1]))
    assert (remote.asked, view.ledger.total) == (3, 3)


def test_a_target_cannot_be_made_to_give_more_than_it_has() -> None:
    with pytest.raises(TargetError, match=r"remote answers scores at most.*needs weights"):
        View(Remote(), Access.WEIGHTS, QueryLedger(1))


@pytest.mark.parametrize("access", [Access.SCORES, Access.TOP_K, Access.LABEL])
def test_gradients_need_the_weights(access: Access) -> None:
    view = white_box(access)
    with pytest.raises(TargetError, match=f"allows {access}, but the attack asked for weights"):
        view.log_scores(torch.from_numpy(rows(1)), np.array([0]))
    assert view.ledger.total == 0


@pytest.mark.parametrize("access", [Access.TOP_K, Access.LABEL])
def test_all_confidences_need_scores(access: Access) -> None:
    view = white_box(access)
    with pytest.raises(TargetError, match="asked for scores"):
        view.scores(rows(1), np.array([0]))
    assert view.ledger.total == 0


def test_it_tells_what_images_and_classes_there_are() -> None:
    view = white_box(Access.SCORES)
    assert (view.spec, view.classes, view.access) == (ImageSpec(SHAPE), 2, Access.SCORES)


def test_output_defences_stand_between_target_and_attacker() -> None:
    class Fixed(Remote):
        def scores(self, images: NDArray[np.float32]) -> NDArray[np.float64]:
            return np.tile([0.724, 0.276], (len(images), 1))

    goals = np.zeros(1, np.int64)
    rounded = View(Fixed(), Access.SCORES, QueryLedger(1), defense=Pipeline((Rounding(1),)))
    np.testing.assert_allclose(rounded.scores(rows(1), goals), [[0.7, 0.3]])
    best = View(Fixed(), Access.SCORES, QueryLedger(1), defense=Pipeline((KeepTopK(1),)))
    assert (best.access, best.k) == (Access.TOP_K, 1)
    assert best.top_k(rows(1), goals).classes.tolist() == [[0]]
    with pytest.raises(TargetError, match="allows top_k"):
        best.scores(rows(1), goals)
    label = View(Fixed(), Access.SCORES, QueryLedger(1), defense=Pipeline((LabelOnly(),)))
    assert label.labels(rows(1), goals).tolist() == [0]
    with pytest.raises(TargetError, match="allows label"):
        label.top_k(rows(1), goals)
    assert label.ledger.total == 1


def test_who_has_the_weights_sees_through_output_defences() -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(4, 2))
    target = TorchTarget(model, SHAPE)
    view = View(target, Access.WEIGHTS, QueryLedger(1), defense=Pipeline((LabelOnly(),)))
    goals = np.zeros(1, np.int64)
    np.testing.assert_array_equal(view.scores(rows(1), goals), target.scores(rows(1)))
