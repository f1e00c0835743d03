"""What is timed on a processor and on a GPU, and what is said where there is none."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from benchmarks.claims import Outcome, show
from benchmarks.scale import accelerator
from benchmarks.scale.accelerator import accelerator_claims, gradient_pace, judges_seconds
from benchmarks.scale.resnet import resnet50
from torch import Tensor, nn

from darkroom.images.attacks.gradient import GradientAttack
from darkroom.vision.spec import ImageSpec

CPU = torch.device("cpu")


def test_it_is_resnet_50() -> None:
    with torch.random.fork_rng(devices=[]), torch.device("meta"):
        net = resnet50(1000)
    weights = [weight.numel() for weight in net.parameters()]
    assert sum(weights) == 25_557_032
    assert len(weights) == 161
    assert net(torch.empty(2, 3, 112, 112, device="meta")).shape == (2, 1000)


def test_without_a_gpu_the_processor_alone_is_measured(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(accelerator, "gradient_pace", lambda *_, **__: (110.0, 100.0))
    claims, tables = accelerator_claims(tmp_path, quick=False, seed=0)
    assert [claim.measured for claim in claims] == [1.1, None, None]
    assert [claim.holds for claim in claims] == [True, False, False]
    assert show("scale", Outcome(claims, tables), quick=False, bare=False) == 1
    *_, speed, seconds, _ = capsys.readouterr().out.splitlines()
    assert "not measured" in speed
    assert "not measured" in seconds


class Counted(nn.Module):
    """Softmax regression that counts rows."""

    def __init__(self) -> None:
        super().__init__()
        self.line, self.rows = nn.Linear(64, 6), 0

    def forward(self, images: Tensor) -> Tensor:
        self.rows += len(images)
        found: Tensor = self.line(images.flatten(1))
        return found


def test_both_ways_answer_as_many_rows() -> None:
    net = Counted()
    attack = GradientAttack(steps=4, settle=9, confidence=1.0)
    alone, ours = gradient_pace(net, ImageSpec((1, 8, 8)), attack, CPU, batch=6, seed=0, turns=1)
    expected = 2 * 2 * 6 * attack.expected_queries()
    assert expected <= net.rows <= expected + 40  # and what is asked when the target is wrapped
    assert alone > 0
    assert ours > 0


@pytest.mark.medium
def test_judges_are_trained_on_faces_that_differ() -> None:
    assert judges_seconds(8, 16, 3, CPU, 0) > 0


@pytest.mark.medium
def test_a_gpu_is_measured_where_there_is_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "a GPU")
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (1 << 30, 1 << 31))
    monkeypatch.setattr(accelerator, "gradient_pace", lambda *_, **__: (100.0, 85.0))
    monkeypatch.setattr(accelerator, "judges_seconds", lambda *_: 12.0)
    claims, tables = accelerator_claims(tmp_path, quick=True, seed=0)
    assert [claim.measured for claim in claims] == [100 / 85, 0.85, 12.0]
    assert [claim.holds for claim in claims] == [False, True, True]
    assert tables[0].title == "Passes of a ResNet-50, GPU: a GPU"
