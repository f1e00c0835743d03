"""Models whose log-confidences differ so little that a prior would outweigh them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from tests.images.attacks.test_gradient import STILL, Linear, attack_all, gray, rows

from darkroom.access import Access
from darkroom.images.attacks.gradient import GradientAttack, _Search
from darkroom.images.targets.torch import TorchTarget
from darkroom.images.targets.view import View
from darkroom.ledger import QueryLedger
from darkroom.vision.priors.spaces import MeanPrior
from darkroom.vision.spec import ImageSpec

SQUARE = ImageSpec((1, 8, 8))
WEIGHTS = rows(classes=6, pixels=64)


def likeness(images: NDArray[np.float32]) -> NDArray[np.float64]:
    found = np.corrcoef(images.reshape(6, -1), WEIGHTS)[:6, 6:]
    return np.asarray(found.diagonal())


def search(scale: float, prior: MeanPrior, **options: Any) -> _Search:
    attack = GradientAttack(60, **{**STILL, **options})
    target = TorchTarget(Linear(WEIGHTS * scale), SQUARE.shape)
    view = View(target, Access.WEIGHTS, QueryLedger(6))
    found = _Search(attack, view, prior, np.arange(6), np.random.default_rng(0))
    for _ in attack._steps(found):
        pass
    return found


@pytest.mark.parametrize("scale", [1e-4, 1e-5])
def test_the_prior_does_not_outweigh_a_model_whose_logits_are_tiny(scale: float) -> None:
    answer = attack_all(
        GradientAttack(60, **STILL), Linear(WEIGHTS * scale), gray(spec=SQUARE), list(range(6))
    )[-1]
    assert likeness(answer.reconstructions).min() > 0.5
    assert np.abs(answer.reconstructions - 0.5).max() > 0.3


def test_every_restart_gets_as_far() -> None:
    """A start off the prior's most typical image has a slope of the prior's own."""
    found = search(1e-5, gray(spec=SQUARE), restarts=2).best_objective.reshape(6, 2)
    torch.testing.assert_close(found[:, 0], found[:, 1], rtol=0.1, atol=0.1)


def test_smoothness_is_no_slope_of_the_margin() -> None:
    texture = torch.rand(SQUARE.shape, generator=torch.Generator().manual_seed(0))
    prior = MeanPrior(texture, SQUARE, 0.2)
    plain, smooth = (search(1e-4, prior, total_variation=weight).sharper for weight in (0.0, 0.5))
    assert plain is not None
    assert smooth is not None
    torch.testing.assert_close(plain, smooth)


def test_cross_entropy_is_left_alone() -> None:
    assert search(1e-4, gray(spec=SQUARE), loss="cross-entropy").sharper is None
