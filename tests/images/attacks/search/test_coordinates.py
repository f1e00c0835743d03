"""Flat coordinates of a latent space."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from darkroom.images.attacks.search.coordinates import MOST, Coordinates
from darkroom.vision.priors.base import ImagePrior
from darkroom.vision.priors.spaces import EigenfacePrior, GeneratorPrior, MeanPrior
from darkroom.vision.spec import ImageSpec

SPEC = ImageSpec((1, 6, 6))
GENERATOR = torch.Generator().manual_seed(0)


def eigenfaces() -> EigenfacePrior:
    rows = torch.linalg.qr(torch.randn(36, 4, generator=GENERATOR))[0].T
    scaled = rows * torch.tensor([0.4, 0.2, 0.1, 0.05])[:, None]
    return EigenfacePrior(torch.full(SPEC.shape, 0.5), scaled, SPEC)


def generator() -> GeneratorPrior:
    module = nn.Sequential(nn.Linear(3, 36), nn.Sigmoid(), nn.Unflatten(1, SPEC.shape))
    return GeneratorPrior(module, 3, SPEC, origin=torch.ones(3))


@pytest.mark.parametrize("prior", [eigenfaces(), generator(), MeanPrior.black(SPEC)])
def test_there_and_back(prior: ImagePrior) -> None:
    coordinates = Coordinates(prior)
    points = 0.3 * torch.rand(5, coordinates.dimensions, generator=GENERATOR)
    latents = coordinates.latents(points)
    assert latents.shape == (5, *prior.latent_shape)
    torch.testing.assert_close(coordinates.points(latents), points)
    zero = torch.zeros(1, coordinates.dimensions)
    torch.testing.assert_close(coordinates.latents(zero)[0], prior.start())


def test_what_a_coordinate_shows() -> None:
    visible = Coordinates(eigenfaces()).visible
    torch.testing.assert_close(visible / visible[0], torch.tensor([1, 0.5, 0.25, 0.125]))
    assert float(visible.mean()) == pytest.approx(1)


def test_points_are_kept_within_the_priors_bounds() -> None:
    coordinates = Coordinates(eigenfaces())
    bounded = coordinates.bounded(torch.full((1, 4), 9.0))
    assert float(bounded.square().mean().sqrt()) == pytest.approx(1.0)


def test_large_images_are_searched_at_their_lowest_frequencies() -> None:
    prior = MeanPrior(torch.full((3, 40, 30), 0.5), ImageSpec((3, 40, 30)))
    coordinates = Coordinates(prior)
    assert coordinates.dimensions <= MOST
    first = torch.zeros(1, coordinates.dimensions)
    first[0, 0] = 1
    image = coordinates.latents(first)[0]
    assert float(image[0].std()) == pytest.approx(0, abs=1e-6)
    assert float(image[0].mean()) > 0
    assert float(image[1].abs().max()) == 0
    torch.testing.assert_close(coordinates.points(image[None]), first, atol=1e-5, rtol=0)
