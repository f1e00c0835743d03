"""Ten networks of the benchmark of bits, the split of them, and how people are ranked."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from benchmarks.nets.networks import ARCHITECTURES, SIDE, TRIED, TUNED
from benchmarks.nets.people import Ranker, centres, placed
from torch import Tensor, nn

PEOPLE, STRANGERS = 5, 60


def test_every_architecture_is_tuned_on_once_and_tried_on_once() -> None:
    every = set(itertools.product(ARCHITECTURES, (False, True)))
    assert {tuple(net) for net in (*TUNED, *TRIED)} == every
    for part in (TUNED, TRIED):
        assert [net.architecture for net in part] == list(ARCHITECTURES)
        assert len({net.augmented for net in part}) == 2


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_network_answers_each_image_by_itself(architecture: str) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = ARCHITECTURES[architecture](7).eval()
        images = torch.rand(3, 3, SIDE, SIDE)
    images.requires_grad_()
    answers = model(images)
    assert answers.shape == (3, 7)
    torch.testing.assert_close(model(images[1:2]), answers[1:2], rtol=1e-3, atol=1e-4)
    gradient = torch.autograd.grad(answers[0].square().sum(), images)[0]
    assert gradient[0].abs().max() > 0
    assert gradient[1:].abs().max() == 0


class Colours(nn.Module):
    """Places an image by its own mean colour."""

    def forward(self, images: Tensor) -> Tensor:
        return images.mean(dim=(2, 3)) - 0.5


def coloured(colours: Tensor) -> np.ndarray:
    return colours[:, None, :, None, None].expand(-1, 2, -1, 4, 4).contiguous().numpy()


def test_right_people_are_first_and_wrong_ones_are_not() -> None:
    colours = torch.rand(PEOPLE + STRANGERS, 3, generator=torch.Generator().manual_seed(0))
    photos = coloured(colours)
    everybody = centres(Colours(), photos)
    np.testing.assert_allclose(everybody, placed(Colours(), photos[:, 0]), atol=1e-6)
    guessed = np.full(PEOPLE, np.log2(STRANGERS))
    ranker = Ranker(Colours(), everybody, guessed)
    own = ranker.bits(photos[:PEOPLE, 0])
    assert own.mean() > 4
    exchanged = ranker.bits(np.roll(photos[:PEOPLE, 0], 1, axis=0))
    assert exchanged.mean() < 3
