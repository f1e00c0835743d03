"""Priors over images: the average face, eigenfaces, and any generator."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from darkroom.errors import DataError, one_line
from darkroom.vision.priors.base import ImagePrior
from darkroom.vision.randomness import OwnRandomness
from darkroom.vision.spec import ImageSpec
from darkroom.vision.transforms import RandomAffine


class MeanPrior(ImagePrior):
    """Free pixels, started at the average of public photos.

    A latent is the deviation from the average image, in intensities of a range of one. Its density
    is a Gaussian with the photos' average pixel variance. This is the prior of Fredrikson et al.
    2015, who start at zero intensity instead; :meth:`black` gives theirs.
    """

    name: ClassVar[str] = "mean"

    def __init__(self, mean: Tensor, spec: ImageSpec, spread: float = 0.2) -> None:
        """Starts at a given image.

        Args:
            mean: The image to start at, ``(channels, height, width)`` in the target's range.
            spec: The target's images.
            spread: The standard deviation of a pixel, in intensities of a range of one.
        """
        self.spec = spec
        self.latent_shape = spec.shape
        self.spread = spread
        self._mean = ((mean - spec.low) / spec.width_of_range).clamp(0, 1)

    @classmethod
    def fit(cls, photos: NDArray[np.float32], spec: ImageSpec) -> MeanPrior:
        """Starts at the average of public photos, ``(n, channels, height, width)``."""
        _require(photos, 1)
        images = torch.from_numpy(photos)
        spread = float(images.std(dim=0, correction=0).mean()) / spec.width_of_range
        return cls(images.mean(dim=0), spec, spread=max(spread, 0.05))

    @classmethod
    def black(cls, spec: ImageSpec) -> MeanPrior:
        """Starts at zero intensity, as the paper does."""
        return cls(torch.full(spec.shape, spec.low), spec)

    def decode(self, latents: Tensor) -> Tensor:
        """Adds the deviation to the average; see :meth:`ImagePrior.decode`."""
        images = (self._mean + latents).clamp(0, 1)
        if (self.spec.low, self.spec.high) == (0, 1):
            return images
        return images * self.spec.width_of_range + self.spec.low

    def encode(self, images: Tensor) -> Tensor:
        """Takes the average away; the inverse of :meth:`decode`."""
        return (images - self.spec.low) / self.spec.width_of_range - self._mean

    def start(self) -> Tensor:
        """Returns the average, which is no deviation."""
        return torch.zeros(self.latent_shape)

    def draw(self, n: int, generator: torch.Generator) -> Tensor:  # noqa: ARG002
        """Returns the average ``n`` times: pixels drawn alone would show nobody."""
        return torch.zeros(n, *self.latent_shape)

    def energy(self, latents: Tensor) -> Tensor:
        """Returns half the mean squared deviation in units of the photos' spread."""
        return latents.square().flatten(1).mean(dim=1) * (0.5 / self.spread**2)

    def project(self, latents: Tensor) -> Tensor:
        """Keeps every pixel within the range."""
        return (self._mean + latents).clamp(0, 1) - self._mean


