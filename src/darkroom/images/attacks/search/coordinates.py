"""The coordinates in which attacks without gradients search a prior's latent space."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from darkroom.vision.priors.base import ImagePrior

MOST = 512
"""More latent coordinates than this are searched at their lowest spatial frequencies."""


class Coordinates:
    """A prior's latents as flat vectors, zero at its start, in units of its spread.

    A search without gradients pays for every coordinate, so latents that are themselves images of
    more than :data:`MOST` numbers are searched in the lowest frequencies of a cosine transform
    (Guo et al. 2019, "Low Frequency Adversarial Perturbation").

    Attributes:
        dimensions: How many coordinates there are.
        visible: How far a step of one along each coordinate changes the image, relative to the
            mean over coordinates, ``(dimensions,)``. Known without asking the target.
    """

    def __init__(self, prior: ImagePrior) -> None:
        """Looks at the prior around its start.

        Args:
            prior: What the attacker knows beforehand.
        """
        self._prior = prior
        self._start = prior.start()
        self._bases = _low_frequencies(prior.latent_shape)
        if self._bases is None:
            self.dimensions = math.prod(prior.latent_shape)
        else:
            self.dimensions = prior.latent_shape[0] * math.prod(b.shape[1] for b in self._bases)
        self.visible = self._effects()

    def latents(self, points: Tensor) -> Tensor:
        """Returns the latents of points, ``(n, *latent_shape)``, kept within the prior's bounds.

        Args:
            points: ``(n, dimensions)``.
        """
        return self._prior.project(self.unbounded(points))

    def unbounded(self, points: Tensor) -> Tensor:
        """Returns the latents of points wherever they lie, ``(n, *latent_shape)``."""
        if self._bases is None:
            offset = points.view(-1, *self._prior.latent_shape)
        else:
            down, across = self._bases
            channels = self._prior.latent_shape[0]
            grid = points.view(-1, channels, down.shape[1], across.shape[1])
            offset = down @ grid @ across.T
        return self._start + self._prior.spread * offset

    def points(self, latents: Tensor) -> Tensor:
        """Returns the points of latents, ``(n, dimensions)``; the inverse of :meth:`latents`.

        Where the search is in the lowest frequencies, the others are dropped.
        """
        offset = (latents - self._start) / self._prior.spread
        if self._bases is not None:
            down, across = self._bases
            offset = down.T @ offset @ across
        return offset.reshape(len(latents), self.dimensions)

    def bounded(self, points: Tensor) -> Tensor:
        """Returns the points that the prior allows in place of these."""
        return self.points(self.latents(points))

    @torch.no_grad()
    def _effects(self) -> Tensor:
        unit = torch.eye(self.dimensions)
        middle = self._prior.decode(self._start[None])
        changes = []
        for part in torch.split(unit, 64):
            both = [self._prior.decode(self.latents(sign * part)) - middle for sign in (1, -1)]
            changes.append(sum(change.flatten(1).square().sum(dim=1) for change in both))
        size = torch.cat(changes).sqrt()  # type: ignore[arg-type]
        size = size.clamp_min(1e-3 * float(size.max().clamp_min(1e-12)))
        return size / size.mean()


def _low_frequencies(shape: tuple[int, ...]) -> tuple[Tensor, Tensor] | None:
    """Returns cosine bases ``(height, kept)`` and ``(width, kept)``, or ``None`` if not needed."""
    if len(shape) != 3 or math.prod(shape) <= MOST:
        return None
    share = math.sqrt(MOST / math.prod(shape))
    down, across = (max(1, int(side * share)) for side in shape[1:])
    return _cosines(shape[1], down), _cosines(shape[2], across)


def _cosines(side: int, kept: int) -> Tensor:
    """Returns the first vectors of the orthonormal type-II cosine transform, ``(side, kept)``."""
    places = (torch.arange(side) + 0.5) * math.pi / side
    basis = torch.cos(places[:, None] * torch.arange(kept)) * math.sqrt(2 / side)
    basis[:, 0] = math.sqrt(1 / side)
    return basis
