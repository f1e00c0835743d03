"""Images that are clearly nobody: blurred, averaged and blended photos, and noise.

They are what a model is asked on the way to a face, and what it should have nothing to say about.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional


def blurred(images: Tensor, deviations: Tensor) -> Tensor:
    """Blurs each image with a Gaussian, edges repeated.

    Args:
        images: ``(n, channels, height, width)``.
        deviations: Of each image's Gaussian, in pixels, above 0, ``(n,)``.
    """
    n, channels, height, width = images.shape
    reach = min(math.ceil(3 * float(deviations.max())), height - 1, width - 1)
    steps = torch.arange(-reach, reach + 1)
    kernels = torch.exp(-(steps**2) / (2 * deviations[:, None] ** 2))
    kernels = (kernels / kernels.sum(dim=1, keepdim=True)).repeat_interleave(channels, dim=0)
    # One group an image and channel, so that each has a kernel of its own.
    rows = images.reshape(1, n * channels, height, width)
    padded = functional.pad(rows, (reach, reach, reach, reach), mode="replicate")
    down = functional.conv2d(padded, kernels[:, None, :, None], groups=n * channels)
    across = functional.conv2d(down, kernels[:, None, None, :], groups=n * channels)
    return across.view(n, channels, height, width)


def averaged(images: Tensor, groups: Tensor) -> Tensor:
    """Averages photos.

    Args:
        images: ``(photos, channels, height, width)``.
        groups: Whose average each image is, int64 ``(n, members)``.

    Returns:
        ``(n, channels, height, width)``.
    """
    return images[groups].mean(dim=1)


def noise(
    n: int, shape: tuple[int, ...], generator: torch.Generator, *, coarsest: int = 16
) -> Tensor:
    """Draws images without any structure, from single pixels to soft clouds.

    Args:
        n: How many.
        shape: ``(channels, height, width)``.
        generator: The source of the draws.
        coarsest: The largest size of a spot, in pixels.

    Returns:
        Between 0 and 1, ``(n, channels, height, width)``.
    """
    channels, height, width = shape
    images = torch.empty(n, *shape)
    sizes = 2 ** torch.randint(0, coarsest.bit_length(), (n,), generator=generator)
    for size in sorted(set(sizes.tolist())):
        chosen = (sizes == size).nonzero().flatten()
        spots = (math.ceil(height / size) + 1, math.ceil(width / size) + 1)
        drawn = torch.rand(len(chosen), channels, *spots, generator=generator)
        if size > 1:
            drawn = functional.interpolate(
                drawn, size=(height, width), mode="bilinear", align_corners=True
            )
        images[chosen] = drawn[..., :height, :width]
    # Full contrast half of the time, else softly around a level of its own.
    level, contrast = torch.rand(2, n, 1, 1, 1, generator=generator)
    soft = level + (images - 0.5) * 0.5 * contrast
    full = torch.rand(n, 1, 1, 1, generator=generator) < 0.5
    return torch.where(full, images, soft).clamp(0, 1)
