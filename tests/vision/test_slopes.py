"""Gradients that tell how answers change, and those that are masked."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from darkroom.access import Access
from darkroom.images.targets.torch import TorchTarget
from darkroom.verifiers.targets.encoders import TorchEncoder
from darkroom.vision.networks.slopes import slopes_tell
from darkroom.vision.spec import ImageSpec

SPEC = ImageSpec((3, 8, 8))
Change = Callable[[Tensor], Tensor]


class Changed(nn.Module):
    """A small net behind something that is done to its images."""

    def __init__(self, before: Change, scale: float = 1.0) -> None:
        super().__init__()
        self.before, self.scale = before, scale
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(288, 5))

    def forward(self, images: Tensor) -> Tensor:
        answers: Tensor = self.net(self.before(images))
        return self.scale * answers


def to_bytes(images: Tensor) -> Tensor:
    return (255 * images).round() / 255


SOUND: dict[str, Change] = {
    "as it is": lambda images: images,
    "standardised": lambda images: (images - 0.5) / 0.1,
    "straight through": lambda images: images + (to_bytes(images) - images).detach(),
    "nearly all detached": lambda images: 0.8 * images.detach() + 0.2 * images,
    "blank": lambda images: 0 * images,
}

MASKED: dict[str, Change] = {
    "bytes": to_bytes,
    "bytes beside a faint path": lambda images: to_bytes(images) + 1e-6 * images,
    "detached": lambda images: images.detach() + 0 * images,
    "turned round": lambda images: 2 * images.detach() - images,
    "without gradients": lambda images: torch.from_numpy(images.detach().numpy()),
}


@pytest.mark.parametrize("name", SOUND)
def test_gradients_that_tell_are_kept(name: str) -> None:
    target = TorchTarget(Changed(SOUND[name]), SPEC.shape)
    assert target.access is Access.WEIGHTS
    assert TorchEncoder(Changed(SOUND[name]), SPEC).differentiable


@pytest.mark.parametrize("name", MASKED)
def test_masked_gradients_are_none(name: str) -> None:
    target = TorchTarget(Changed(MASKED[name]), SPEC.shape)
    assert target.access is Access.SCORES
    assert not TorchEncoder(Changed(MASKED[name]), SPEC).differentiable


@pytest.mark.parametrize("scale", [1e-3, 1.0, 100.0, 10_000.0])
def test_how_sharp_answers_are_changes_nothing(scale: float) -> None:
    net = Changed(SOUND["as it is"], scale)
    model = nn.Sequential(net, nn.Softmax(dim=1))
    target = TorchTarget(model, SPEC.shape, outputs="probabilities")
    assert target.access is Access.WEIGHTS


@pytest.mark.parametrize("steps", [2.0, 200.0])
def test_steps_are_told_from_sharp_bends(steps: float) -> None:
    images = torch.rand((4, 3, 8, 8), generator=torch.Generator().manual_seed(0))
    assert not slopes_tell(lambda x: ((steps * x).floor() + 0 * x).flatten(1), images)
    # Four places miss most of a bend as sharp as that, and many do not.
    assert slopes_tell(lambda x: torch.sigmoid(steps * (x - 0.5)).flatten(1), images)
