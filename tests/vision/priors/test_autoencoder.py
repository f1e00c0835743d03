"""The autoencoder as a prior: it knows faces that it was not trained on."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from darkroom.demo.people.employees import render_faces
from darkroom.errors import DataError
from darkroom.vision.priors.autoencoder import train_variational_autoencoder
from darkroom.vision.priors.spaces import GeneratorPrior
from darkroom.vision.spec import ImageSpec

Images = NDArray[np.float32]
SPEC = ImageSpec((3, 32, 32))


@cache
def strangers() -> Images:
    return render_faces(80, 2, role="strangers", size=32).images.reshape(-1, 3, 32, 32)


@cache
def others() -> Images:
    return render_faces(20, 1, role="employees", size=32).images[:, 0]


def small(photos: Images, spec: ImageSpec, seed: int = 0, steps: int = 150) -> GeneratorPrior:
    return train_variational_autoencoder(
        photos, spec, latent=24, components=80, width=128, batch=64, seed=seed, steps=steps
    )


@cache
def trained() -> GeneratorPrior:
    return small(strangers(), SPEC)


def round_trip(prior: GeneratorPrior, images: Images) -> Images:
    assert prior._encoder is not None
    unit = (torch.from_numpy(images) - prior.spec.low) / prior.spec.width_of_range
    with torch.no_grad():
        return prior.decode(prior._encoder(unit)).numpy()


def error(one: Images, other: Images) -> float:
    return float(np.sqrt(np.mean((one - other) ** 2)))


@pytest.mark.medium
def test_faces_not_trained_on_come_back_far_better_than_as_the_average_face() -> None:
    average = strangers().mean(axis=0)
    assert error(round_trip(trained(), others()), others()) < 0.55 * error(average, others())


@pytest.mark.medium
def test_training_lowers_the_error_on_faces_not_trained_on() -> None:
    before = error(round_trip(small(strangers(), SPEC, steps=1), others()), others())
    after = error(round_trip(small(strangers(), SPEC, steps=500), others()), others())
    assert after < 0.98 * before


@pytest.mark.medium
def test_the_same_seed_gives_the_same_prior_and_another_seed_another() -> None:
    latents = torch.randn(3, 24, generator=torch.Generator().manual_seed(1))
    first = small(strangers(), SPEC, seed=3, steps=5).decode(latents)
    again = small(strangers(), SPEC, seed=3, steps=5).decode(latents)
    other = small(strangers(), SPEC, seed=4, steps=5).decode(latents)
    assert torch.equal(first, again)
    assert not torch.allclose(first, other, atol=1e-3)


def test_the_global_random_state_is_left_alone() -> None:
    before = torch.random.get_rng_state()
    small(strangers(), SPEC, steps=2)
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.medium
def test_draws_differ_and_vary_as_much_as_photos_do() -> None:
    draws = trained().decode(trained().draw(200, torch.Generator().manual_seed(0)))
    assert 0 <= draws.min() < draws.max() <= 1
    spread = float(draws.std(dim=0).mean())
    assert 0.6 < spread / float(strangers().std(axis=0).mean()) < 1.4


@pytest.mark.medium
def test_the_start_is_near_the_average_face() -> None:
    start = trained().decode(trained().start()[None])[0].numpy()
    assert error(start, strangers().mean(axis=0)) < 0.5 * strangers().std(axis=0).mean()


@pytest.mark.medium
def test_latents_of_the_photos_are_standard_normal_together() -> None:
    encoder = trained()._encoder
    assert encoder is not None
    latents = encoder(torch.from_numpy(strangers()))
    assert latents.mean(dim=0).abs().max() < 0.35
    assert 0.7 < float(latents.square().mean()) < 1.5


def test_a_latent_far_out_shows_the_same_as_one_at_the_edge() -> None:
    direction = torch.randn(4, 24, generator=torch.Generator().manual_seed(2))
    near, far = trained().decode(3 * direction), trained().decode(300 * direction)
    assert torch.allclose(near, far, atol=0.02)
    typical = trained().decode(direction)
    assert (typical - far).abs().max() > 0.03


def test_decoding_is_differentiable_and_rows_do_not_hang_on_each_other() -> None:
    latents = trained().draw(4, torch.Generator().manual_seed(5)).requires_grad_(True)
    images = trained().decode(latents)
    assert torch.allclose(images[2:3], trained().decode(latents[2:3]), atol=1e-5)
    gradient = torch.autograd.grad(images[2].sum(), latents)[0]
    assert gradient[2].abs().sum() > 0
    assert gradient[[0, 1, 3]].abs().sum() == 0
    zero = torch.zeros(1, 24, requires_grad=True)
    assert torch.autograd.grad(trained().decode(zero).sum(), zero)[0].isfinite().all()


@pytest.mark.medium
@pytest.mark.parametrize("shape", [(1, 32, 32), (1, 29, 23), (3, 21, 40)])
def test_other_shapes(shape: tuple[int, int, int]) -> None:
    channels, height, width = shape
    enlarged = strangers().repeat(2, axis=3)[:, :channels, :height, :width]
    photos = np.ascontiguousarray(enlarged)
    kept = photos[:-20]
    prior = small(kept, ImageSpec(shape), steps=60)
    assert prior.decode(prior.start()[None]).shape == (1, *shape)
    back = round_trip(prior, photos[-20:])
    assert error(back, photos[-20:]) < 0.7 * error(kept.mean(axis=0), photos[-20:])


def test_another_range_gives_the_same_faces_in_that_range() -> None:
    wide = ImageSpec((3, 32, 32), -1.0, 1.0)
    prior = small(2 * strangers() - 1, wide, steps=20)
    plain = small(strangers(), SPEC, steps=20)
    latents = plain.draw(5, torch.Generator().manual_seed(0))
    assert torch.allclose(prior.decode(latents), 2 * plain.decode(latents) - 1, atol=0.05)
    assert prior.decode(latents).min() < -0.2


def test_progress_counts_every_step() -> None:
    seen: list[tuple[int, int]] = []
    train_variational_autoencoder(
        strangers(), SPEC, seed=0, steps=3, width=16, on_progress=lambda *done: seen.append(done)
    )
    assert seen == [(1, 3), (2, 3), (3, 3)]


@pytest.mark.medium
def test_few_photos_limit_the_latents() -> None:
    prior = train_variational_autoencoder(strangers()[:20], SPEC, seed=0, steps=3)
    assert prior.latent_shape == (19,)


@pytest.mark.parametrize(
    ("photos", "spec", "message"),
    [
        (lambda: strangers()[:15], SPEC, "at least 16 public photos but got 15"),
        (lambda: strangers(), ImageSpec((1, 32, 32)), "the target takes"),
        (lambda: strangers() * 3, SPEC, "range"),
        (lambda: np.full((20, 3, 32, 32), 0.5, np.float32), SPEC, "all the same"),
    ],
)
def test_unusable_photos_are_refused(photos, spec, message) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(DataError, match=message):
        train_variational_autoencoder(photos(), spec, seed=0, steps=2)


@pytest.mark.parametrize("name", ["latent", "steps", "components", "width", "batch", "beta"])
def test_numbers_that_make_no_autoencoder_are_refused(name: str) -> None:
    with pytest.raises(DataError, match="must be positive"):
        train_variational_autoencoder(strangers(), SPEC, seed=0, **{name: 0})  # type: ignore[arg-type]