class EigenfacePrior(ImagePrior):
    """Principal components of public photos (Sirovich & Kirby 1987; Turk & Pentland 1991).

    A latent holds one coordinate a component, in units of its standard deviation, so that the log
    density is that of a standard normal.
    """

    name: ClassVar[str] = "eigenfaces"

    def __init__(
        self, mean: Tensor, components: Tensor, spec: ImageSpec, *, reach: float = 1.0
    ) -> None:
        """Takes the average and the scaled components.

        Args:
            mean: ``(channels, height, width)`` in the target's range.
            components: ``(components, pixels)``, each a unit vector times the standard deviation
                of the photos along it.
            spec: The target's images.
            reach: The largest root mean square of the coordinates that a search may reach; that of
                the photos themselves is 1. Farther out lies what no photo looks like.
        """
        self.spec = spec
        self.reach = reach
        self.latent_shape = (len(components),)
        self._mean = mean.flatten()
        self._components = components

    @classmethod
    def fit(
        cls,
        photos: NDArray[np.float32],
        spec: ImageSpec,
        *,
        components: int = 150,
        augmentation: int = 7,
        reach: float = 1.0,
        seed: int = 0,
        on_progress: Callable[[int, int], None] | None = None,
    ) -> EigenfacePrior:
        """Finds the components of public photos and of shifted, turned and flipped copies.

        Args:
            photos: ``(n, channels, height, width)`` in the target's range, two at least.
            spec: The target's images.
            components: How many to keep; fewer when the photos span fewer.
            augmentation: Copies of each photo, beside itself, each moved at random.
            reach: The largest root mean square of the coordinates that a search may reach.
            seed: For the copies and the randomised decomposition.
            on_progress: Called with the copies made, and those in all with the decomposition.

        Raises:
            DataError: If there are fewer than two photos.
        """
        _require(photos, 2)
        generator = torch.Generator().manual_seed(seed)
        images = torch.from_numpy(photos)
        move = RandomAffine()
        rows = images.new_empty((1 + augmentation) * len(images), *images.shape[1:])
        rows[: len(images)] = images
        for copy in range(augmentation):
            rows[(copy + 1) * len(images) :][: len(images)] = move(images, generator)
            if on_progress is not None:
                on_progress(copy + 1, augmentation + 1)
        rows = rows.flatten(1)
        mean = rows.mean(dim=0)
        rows -= mean  # in place: a second copy would double what the photos take
        keep = min(components, len(rows) - 1, rows.shape[1])
        with OwnRandomness(seed)():
            _, singular, vectors = torch.pca_lowrank(
                rows, q=min(keep + 10, *rows.shape), center=False, niter=4
            )
        deviations = singular[:keep] / math.sqrt(len(rows) - 1)
        kept = deviations > 1e-6 * deviations[0]
        scaled = (vectors[:, :keep] * deviations).T[kept]
        return cls(mean.view(spec.shape), scaled.contiguous(), spec, reach=reach)

    def decode(self, latents: Tensor) -> Tensor:
        """Adds up the components; see :meth:`ImagePrior.decode`."""
        pixels = torch.addmm(self._mean, latents, self._components)
        return pixels.view(-1, *self.spec.shape).clamp(self.spec.low, self.spec.high)

    def encode(self, images: Tensor) -> Tensor:
        """Returns the coordinates of images, which leave out what no component shows."""
        away = images.flatten(1) - self._mean
        lengths = self._components.square().sum(dim=1)
        return away @ self._components.T / lengths

    def start(self) -> Tensor:
        """Returns the average face."""
        return torch.zeros(self.latent_shape)

    def draw(self, n: int, generator: torch.Generator) -> Tensor:
        """Draws from the standard normal."""
        return torch.randn(n, *self.latent_shape, generator=generator)

    def energy(self, latents: Tensor) -> Tensor:
        """Returns half the mean square of the coordinates."""
        return 0.5 * latents.square().mean(dim=1)

    def project(self, latents: Tensor) -> Tensor:
        """Draws latents that lie too far out back toward the average.

        No coordinate stays more than two deviations out, lest a few of them take up all the reach.
        """
        near = latents.clamp(-2, 2)
        size = near.square().mean(dim=1, keepdim=True).sqrt()
        return near * (self.reach / size.clamp_min(self.reach))


class GeneratorPrior(ImagePrior):
    """Any module that turns standard normal latents into images."""

    name: ClassVar[str] = "generator"

    def __init__(
        self,
        generator: nn.Module,
        latent: int,
        spec: ImageSpec,
        *,
        encoder: nn.Module | None = None,
        origin: Tensor | None = None,
        unit_range: bool = True,
    ) -> None:
        """Wraps a generator.

        Args:
            generator: Takes float32 ``(n, latent)``, returns images.
            latent: The number of latent coordinates.
            spec: The target's images.
            encoder: The way back, from images as the generator makes them, where there is one.
            origin: Where to start, ``(latent,)``; zeros when left out.
            unit_range: Whether the generator's images are within zero and one, and so are to be
                stretched to the target's range.
        """
        self.spec = spec
        self.latent_shape = (latent,)
        self._generator = generator.eval().requires_grad_(False)
        self._encoder = encoder.eval().requires_grad_(False) if encoder is not None else None
        self._origin = torch.zeros(latent) if origin is None else origin
        self._unit_range = unit_range
        try:
            shape = tuple(self.decode(self.start()[None]).shape[1:])
        except Exception as error:
            raise DataError(
                f"the generator cannot take {latent} latent coordinates ({one_line(error)}): set "
                "latent to how many it takes"
            ) from error
        if shape != spec.shape:
            raise DataError(
                f"the generator makes images of shape {list(shape)}, but the target takes "
                f"{list(spec.shape)}: wrap it so that it returns the target's shape"
            )

    def decode(self, latents: Tensor) -> Tensor:
        """Runs the generator; see :meth:`ImagePrior.decode`."""
        images: Tensor = self._generator(latents)
        if self._unit_range:
            images = images * self.spec.width_of_range + self.spec.low
        return images.clamp(self.spec.low, self.spec.high)

    def encode(self, images: Tensor) -> Tensor:
        """Runs the encoder; see :meth:`ImagePrior.encode`."""
        if self._encoder is None:
            return super().encode(images)
        if self._unit_range:
            images = (images - self.spec.low) / self.spec.width_of_range
        latents: Tensor = self._encoder(images)
        return latents

    def start(self) -> Tensor:
        """Returns the origin."""
        return self._origin

    def draw(self, n: int, generator: torch.Generator) -> Tensor:
        """Draws from the standard normal around the origin."""
        return self._origin + torch.randn(n, *self.latent_shape, generator=generator)

    def energy(self, latents: Tensor) -> Tensor:
        """Returns half the mean squared distance from the origin."""
        return 0.5 * (latents - self._origin).square().mean(dim=1)


def _require(photos: NDArray[np.float32], least: int) -> None:
    if len(photos) < least:
        raise DataError(
            f"this prior needs at least {least} public photos but got {len(photos)}: add some to "
            "[public] images"
        )
