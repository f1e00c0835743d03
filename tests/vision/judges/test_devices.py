"""Judges learn and look where the target is; nothing here needs a second device."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from tests.support.elsewhere import DEVICE, Elsewhere, There
from torch import Tensor, nn

from darkroom.auditing.artefacts import Artefacts
from darkroom.images.subject import Subject
from darkroom.images.targets.torch import TorchTarget
from darkroom.vision.judges.base import Judge, Recogniser, Report
from darkroom.vision.judges.panel import Judgement, Panel
from darkroom.vision.judges.recognisers import (
    ConvolutionalNet,
    EqualDropout,
    NearestNeighbour,
    NetRecogniser,
    own_judges,
)
from darkroom.vision.judging import kept_people
from darkroom.vision.photos import Photos

SHAPE, PEOPLE, STRANGERS = (1, 24, 20), 4, 6


def photos_of(people: int, each: int, seed: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    rng = np.random.default_rng(seed)
    faces = rng.random((people, *SHAPE), np.float32)
    who = np.repeat(np.arange(people), each)
    noise = rng.random((len(who), *SHAPE), np.float32)
    return (0.9 * faces[who] + 0.1 * noise).astype(np.float32), who


def fit(device: torch.device, judges: list[Judge]) -> Panel:
    images, people = photos_of(PEOPLE, 4, 1)
    public, strangers = photos_of(STRANGERS, 3, 2)
    return Panel.fit(
        images,
        people,
        public_images=public,
        public_people=strangers,
        seed=5,
        judges=judges,
        device=device,
    )


def judged(panel: Panel) -> Judgement:
    return panel.judge(np.concatenate([photos_of(PEOPLE, 4, 1)[0], photos_of(STRANGERS, 3, 2)[0]]))


@pytest.mark.medium
def test_judges_elsewhere_say_what_judges_here_say() -> None:
    here = fit(torch.device("cpu"), [*own_judges(30)])
    with Elsewhere() as elsewhere:
        there = fit(DEVICE, [*own_judges(30)])
        net = there.judges[0]
        assert isinstance(net, NetRecogniser)
        assert isinstance(net.net[0].weight.data, There)
        found = judged(there)
        assert elsewhere.refused == elsewhere.doubles == []
        weights = [weight.detach().cpu() for weight in net.net.state_dict().values()]
    first = here.judges[0]
    assert isinstance(first, NetRecogniser)
    for one, other in zip(first.net.state_dict().values(), weights, strict=True):
        # Before a normalising layer a bias has no gradient but rounding, which Adam makes large.
        if one.ndim > 1:
            assert float((one - other).norm() / one.norm()) < 1e-3
    expected = judged(here)
    assert (expected.predictions == found.predictions).all()
    assert len(np.unique(expected.predictions)) == PEOPLE + 1
    np.testing.assert_array_equal(expected.measures, found.measures)


@pytest.mark.medium
def test_nothing_comes_back_while_they_learn() -> None:
    images, people = photos_of(PEOPLE, 4, 1)
    for judge in (ConvolutionalNet(3), NearestNeighbour()):
        with Elsewhere() as elsewhere:
            judge.fit(torch.from_numpy(images).to(DEVICE), people, seed=0)
            assert elsewhere.back == elsewhere.refused == elsewhere.doubles == []


@dataclass(frozen=True)
class Own(Judge):
    """A judge of somebody's own, that knows of no device."""

    name: ClassVar[str] = "own"

    def fit(
        self,
        images: Tensor,
        people: NDArray[np.int64],
        *,
        seed: int,
        on_progress: Report | None = None,
    ) -> Recogniser:
        known = images.numpy().mean()
        return lambda seen: np.where(seen.numpy().mean(axis=(1, 2, 3)) > known, 0, 1)


@pytest.mark.medium
def test_a_judge_that_knows_of_no_device_stays_on_the_processor() -> None:
    expected = judged(fit(torch.device("cpu"), [Own(), NearestNeighbour()]))
    with Elsewhere():
        found = judged(fit(DEVICE, [Own(), NearestNeighbour()]))
    assert (expected.predictions == found.predictions).all()


def subject_on(device: torch.device) -> Subject:
    images, people = photos_of(PEOPLE, 4, 1)
    with torch.random.fork_rng(devices=[]):
        model = nn.Sequential(nn.Flatten(), nn.Linear(480, PEOPLE))
    private = Photos.of(images, people)
    public = Photos.of(*photos_of(STRANGERS, 3, 2))
    target = TorchTarget(model, SHAPE, device=str(device))
    return Subject(target, private, private.numbers < 2, public, None)


@pytest.mark.medium
def test_what_is_kept_goes_where_the_target_is(tmp_path: Path) -> None:
    def made(device: torch.device) -> Panel:
        people = kept_people(
            subject_on(device), 3, own_judges(4), Artefacts(tmp_path), lambda *_: None
        )
        return people.panel

    def names() -> set[str]:
        return {file.name for file in tmp_path.glob("judges-*.npz")}

    expected = judged(made(torch.device("cpu")))
    ours = names()
    with Elsewhere():
        first, again = judged(made(DEVICE)), made(DEVICE)
        net = again.judges[0]
        assert isinstance(net, NetRecogniser)
        assert isinstance(net.net[0].weight.data, There)
        assert (judged(again).predictions == first.predictions).all()
    assert len(ours) == 1
    assert len(names()) == 2
    assert (judged(made(torch.device("cpu"))).predictions == expected.predictions).all()
    assert len(names()) == 2


def test_dropout_is_drawn_on_the_processor_as_pytorch_draws_it_there() -> None:
    rows = torch.rand(8, 6, generator=torch.Generator().manual_seed(0)).requires_grad_()
    found = []
    for layer in (nn.Dropout(0.3), EqualDropout(0.3)):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(1)
            seen = layer(rows)
        found.append((seen.detach(), torch.autograd.grad(seen.square().sum(), rows)[0]))
    assert torch.equal(found[0][0], found[1][0])
    assert torch.equal(found[0][1], found[1][1])
    assert torch.equal(EqualDropout(0.3).eval()(rows), rows)
    with Elsewhere() as elsewhere:
        there = torch.ones(8, 6).to(DEVICE)
        elsewhere.crossings.clear()
        EqualDropout(0.3)(there)
        assert elsewhere.crossings == ["aten._to_copy.default"]
