"""Priors against the algebra that defines them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from darkroom.errors import DataError, PlanError
from darkroom.testing.images.priors import PROMISES
from darkroom.vision.priors.base import ImagePrior
from darkroom.vision.priors.spaces import EigenfacePrior, GeneratorPrior, MeanPrior
from darkroom.vision.spec import ImageSpec

SHAPE = (1, 4, 5)
SPECS = [ImageSpec(SHAPE), ImageSpec(SHAPE, -1.0, 1.0), ImageSpec(SHAPE, 0.0, 255.0)]


def unit_photos(count: int = 30) -> NDArray[np.float32]:
    """Photos of a few degrees of freedom, within 0.2 and 0.8."""
    rng = np.random.default_rng(5)
    basis = rng.standard_normal((3, 20))
    rows = 0.5 + 0.05 * rng.standard_normal((count, 3)) @ basis
    return rows.clip(0.2, 0.8).reshape(count, *SHAPE).astype(np.float32)


def photos(spec: ImageSpec, count: int = 30) -> NDArray[np.float32]:
    return unit_photos(count) * np.float32(spec.width_of_range) + np.float32(spec.low)


def generator_prior(spec: ImageSpec, encoder: bool = False) -> GeneratorPrior:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        decoder = nn.Linear(20, 20)
    if encoder:
        nn.init.eye_(decoder.weight)
        nn.init.constant_(decoder.bias, 0.5)
    way_back = nn.Linear(20, 20)
    nn.init.eye_(way_back.weight)
    nn.init.constant_(way_back.bias, -0.5)
    return GeneratorPrior(
        nn.Sequential(decoder, nn.Unflatten(1, SHAPE)),
        20,
        spec,
        encoder=nn.Sequential(nn.Flatten(), way_back) if encoder else None,
    )


def make(kind: str, spec: ImageSpec) -> ImagePrior:
    if kind == "mean":
        return MeanPrior.fit(photos(spec), spec)
    if kind == "black":
        return MeanPrior.black(spec)
    if kind == "eigenfaces":
        return EigenfacePrior.fit(photos(spec), spec, augmentation=2)
    return generator_prior(spec)


@pytest.fixture(params=["mean", "black", "eigenfaces", "generator"])
def kind(request: pytest.FixtureRequest) -> str:
    chosen: str = request.param
    return chosen


@pytest.fixture(params=SPECS, ids=["0..1", "-1..1", "0..255"])
def spec(request: pytest.FixtureRequest) -> ImageSpec:
    chosen: ImageSpec = request.param
    return chosen


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("promise", PROMISES)
def test_every_prior_keeps_every_promise(
    kind: str, spec: ImageSpec, promise: Callable[[ImagePrior], None]
) -> None:
    promise(make(kind, spec))


def test_energies_do_not_hang_on_the_range(kind: str, spec: ImageSpec) -> None:
    prior, unit = make(kind, spec), make(kind, SPECS[0])
    latents = prior.start() + prior.spread * torch.randn(
        4, *prior.latent_shape, generator=seeded(2)
    )
    if kind != "eigenfaces":
        torch.testing.assert_close(prior.energy(latents), unit.energy(latents), rtol=1e-4, atol=0)


@pytest.mark.parametrize("kind", ["mean", "black", "generator"])
def test_projecting_changes_no_image(kind: str, spec: ImageSpec) -> None:
    prior = make(kind, spec)
    far = 3 * torch.randn(20, *prior.latent_shape, generator=seeded(0))
    kept = prior.decode(prior.project(far))
    torch.testing.assert_close(kept, prior.decode(far), atol=1e-4, rtol=0)


@pytest.mark.parametrize("reach", [0.5, 1.0, 3.0])
def test_eigenfaces_are_drawn_back_no_farther_than_their_reach(reach: float) -> None:
    prior = EigenfacePrior.fit(unit_photos(), SPECS[0], reach=reach)
    # Of one size in every coordinate, so that none alone goes beyond two deviations first.
    ways = torch.randn(5, *prior.latent_shape, generator=seeded(0)).sign()
    for size in (0.1, 0.4, 0.9, 2.0, 50.0):
        kept = prior.project(size * ways)
        torch.testing.assert_close(kept, min(size, reach, 2.0) * ways)


def test_no_eigenface_coordinate_stays_beyond_two_deviations() -> None:
    prior = EigenfacePrior.fit(unit_photos(), SPECS[0], reach=100.0)
    latents = torch.zeros(1, *prior.latent_shape)
    latents[0, :2] = torch.tensor([7.0, -1.5])
    assert prior.project(latents)[0, :2].tolist() == [2.0, -1.5]


def test_the_mean_prior_starts_at_the_average(spec: ImageSpec) -> None:
    prior = MeanPrior.fit(photos(spec), spec)
    found = prior.decode(prior.start()[None])[0].numpy()
    np.testing.assert_allclose(found, photos(spec).mean(axis=0), rtol=1e-4, atol=1e-6)
    expected = max(float(unit_photos().std(axis=0).mean()), 0.05)
    assert prior.spread == pytest.approx(expected, rel=1e-4)


def test_the_black_prior_starts_at_black(spec: ImageSpec) -> None:
    prior = MeanPrior.black(spec)
    assert (prior.decode(prior.start()[None]) == spec.low).all()


def test_the_mean_priors_latents_are_intensities_of_a_range_of_one(spec: ImageSpec) -> None:
    prior = MeanPrior.fit(photos(spec), spec)
    raised = prior.decode(prior.start()[None] + 0.1) - prior.decode(prior.start()[None])
    torch.testing.assert_close(raised, torch.full_like(raised, 0.1 * spec.width_of_range))
    far = prior.project(torch.full((1, *SHAPE), 9.0))
    torch.testing.assert_close(prior.decode(far), torch.full((1, *SHAPE), spec.high))


def test_the_mean_priors_way_back(spec: ImageSpec) -> None:
    prior = MeanPrior.fit(photos(spec), spec)
    images = torch.from_numpy(photos(spec))
    torch.testing.assert_close(prior.decode(prior.encode(images)), images, rtol=1e-4, atol=1e-4)


def test_eigenfaces_are_those_of_the_singular_value_decomposition() -> None:
    spec = SPECS[0]
    prior = EigenfacePrior.fit(unit_photos(), spec, augmentation=0, components=3)
    rows = unit_photos().reshape(30, -1).astype(np.float64)
    centred = rows - rows.mean(axis=0)
    _, singular, vectors = np.linalg.svd(centred, full_matrices=False)
    zero, steps = prior.decode(torch.zeros(1, 3)), prior.decode(0.01 * torch.eye(3))
    found = ((steps - zero) / 0.01).reshape(3, -1).numpy()
    expected = vectors[:3] * singular[:3, None] / np.sqrt(29)
    signs = np.sign((found * expected).sum(axis=1, keepdims=True))
    np.testing.assert_allclose(zero.numpy().ravel(), rows.mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(found, signs * expected, atol=1e-4)


def test_draws_from_eigenfaces_vary_as_the_photos_do() -> None:
    prior = EigenfacePrior.fit(unit_photos(200), SPECS[0], augmentation=0)
    drawn = prior.decode(prior.draw(4000, seeded(0))).numpy()
    np.testing.assert_allclose(drawn.std(axis=0), unit_photos(200).std(axis=0), rtol=0.15)


@pytest.mark.parametrize(("count", "asked", "kept"), [(2, 150, 1), (5, 3, 3), (30, 150, 20)])
def test_no_more_eigenfaces_than_the_photos_span(count: int, asked: int, kept: int) -> None:
    noise = np.random.default_rng(0).uniform(0.3, 0.7, (count, *SHAPE)).astype(np.float32)
    prior = EigenfacePrior.fit(noise, SPECS[0], components=asked, augmentation=0)
    assert prior.latent_shape == (kept,)


def test_fitting_leaves_the_global_random_state_alone() -> None:
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    EigenfacePrior.fit(unit_photos(), SPECS[0])
    assert torch.equal(torch.rand(3), expected)


def test_fitting_twice_gives_the_same() -> None:
    first, second = (EigenfacePrior.fit(unit_photos(), SPECS[0], seed=3) for _ in range(2))
    latents = first.draw(3, seeded(0))
    assert torch.equal(first.decode(latents), second.decode(latents))


@pytest.mark.parametrize("count", [0, 1])
def test_too_few_photos(count: int) -> None:
    with pytest.raises(DataError, match=f"at least 2 public photos but got {count}.*public"):
        EigenfacePrior.fit(unit_photos()[:count], SPECS[0])
    if count == 0:
        with pytest.raises(DataError, match="at least 1 public photos but got 0"):
            MeanPrior.fit(unit_photos()[:0], SPECS[0])


@pytest.mark.parametrize("unit_range", [True, False])
def test_a_generators_images_are_stretched_or_cut(unit_range: bool) -> None:
    class Fixed(nn.Module):
        def forward(self, latents: Tensor) -> Tensor:
            return latents[:, :1, None, None].expand(len(latents), *SHAPE)

    prior = GeneratorPrior(Fixed(), 2, SPECS[1], unit_range=unit_range)
    images = prior.decode(torch.tensor([[0.25, 0], [9.0, 0], [-9.0, 0]]))[:, 0, 0, 0]
    assert images.tolist() == [-0.5 if unit_range else 0.25, 1.0, -1.0]


def test_a_generators_way_back() -> None:
    prior = generator_prior(SPECS[1], encoder=True)
    latents = 0.2 * torch.randn(3, 20, generator=seeded(0))
    torch.testing.assert_close(prior.encode(prior.decode(latents)), latents, atol=1e-5, rtol=0)


@pytest.mark.parametrize("kind", ["generator"])
def test_priors_without_a_way_back_say_so(kind: str) -> None:
    with pytest.raises(PlanError, match=f"prior {kind} has no encoder"):
        make(kind, SPECS[0]).encode(torch.zeros(1, *SHAPE))


def test_a_generator_starts_and_draws_around_its_origin() -> None:
    origin = torch.full((20,), 3.0)
    plain = generator_prior(SPECS[0])
    prior = GeneratorPrior(nn.Unflatten(1, SHAPE), 20, SPECS[0], origin=origin)
    assert torch.equal(prior.start(), origin)
    assert torch.equal(prior.draw(4, seeded(0)), origin + plain.draw(4, seeded(0)))
    assert float(prior.energy(origin[None])) == 0


def test_a_generator_of_other_images() -> None:
    with pytest.raises(DataError, match=r"\[1, 5, 4\], but the target takes \[1, 4, 5\]"):
        GeneratorPrior(nn.Unflatten(1, (1, 5, 4)), 20, SPECS[0])


def test_a_generator_is_frozen_and_in_evaluation_mode() -> None:
    module = nn.Sequential(nn.Linear(3, 20), nn.Dropout(), nn.Unflatten(1, SHAPE)).train()
    prior = GeneratorPrior(module, 3, SPECS[0])
    assert not module.training
    assert not any(parameter.requires_grad for parameter in module.parameters())
    latents = torch.ones(2, 3)
    assert torch.equal(prior.decode(latents), prior.decode(latents))
