"""Checks of priors of images."""

from __future__ import annotations

from pathlib import Path

import torch

from darkroom.testing.images.small import SPEC, small_photos
from darkroom.testing.promises import check_part, global_randomness_untouched, require
from darkroom.vision.priors.base import ImagePrior
from darkroom.vision.priors.build import Materials, PriorConfiguration
from darkroom.vision.spec import ImageSpec

SPECS = (SPEC, ImageSpec(SPEC.shape, -1.0, 1.0), ImageSpec(SPEC.shape, 0.0, 255.0))
"""Ranges that targets have."""


def _seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def makes_images_within_the_range(prior: ImagePrior) -> None:
    """Whatever the latents, images are of the spec's shape and range."""
    far = 10 * torch.randn(50, *prior.latent_shape, generator=_seeded(0))
    for latents in (prior.start()[None], prior.draw(5, _seeded(1)), far, prior.project(far)):
        images = prior.decode(latents).detach()
        shape = (len(latents), *prior.spec.shape)
        require(
            images.shape == shape and images.dtype == torch.float32,
            f"prior {prior.name} makes {images.dtype} {list(images.shape)}, not {list(shape)}",
        )
        low, high = float(images.min()), float(images.max())
        require(
            prior.spec.low <= low and high <= prior.spec.high,  # false of NaN too
            f"prior {prior.name} makes values from {low:g} to {high:g}, out of the range",
        )


def starts_at_the_most_typical_image(prior: ImagePrior) -> None:
    """No latents near the start have less energy."""
    start = prior.start()
    require(start.shape == prior.latent_shape, f"prior {prior.name} starts at another shape")
    near = start + prior.spread * torch.randn(20, *prior.latent_shape, generator=_seeded(0))
    energies = prior.energy(near)
    require(energies.shape == (20,), f"prior {prior.name} has no energy for each row")
    typical = bool((energies > prior.energy(start[None])).all())
    require(typical, f"prior {prior.name} starts where others have less energy")


def weighs_each_row_alone(prior: ImagePrior) -> None:
    """An energy does not hang on the other rows."""
    latents = prior.start() + prior.spread * torch.randn(
        4, *prior.latent_shape, generator=_seeded(2)
    )
    alone = torch.cat([prior.energy(latents[row : row + 1]) for row in range(4)])
    same = torch.allclose(prior.energy(latents), alone, rtol=1e-5, atol=1e-6)
    require(same, f"prior {prior.name}: the energy of a row hangs on the others")


def draws_by_the_generator(prior: ImagePrior) -> None:
    """Draws follow the generator that is given, and nothing else."""
    with global_randomness_untouched(f"prior {prior.name}"):
        one, again = prior.draw(3, _seeded(1)), prior.draw(3, _seeded(1))
    require(torch.equal(one, again), f"prior {prior.name} draws otherwise with the same generator")
    for n, drawn in ((3, one), (0, prior.draw(0, _seeded(1)))):
        right = drawn.shape == (n, *prior.latent_shape)
        require(right, f"prior {prior.name} draws {list(drawn.shape)} where {n} were asked for")


def has_gradients(prior: ImagePrior) -> None:
    """Images change with latents, as autograd sees it."""
    latents = (prior.start() + 0.1 * prior.spread)[None].detach().requires_grad_()
    told = prior.decode(latents).sum()
    if told.requires_grad:
        told.backward()  # type: ignore[no-untyped-call]
    moved = latents.grad is not None and bool(latents.grad.abs().sum() > 0)
    require(moved, f"prior {prior.name}: its images have no gradients in the latents")


def projects_once(prior: ImagePrior) -> None:
    """Projecting what is projected changes nothing, and neither does projecting the start."""
    kept = prior.project(3 * torch.randn(20, *prior.latent_shape, generator=_seeded(0)))
    start = prior.start()[None]
    for latents in (kept, start):
        same = torch.allclose(prior.project(latents), latents, rtol=1e-4, atol=1e-5)
        require(same, f"prior {prior.name} projects what is within its bounds")


PROMISES = (
    makes_images_within_the_range,
    weighs_each_row_alone,
    starts_at_the_most_typical_image,
    draws_by_the_generator,
    has_gradients,
    projects_once,
)
"""What every prior owes once it is fitted."""


def check_prior(prior: PriorConfiguration) -> None:
    """Checks a prior, fitted on small photos of several ranges.

    Args:
        prior: As a plan asks for it, with parameters for photos of 8 by 8 pixels.

    Raises:
        AssertionError: If it breaks a promise; the sentence says which.
    """
    check_part(prior)
    for spec in SPECS:
        with global_randomness_untouched(f"prior {prior.name}"):
            fitted = prior.build(Materials(small_photos(30, spec), spec, 0, Path.cwd()))
        called = fitted.name == prior.name
        require(called, f"prior {prior.name} is called {fitted.name} when fitted")
        require(fitted.spec == spec, f"prior {prior.name} makes images of {fitted.spec}")
        for promise in PROMISES:
            promise(fitted)
