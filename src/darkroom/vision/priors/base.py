"""What the attacker knows before asking."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn

from darkroom.errors import PlanError
from darkroom.vision.spec import ImageSpec


class ImagePrior(ABC):
    """A family of images, reached through latent coordinates, with a density over them.

    An attack searches the latent space; the prior turns what it finds into images. The origin of
    the search is the prior's most typical image, for a prior from photos the average face.

    Attributes:
        name: The word used in plans.
        spec: The images that it makes.
        latent_shape: The shape of one image's latent coordinates.
        spread: The standard deviation of one latent coordinate, the unit of an attack's steps.
    """

    name: ClassVar[str]
    spec: ImageSpec
    latent_shape: tuple[int, ...]
    spread: float = 1.0

    @abstractmethod
    def decode(self, latents: Tensor) -> Tensor:
        """Returns images, differentiable in ``latents``.

        Args:
            latents: Float32 ``(n, *latent_shape)``.

        Returns:
            ``(n, channels, height, width)``, within the target's range.
        """

    def encode(self, images: Tensor) -> Tensor:  # noqa: ARG002 - for those that override it
        """Returns latents that decode to about the images given; the way back.

        Args:
            images: ``(n, channels, height, width)`` in the target's range.

        Returns:
            ``(n, *latent_shape)``.

        Raises:
            PlanError: If this prior has no way back.
        """
        raise PlanError(
            f"prior {self.name} has no encoder: choose another prior, or leave out what needs one"
        )

    @abstractmethod
    def start(self) -> Tensor:
        """Returns the latents of the most typical image, float32 ``(*latent_shape,)``."""

    @abstractmethod
    def draw(self, n: int, generator: torch.Generator) -> Tensor:
        """Returns latents drawn from the prior, float32 ``(n, *latent_shape)``.

        Decoded, they are what an attacker without the model would guess.
        """

    @abstractmethod
    def energy(self, latents: Tensor) -> Tensor:
        """Returns minus the log density, up to a constant, a dimension.

        Args:
            latents: ``(n, *latent_shape)``.

        Returns:
            ``(n,)``, smallest at :meth:`start`.
        """

    def project(self, latents: Tensor) -> Tensor:
        """Returns the nearest latents that the prior allows; the same ones unless bounded."""
        return latents

    def to(self, device: torch.device) -> Self:
        """Returns the same prior that decodes, weighs and bounds latents on a device.

        What it holds is copied there, this prior stays where it is. Starts and draws are asked of
        a prior on the processor, whose generators decide them.

        Args:
            device: Where latents will be.
        """
        moved = {name: _there(value, device) for name, value in vars(self).items()}
        if all(value is vars(self)[name] for name, value in moved.items()):
            return self
        other = copy.copy(self)
        vars(other).update(moved)
        return other


def _there(value: Any, device: torch.device) -> Any:
    """Returns a tensor, a module or another prior on a device; anything else as it is."""
    if isinstance(value, nn.Module):
        tensors = [*value.parameters(), *value.buffers()]
        if all(tensor.device == device for tensor in tensors):
            return value
        return copy.deepcopy(value).to(device)
    return value.to(device) if isinstance(value, Tensor | ImagePrior) else value
