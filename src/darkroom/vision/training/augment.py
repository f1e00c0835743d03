"""Photos changed a little at random, as training sees them."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from darkroom.vision.transforms import RandomAffine

_MOVE = RandomAffine(shift=0.02, turn=0.03, zoom=0.02)


def vary(images: Tensor, generator: torch.Generator) -> Tensor:
    """Moves, lights and colours each image a little otherwise, as training of faces does.

    Args:
        images: In [0, 1], ``(n, channels, height, width)``.
        generator: The source of the draws.

    Returns:
        The same shape and range.
    """
    return _relight(_MOVE(images, generator), generator)


def varying(low: float, high: float) -> Callable[[Tensor, torch.Generator], Tensor]:
    """Returns :func:`vary` for images of another range.

    Args:
        low: The value of black.
        high: That of full intensity.
    """

    def varied(images: Tensor, generator: torch.Generator) -> Tensor:
        return vary((images - low) / (high - low), generator) * (high - low) + low

    return varied


def _relight(images: Tensor, generator: torch.Generator) -> Tensor:
    """Changes contrast, brightness and the balance of colours of each image by a little."""
    n, channels = images.shape[:2]
    contrast = 1 + 0.2 * (2 * torch.rand(n, 1, 1, 1, generator=generator) - 1)
    brightness = 0.1 * (2 * torch.rand(n, 1, 1, 1, generator=generator) - 1)
    tint = 0.03 * (2 * torch.rand(n, channels, 1, 1, generator=generator) - 1)
    return ((images - 0.5) * contrast + 0.5 + brightness + tint).clamp(0, 1)
