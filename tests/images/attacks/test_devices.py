"""Steps with gradients stay where the target is; nothing here needs a second device."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from tests.support.elsewhere import DEVICE, Elsewhere, There
from torch import nn

from darkroom.access import Access
from darkroom.images.attacks.base import Attack, Progress
from darkroom.images.attacks.gradient import GradientAttack, _Search
from darkroom.images.attacks.mi_face import Algorithm1, MIFaceAttack, Start
from darkroom.images.false_positives import _ascend_chunk
from darkroom.images.targets.torch import TorchTarget
from darkroom.images.targets.view import View
from darkroom.ledger import QueryLedger
from darkroom.testing.images.small import CLASSES, SPEC, small_photos, small_prior
from darkroom.vision.priors.base import ImagePrior
from darkroom.vision.priors.spaces import GeneratorPrior, MeanPrior

GOALS = np.arange(CLASSES)
ATTACK = GradientAttack(steps=2, restarts=2, settle=2, probes=1, total_variation=0.1)
FIRST = MIFaceAttack(steps=4, patience=2, learning_rate=0.3, process="denoise-sharpen")


def network(end: nn.Module) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        layers = [nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(256, CLASSES)]
        return nn.Sequential(*layers, end)


def make_view(device: torch.device, outputs: Any = "logits") -> View:
    end = nn.Identity() if outputs == "logits" else nn.Softmax(dim=1)
    target = TorchTarget(network(end), SPEC.shape, outputs=outputs, device=str(device))
    return View(target, Access.WEIGHTS, QueryLedger(CLASSES))


def generator() -> GeneratorPrior:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(2)
        module = nn.Sequential(nn.Linear(10, 64), nn.Sigmoid(), nn.Unflatten(1, SPEC.shape))
    return GeneratorPrior(module, 10, SPEC)


def mean() -> MeanPrior:
    return MeanPrior.fit(small_photos(), SPEC)


PRIORS: list[Callable[[], ImagePrior]] = [small_prior, generator, mean]


def run(view: View, prior: ImagePrior, attack: Attack = ATTACK) -> Progress:
    *_, end = attack.run(view, prior, GOALS, rng=np.random.default_rng(0))
    return end


@pytest.mark.medium
@pytest.mark.parametrize("outputs", ["logits", "probabilities"])
@pytest.mark.parametrize("make", PRIORS, ids=lambda make: make.__name__)
def test_another_device_gives_the_same_answer(make: Callable[[], ImagePrior], outputs: str) -> None:
    here = run(make_view(torch.device("cpu"), outputs), make())
    with Elsewhere():
        there = run(make_view(DEVICE, outputs), make())
    np.testing.assert_allclose(here.reconstructions, there.reconstructions, atol=1e-5)
    np.testing.assert_allclose(here.confidence, there.confidence, atol=1e-5)
    assert here.queries.tolist() == there.queries.tolist()


@pytest.mark.medium
@pytest.mark.parametrize("outputs", ["logits", "probabilities"])
@pytest.mark.parametrize("make", PRIORS, ids=lambda make: make.__name__)
def test_within_a_step_no_row_crosses_and_nothing_is_of_64_bits(
    make: Callable[[], ImagePrior], outputs: str
) -> None:
    with Elsewhere() as elsewhere:
        search = _Search(ATTACK, make_view(DEVICE, outputs), make(), GOALS, np.random.default_rng())
        for _ in range(3):  # the first draws moves for many, and measures what rows take
            search.differentiate()
            search.advance()
        assert isinstance(search.latents, There)
        with elsewhere.seal():
            search.differentiate()
            search.advance()


@pytest.mark.medium
@pytest.mark.parametrize("start", ["prior", "black"])
def test_mi_face_gives_the_same_answer_on_another_device(start: Start) -> None:
    attack = replace(FIRST, start=start, auxiliary=0.1)
    here = run(make_view(torch.device("cpu")), mean(), attack)
    with Elsewhere() as elsewhere:
        there = run(make_view(DEVICE), mean(), attack)
        assert elsewhere.refused == elsewhere.doubles == []
    np.testing.assert_allclose(here.reconstructions, there.reconstructions, atol=1e-5)
    np.testing.assert_allclose(here.confidence, there.confidence, atol=1e-5)
    assert here.confidence.dtype == there.confidence.dtype == np.float64
    assert here.queries.tolist() == there.queries.tolist()


@pytest.mark.medium
def test_within_a_step_of_mi_face_no_row_crosses() -> None:
    attack = replace(FIRST, patience=9)  # nobody stops
    with Elsewhere() as elsewhere:
        search = Algorithm1(attack, make_view(DEVICE), mean(), GOALS)
        for step in range(3):  # what filters weigh is brought there once
            search.ask()
            search.stop()
            search.advance(step + 1)
        assert isinstance(search.latents, There)
        assert not search.finished
        with elsewhere.seal():
            search.ask()
            search.stop()
            search.advance(4)


def test_what_crosses_is_seen() -> None:
    """Else the test above could not fail."""
    with Elsewhere() as elsewhere:
        view = make_view(DEVICE)
        # A view that does not say where its target is, as all were once.
        view._target.device = torch.device("cpu")
        search = _Search(ATTACK, view, small_prior(), GOALS, np.random.default_rng())
        view._target.device = DEVICE
        with elsewhere.seal(), pytest.raises(AssertionError, match=r"_to_copy.* crosses"):
            search.differentiate()
        rows = torch.ones(3).to(DEVICE)
        for wrong in (rows.cpu, rows.double, lambda: rows + torch.ones(3)):
            with elsewhere.seal(), pytest.raises(AssertionError, match=r"crosses|float64"):
                wrong()
        assert (rows + 1).cpu().tolist() == [2, 2, 2]


@pytest.mark.medium
def test_crossings_do_not_grow_with_the_steps() -> None:
    counts = []
    for steps in (7, 8):  # as many comparisons, and one draw of moves
        attack = GradientAttack(steps=steps, settle=steps)
        with Elsewhere() as elsewhere:
            view = make_view(DEVICE)
            for _ in attack.run(view, small_prior(), GOALS, rng=np.random.default_rng(0)):
                pass
        counts.append(len(elsewhere.crossings))
    assert counts[0] == counts[1] > 0


@pytest.mark.parametrize("outputs", ["logits", "probabilities"])
def test_scores_are_made_in_32_bits_and_widened_here(outputs: Any) -> None:
    images = small_photos(5)
    expected = make_view(torch.device("cpu"), outputs).scores(images, np.zeros(5, np.int64))
    with Elsewhere() as elsewhere:
        found = make_view(DEVICE, outputs).scores(images, np.zeros(5, np.int64))
        assert elsewhere.refused == elsewhere.doubles == []
        torch.ones(2).to(DEVICE).double()
        assert len(elsewhere.doubles) == 1
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_pictures_that_fool_the_target_are_grown_where_it_is() -> None:
    starts, goals = torch.from_numpy(small_photos(4)), torch.arange(4)
    here = make_view(torch.device("cpu"))._target
    assert isinstance(here, TorchTarget)
    expected = _ascend_chunk(here, starts, goals, 0.3, 9, None)
    assert expected[1].any()
    with Elsewhere() as elsewhere:
        there = make_view(DEVICE)._target
        assert isinstance(there, TorchTarget)
        moved, wanted = starts.to(DEVICE), goals.to(DEVICE)
        with elsewhere.seal():
            images, done = _ascend_chunk(there, moved, wanted, 0.3, 9, None)
        np.testing.assert_allclose(images.cpu(), expected[0], atol=1e-5)
        assert torch.equal(done.cpu(), expected[1])


def test_a_prior_goes_along_and_stays_where_it_was() -> None:
    for prior in (small_prior(), mean(), generator()):
        assert prior.to(torch.device("cpu")) is prior
        with Elsewhere():
            other = prior.to(DEVICE)
            latents = prior.start()[None].to(DEVICE)
            assert other.decode(latents).device == other.energy(latents).device == DEVICE
            assert other.project(latents).device == DEVICE
            assert torch.allclose(other.decode(latents).cpu(), prior.decode(prior.start()[None]))
        assert prior.decode(prior.start()[None]).device.type == "cpu"
