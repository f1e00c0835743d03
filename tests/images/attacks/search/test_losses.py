"""What makes up for log-confidences that differ too little."""

from __future__ import annotations

import pytest
import torch

from darkroom.images.attacks.search.losses import ENOUGH, objective, sharpness
from darkroom.vision.priors.spaces import MeanPrior
from darkroom.vision.spec import ImageSpec

PRIOR = MeanPrior(torch.full((1, 4, 4), 0.5), ImageSpec((1, 4, 4)), 0.2)
STARTS = torch.zeros(3, 1, 4, 4)


def slopes(*sizes: float) -> torch.Tensor:
    directions = torch.randn(3, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    directions /= directions.flatten(1).norm(dim=1).view(-1, 1, 1, 1)
    return directions * torch.tensor(sizes).view(-1, 1, 1, 1)


def test_with_it_the_margin_can_grow_by_enough() -> None:
    weight = 2.0
    found = sharpness(PRIOR, STARTS, slopes(0.01, 0.02, 1e6), weight)
    assert found is not None
    assert found[2] == 1
    # On the way w along a slope g the margin grows by g w, and the energy by c w squared.
    price = weight * 0.5 / 0.2**2 / 16
    for slope, factor in zip((0.01, 0.02), found, strict=False):
        ways = torch.linspace(0, 10, 100_001)
        gained = (slope * factor * ways - price * ways**2).max()
        assert gained == pytest.approx(ENOUGH, rel=1e-3)


def test_nothing_is_multiplied_where_nothing_is_needed_or_nothing_is_there() -> None:
    assert sharpness(PRIOR, STARTS, slopes(1e6, 1e6, 0), 1.0) is None
    assert sharpness(PRIOR, STARTS, slopes(1e-6, 1e-6, 1e-6), 0.0) is None


@pytest.mark.parametrize("softness", [0.0, 1.5])
@pytest.mark.parametrize("loss", ["margin", "cross-entropy"])
def test_sharper_is_as_with_larger_logits(softness: float, loss: str) -> None:
    logits = torch.randn(5, 4, generator=torch.Generator().manual_seed(1))
    classes = torch.tensor([0, 1, 2, 3, 0])
    faint = (logits / 100).log_softmax(dim=1)
    one, other = (
        objective(logits.log_softmax(dim=1), classes, loss, softness),  # type: ignore[arg-type]
        objective(faint, classes, loss, softness, torch.full((5,), 100.0)),  # type: ignore[arg-type]
    )
    torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)


def test_beside_a_faint_goal_another_has_the_same_loss_to_the_last_bit() -> None:
    logits = torch.randn(500, 7, generator=torch.Generator().manual_seed(2)).log_softmax(dim=1)
    classes = torch.arange(500) % 7
    factors = torch.where(torch.arange(500) % 2 == 0, 1.0, 30.0)
    alone = objective(logits, classes, "margin", 1.5)
    beside = objective(logits, classes, "margin", 1.5, factors)
    assert torch.equal(alone[::2], beside[::2])
    assert not torch.equal(alone, beside)
