"""Seeing what an attack looks at, without asking anything or changing anything."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from darkroom.images.targets.view import View
from darkroom.vision.priors.base import ImagePrior
from darkroom.wire.answers import TopK

Positions = NDArray[np.int64]


class Looked(NamedTuple):
    """Pictures that an attack made last.

    Attributes:
        images: ``(n, channels, height, width)`` in the target's range.
        positions: The goal that each is for, ``(n,)``.
        number: Counts up, so that one can tell new ones.
    """

    images: Tensor
    positions: Positions
    number: int


class Lens:
    """Keeps the pictures that an attack made last.

    What an attack decodes is cleaner than what it asks about: a gradient attack shifts and turns
    its pictures at random. What it asks says for whom they are. The two are put together.

    Attributes:
        looked: The latest pictures; ``None`` before any.
    """

    def __init__(self, goals: int) -> None:
        """Has seen nothing.

        Args:
            goals: How many there are.
        """
        self._everyone = np.arange(goals)
        self._made: Tensor | None = None
        self.looked: Looked | None = None

    def made(self, images: Tensor) -> None:
        """Notes what was decoded; one picture a goal is taken to be theirs, in order."""
        self._made = images.detach()
        if len(images) == len(self._everyone):
            self._keep(self._made, self._everyone)

    def asked(self, images: Tensor | NDArray[np.float32], positions: Positions) -> None:
        """Notes what is asked about, and for whom."""
        made, self._made = self._made, None
        if made is not None and len(made) == len(positions):
            self._keep(made, positions)
        elif isinstance(images, Tensor):
            self._keep(images.detach(), positions)
        else:
            self._keep(torch.from_numpy(images), positions)

    def _keep(self, images: Tensor, positions: Positions) -> None:
        number = 0 if self.looked is None else self.looked.number + 1
        self.looked = Looked(images, positions, number)


class WatchedView(View):
    """A view that tells a lens what it is asked."""

    def __init__(self, lens: Lens, *arguments: Any, **options: Any) -> None:
        """Takes a lens, and what :class:`View` takes."""
        super().__init__(*arguments, **options)
        self._lens = lens

    def scores(self, images: NDArray[np.float32], goals: Positions) -> NDArray[np.float64]:
        """See :meth:`View.scores`."""
        self._lens.asked(images, goals)
        return super().scores(images, goals)

    def top_k(self, images: NDArray[np.float32], goals: Positions) -> TopK:
        """See :meth:`View.top_k`."""
        self._lens.asked(images, goals)
        return super().top_k(images, goals)

    def labels(self, images: NDArray[np.float32], goals: Positions) -> Positions:
        """See :meth:`View.labels`."""
        self._lens.asked(images, goals)
        return super().labels(images, goals)

    def log_scores(self, images: Tensor, goals: Positions) -> Tensor:
        """See :meth:`View.log_scores`."""
        self._lens.asked(images, goals)
        return super().log_scores(images, goals)


class WatchedPrior(ImagePrior):
    """A prior that tells a lens what it makes; otherwise the one given."""

    name: ClassVar[str] = "watched"

    def __init__(self, prior: ImagePrior, lens: Lens, check: Callable[[], None]) -> None:
        """Takes a prior.

        Args:
            prior: The one given.
            lens: Told what is decoded.
            check: Called before, so that an attack that only computes can be ended.
        """
        self.spec, self.latent_shape, self.spread = prior.spec, prior.latent_shape, prior.spread
        self._prior, self._lens, self._check = prior, lens, check

    def decode(self, latents: Tensor) -> Tensor:
        """See :meth:`ImagePrior.decode`."""
        self._check()
        images = self._prior.decode(latents)
        self._lens.made(images)
        return images

    def encode(self, images: Tensor) -> Tensor:
        """See :meth:`ImagePrior.encode`."""
        return self._prior.encode(images)

    def start(self) -> Tensor:
        """See :meth:`ImagePrior.start`."""
        return self._prior.start()

    def draw(self, n: int, generator: torch.Generator) -> Tensor:
        """See :meth:`ImagePrior.draw`."""
        return self._prior.draw(n, generator)

    def energy(self, latents: Tensor) -> Tensor:
        """See :meth:`ImagePrior.energy`."""
        return self._prior.energy(latents)

    def project(self, latents: Tensor) -> Tensor:
        """See :meth:`ImagePrior.project`."""
        return self._prior.project(latents)
