"""What softness, noise and averages are for, and not for, on models whose truth is known."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from darkroom.access import Access
from darkroom.demo.people.employees import render_faces
from darkroom.images.attacks.gradient import GradientAttack
from darkroom.images.targets.torch import TorchTarget
from darkroom.images.targets.view import View
from darkroom.ledger import QueryLedger
from darkroom.statistics.means import mean_interval
from darkroom.vision.judges.gallery import Gallery, fit_gallery
from darkroom.vision.judges.ranks import log_rank_right, log_ranks_of_guesses, rank_right
from darkroom.vision.priors.base import ImagePrior
from darkroom.vision.priors.spaces import EigenfacePrior, MeanPrior
from darkroom.vision.spec import ImageSpec

Images = NDArray[np.float32]
Floats = NDArray[np.float64]

HARD: dict[str, Any] = {"softness": 0.0, "noise": 0.0, "average": False}
UNMOVED: dict[str, Any] = {"shift": 0.0, "turn": 0.0, "zoom": 0.0, "flip": 0.0}
PEOPLE, SIDE = 16, 24


def answer(
    attack: GradientAttack, model: nn.Module, prior: ImagePrior, goals: int, seed: int = 0
) -> Images:
    view = View(TorchTarget(model, prior.spec.shape), Access.WEIGHTS, QueryLedger(goals))
    *_, last = attack.run(view, prior, np.arange(goals), rng=np.random.default_rng(seed))
    return last.reconstructions


def linear(weights: Floats | Tensor) -> nn.Module:
    layer = nn.Linear(weights.shape[1], len(weights))
    with torch.no_grad():
        layer.weight.copy_(torch.as_tensor(weights))
        layer.bias.zero_()
    return nn.Sequential(nn.Flatten(), layer)


@pytest.mark.medium
@pytest.mark.parametrize("seed", range(4))
def test_a_rival_who_looks_alike_does_not_take_over_a_soft_margin(seed: int) -> None:
    """What parts two who are alike shows neither of them; what parts one from all shows them."""
    rng = np.random.default_rng(seed)
    truth = rng.standard_normal((10, 64))
    truth[1] = truth[0] + 0.5 * rng.standard_normal(64)
    prior = MeanPrior(torch.full((1, 8, 8), 0.5), ImageSpec((1, 8, 8)), 0.2)
    likeness = []
    for softness in (0.0, 3.0):
        kept = {**HARD, **UNMOVED, "softness": softness, "confidence": 1.0, "probes": 0}
        shown = answer(GradientAttack(60, learning_rate=0.1, **kept), linear(0.3 * truth), prior, 2)
        both = np.corrcoef(shown.reshape(2, -1), truth[:2])[:2, 2:].diagonal()
        likeness.append(float(both.mean()))
    assert likeness[1] > 0.8
    assert likeness[1] > likeness[0] + 0.1


class Spike(nn.Module):
    """A wide hill at a mean of 0.75, and a higher one at 0.502 that is as narrow as a hair."""

    def forward(self, images: Tensor) -> Tensor:
        level = images.flatten(1).mean(dim=1)
        wide, narrow = 6 - 90 * (level - 0.75).square(), 9 - 90000 * (level - 0.502).square()
        return torch.stack([torch.maximum(wide, narrow), torch.zeros_like(level)], dim=1)


@pytest.mark.medium
@pytest.mark.parametrize(("noise", "level"), [(0.0, 0.502), (0.5, 0.75)])
def test_noise_passes_over_what_only_the_model_sees(noise: float, level: float) -> None:
    prior = EigenfacePrior(
        torch.full((1, 3, 4), 0.5), torch.full((1, 12), 0.2), ImageSpec((1, 3, 4)), reach=2.0
    )
    kept = {**HARD, **UNMOVED, "noise": noise, "confidence": 1.0, "prior_weight": 0.0}
    shown = answer(GradientAttack(500, **kept), Spike(), prior, 1)
    assert shown.mean() == pytest.approx(level, abs=0.03)


class Bowl(nn.Module):
    """Surest of one image, and less so by the square of the distance from it."""

    def __init__(self, best: Tensor) -> None:
        super().__init__()
        self.best = best

    def forward(self, images: Tensor) -> Tensor:
        away = (images - self.best).square().flatten(1).sum(dim=1)
        return torch.stack([6 - 20 * away, torch.zeros_like(away)], dim=1)


@pytest.mark.medium
def test_the_average_of_a_noisy_path_is_nearer_to_its_end() -> None:
    best = 0.3 + 0.4 * torch.rand(1, 8, 8, generator=torch.Generator().manual_seed(0))
    prior = MeanPrior(torch.full((1, 8, 8), 0.5), ImageSpec((1, 8, 8)), 0.2)
    off = []
    for average in (False, True):
        kept = {**HARD, **UNMOVED, "noise": 1.0, "average": average, "confidence": 1.0}
        attack = GradientAttack(600, learning_rate=0.3, prior_weight=0.0, probes=0, **kept)
        off.append(float(np.abs(answer(attack, Bowl(best), prior, 1)[0] - best.numpy()).mean()))
    assert off[1] < 0.5 * off[0]


@cache
def photos() -> tuple[Images, Images, Images]:
    """People under attack, people known to everybody, and strangers, ``(people, photos, ...)``."""
    own = render_faces(PEOPLE, 16, role="employees", seed=0, size=SIDE).images
    public = render_faces(60, 4, role="strangers", seed=0, size=SIDE).images
    others = render_faces(150, 2, role="bystanders", seed=0, size=SIDE).images
    return own, public, others


def flat(images: Images) -> tuple[Images, NDArray[np.int64]]:
    people, each = images.shape[:2]
    return images.reshape(-1, *images.shape[2:]), np.repeat(np.arange(people), each)


@cache
def judged_by() -> tuple[EigenfacePrior, Gallery, Floats]:
    """What the attacker knows, who is ranked, and how guesses rank."""
    own, public, others = photos()
    known = flat(public)
    prior = EigenfacePrior.fit(known[0], ImageSpec((3, SIDE, SIDE)), components=60)
    gallery = fit_gallery(known, flat(own[:, 12:]), flat(others))
    with torch.no_grad():
        draws = prior.decode(prior.draw(300, torch.Generator().manual_seed(1))).numpy()
    return prior, gallery, log_ranks_of_guesses(gallery.likeness(draws), PEOPLE)


def trained(names: NDArray[np.int64]) -> nn.Module:
    """Softmax regression that tells apart those photos which are called differently."""
    images = torch.from_numpy(flat(photos()[0][:, :12])[0])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Flatten(), nn.Linear(3 * SIDE * SIDE, PEOPLE))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    for _ in range(150):
        loss = functional.cross_entropy(model(2 * images - 1), torch.from_numpy(names))
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return nn.Sequential(_Centre(), model)


class _Centre(nn.Module):
    def forward(self, images: Tensor) -> Tensor:
        return 2 * images - 1


def bits(names: NDArray[np.int64], attack: GradientAttack) -> tuple[Floats, float]:
    prior, gallery, guessed = judged_by()
    likeness = gallery.likeness(answer(attack, trained(names), prior, PEOPLE))
    together = rank_right(likeness, np.random.default_rng(0)).p_together
    return guessed - log_rank_right(likeness), together


@pytest.mark.medium
def test_people_are_narrowed_down_by_a_model_that_learned_them() -> None:
    gained, together = bits(np.repeat(np.arange(PEOPLE), 12), GradientAttack(150))
    assert mean_interval(gained, lowest=gained.min(), highest=gained.max()).low > 1
    assert together < 0.001


@pytest.mark.medium
def test_nobody_is_narrowed_down_by_a_model_of_shuffled_names() -> None:
    names = np.random.default_rng(0).permutation(np.repeat(np.arange(PEOPLE), 12))
    gained, together = bits(names, GradientAttack(150))
    assert mean_interval(gained, lowest=gained.min(), highest=gained.max()).low <= 0
    assert together > 0.01
