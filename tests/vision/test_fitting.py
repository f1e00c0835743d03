"""Rows that do not fit into a device's memory; nothing here needs such a device."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from tests.support.elsewhere import DEVICE, Elsewhere
from torch import Tensor, nn

from darkroom.access import Access
from darkroom.errors import TargetError
from darkroom.images.attacks.gradient import GradientAttack
from darkroom.images.targets.torch import TorchTarget
from darkroom.images.targets.view import View
from darkroom.ledger import QueryLedger
from darkroom.verifiers.targets.encoders import TorchEncoder
from darkroom.vision.memory import RowBudget, memory_on
from darkroom.vision.networks.fitting import Room
from darkroom.vision.priors.spaces import MeanPrior
from darkroom.vision.spec import ImageSpec

SPEC, CLASSES = ImageSpec((1, 8, 8)), 5


class Backward(torch.autograd.Function):
    """Returns what it is given, and has no memory for the gradients of many rows."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, most: int) -> Tensor:
        ctx.most = most
        return rows.clone()

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor, None]:
        if len(slope) > ctx.most:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")
        return slope, None


class Small(nn.Module):
    """Softmax regression on a device with memory for a few rows."""

    def __init__(self, forward: int = 99, backward: int = 99) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.line = nn.Linear(64, CLASSES)
        self.most, self.most_back = forward, backward
        self.asked: list[int] = []

    def forward(self, images: Tensor) -> Tensor:
        self.asked.append(len(images))
        if len(images) > self.most:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")
        seen = self.line(images.flatten(1))
        found: Tensor = Backward.apply(seen, self.most_back)  # type: ignore[no-untyped-call]
        return found


def images(count: int) -> np.ndarray:
    return np.random.default_rng(count).random((count, *SPEC.shape), np.float32)


@pytest.mark.medium
def test_scores_of_rows_that_do_not_fit_are_asked_in_halves() -> None:
    expected = TorchTarget(Small(), SPEC.shape).scores(images(20))
    model = Small(forward=6)
    with Elsewhere():
        target = TorchTarget(model, SPEC.shape, device=str(DEVICE))
        model.asked.clear()
        found = target.scores(images(20))
        assert model.asked == [20, 10, 5, 5, 5, 5]
        model.asked.clear()
        target.scores(images(20))
        assert model.asked == [5, 5, 5, 5]
    np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.medium
@pytest.mark.parametrize(("forward", "backward"), [(99, 99), (6, 99), (99, 6), (7, 3), (2, 1)])
def test_gradients_of_rows_that_do_not_fit(forward: int, backward: int) -> None:
    def gradient(target: TorchTarget, rows: Tensor) -> Tensor:
        rows.requires_grad_()
        return torch.autograd.grad(target.log_scores(rows)[:, 1].sum(), rows)[0]

    expected = gradient(TorchTarget(Small(), SPEC.shape), torch.from_numpy(images(20)))
    model = Small(forward, backward)
    with Elsewhere():
        target = TorchTarget(model, SPEC.shape, device=str(DEVICE))
        found = gradient(target, torch.from_numpy(images(20)).to(DEVICE)).cpu()
        assert (target.room.rows is None) == (min(forward, backward) > 20)
        model.asked.clear()
        gradient(target, torch.from_numpy(images(20)).to(DEVICE))
        assert max(model.asked) <= min(forward, backward)
        assert sum(model.asked) == (20 if min(forward, backward) > 20 else 40)
    assert torch.allclose(found, expected, atol=1e-6)


@pytest.mark.medium
def test_an_attack_is_charged_once_and_finds_the_same() -> None:
    attack, goals = GradientAttack(steps=3, restarts=4, settle=9), np.arange(CLASSES)
    prior = MeanPrior(torch.full(SPEC.shape, 0.5), SPEC)

    def run(model: nn.Module, device: torch.device) -> tuple[np.ndarray, np.ndarray]:
        target = TorchTarget(model, SPEC.shape, device=str(device))
        view = View(target, Access.WEIGHTS, QueryLedger(CLASSES))
        *_, end = attack.run(view, prior, goals, rng=np.random.default_rng(0))
        return end.reconstructions, end.queries

    expected = run(Small(), torch.device("cpu"))
    with Elsewhere():
        found = run(Small(forward=9, backward=4), DEVICE)
    np.testing.assert_allclose(found[0], expected[0], atol=1e-5)
    assert found[1].tolist() == expected[1].tolist() == [attack.expected_queries()] * CLASSES


@pytest.mark.medium
def test_templates_of_rows_that_do_not_fit() -> None:
    expected = TorchEncoder(Small(), SPEC).templates(images(20))
    with Elsewhere():
        encoder = TorchEncoder(Small(forward=3), SPEC, device=str(DEVICE))
        found = encoder.templates(images(20))
        assert encoder.room.rows == 2
    np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.medium
def test_one_row_that_does_not_fit_is_an_error_and_so_is_any_other() -> None:
    model = Small()
    with Elsewhere():
        target = TorchTarget(model, SPEC.shape, device=str(DEVICE))
        model.most = 0
        with pytest.raises(TargetError, match="no memory for a single image"):
            target.scores(images(4))
        target.room = Room()
        model.register_forward_pre_hook(lambda *_: torch.ones(2) @ torch.ones(3))
        with pytest.raises(RuntimeError, match="inconsistent tensor size"):
            target.scores(images(4))
        assert target.room.rows is None


def test_what_rows_take_is_measured_there_as_here() -> None:
    found = []
    for device in (torch.device("cpu"), DEVICE):
        with Elsewhere():
            target = TorchTarget(Small(), SPEC.shape, device=str(device))
            budget = RowBudget(1 << 20)
            for rows in (1, 2):
                seen = torch.zeros(rows, *SPEC.shape, device=device).requires_grad_()
                with budget.measured(rows):
                    target.log_scores(seen)
            found.append(budget.row_bytes)
    assert found[0] > 0
    assert found[0] == pytest.approx(found[1], rel=0.5)


def test_a_gpu_has_memory_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _device: (3000, 9000))
    assert memory_on(torch.device("cuda"), 10) == 1500
    assert memory_on(torch.device("cpu"), 10) == memory_on(torch.device("mps"), 10) == 10
