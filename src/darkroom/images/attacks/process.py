"""The image clean-up that Fredrikson et al. 2015 put between the steps of their attack."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional


def denoise(images: Tensor, *, patch: int = 3, reach: int = 3, strength: float = 0.1) -> Tensor:
    """Replaces each pixel by an average of pixels whose surroundings look alike.

    Non-local means (Buades, Coll & Morel 2005), with Gaussian weights within a patch. A pixel
    ``p`` becomes the average of the pixels ``q`` of its window, weighted with
    ``exp(-d(p, q) / strength**2)``, where ``d`` is the weighted mean squared difference of the
    patches around them, over all channels.

    Differences from the paper: the window ends at the edge of the image; a weight below
    ``exp(-5)`` counts as nothing.

    Args:
        images: ``(n, channels, height, width)``, intensities of a range of one; ``n`` may be 0.
        patch: The side of a patch in pixels, odd, 3 or more.
        reach: How far from its middle the window goes, in pixels, 0 or more.
        strength: The difference of patches, in intensities, that is still alike; positive.

    Returns:
        The same shape.

    Raises:
        ValueError: If ``patch``, ``reach`` or ``strength`` is out of its range.
    """
    if patch < 3 or patch % 2 == 0 or reach < 0 or strength <= 0:
        raise ValueError(
            f"denoise takes an odd patch of 3 or more, a reach of 0 or more and a positive "
            f"strength; got {patch}, {reach} and {strength}"
        )
    images = images.detach()
    half = patch // 2
    padded = _pad(images, half, repeat_edge=False)
    # Gaussian weights of this width, and the cut at exp(-5), are those of scikit-image.
    window = _gaussian(half, (patch - 1) / 4, images.dtype, images.device)
    total, weights = images.clone(), torch.ones_like(images[:, :1])
    height, width = images.shape[2:]
    for down, across in _half_window(min(reach, height - 1), min(reach, width - 1)):
        here, there = _overlap(height, width, down, across)
        grown_here, grown_there = _grow(here, half), _grow(there, half)
        difference = (padded[grown_here] - padded[grown_there]).square_().mean(1, keepdim=True)
        distance = _separable(difference, window).div_(strength**2)
        weight = torch.where(distance > 5, 0.0, (-distance).exp_())
        # One weight serves both ways: p looks like q as much as q looks like p.
        total[here].addcmul_(weight, images[there])
        total[there].addcmul_(weight, images[here])
        weights[here].add_(weight)
        weights[there].add_(weight)
    return total / weights


def sharpen(images: Tensor, *, radius: float = 1.0, amount: float = 1.0) -> Tensor:
    """Adds to each image what a Gaussian blur takes from it: an unsharp mask.

    Args:
        images: ``(n, channels, height, width)``, intensities from zero to one; ``n`` may be 0.
        radius: The standard deviation of the blur, in pixels; positive.
        amount: How many times the difference is added.

    Returns:
        The same shape, cut off at zero and one.

    Raises:
        ValueError: If ``radius`` is not positive.
    """
    if radius <= 0:
        raise ValueError(f"sharpen takes a positive radius; got {radius}")
    images = images.detach()
    # Four standard deviations, rounded: where scikit-image, too, cuts the Gaussian off.
    half = int(4 * radius + 0.5)
    window = _gaussian(half, radius, images.dtype, images.device)
    blurred = _separable(_pad(images, half, repeat_edge=True), window)
    return (images + (images - blurred) * amount).clamp(0, 1)


Region = tuple[slice, slice, slice, slice]


def _half_window(down: int, across: int) -> list[tuple[int, int]]:
    """Returns one of each two opposite offsets, without none."""
    rows = [(d, a) for d in range(1, down + 1) for a in range(-across, across + 1)]
    return [*rows, *((0, a) for a in range(1, across + 1))]


def _overlap(height: int, width: int, down: int, across: int) -> tuple[Region, Region]:
    """Returns where pixels have a partner ``(down, across)`` away, and where the partners are."""
    left, right = max(0, -across), width - max(0, across)
    every = slice(None)
    return (
        (every, every, slice(0, height - down), slice(left, right)),
        (every, every, slice(down, height), slice(left + across, right + across)),
    )


def _grow(region: Region, half: int) -> Region:
    """Returns the region of the padded image that holds the patches of a region's pixels."""
    images, channels, rows, columns = region
    return (
        images,
        channels,
        slice(rows.start, rows.stop + 2 * half),
        slice(columns.start, columns.stop + 2 * half),
    )


@lru_cache(maxsize=16)
def _gaussian(half: int, deviation: float, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Returns Gaussian weights at ``-half .. half`` that sum to one."""
    offsets = torch.arange(-half, half + 1, dtype=torch.float64)
    weights = (-0.5 * (offsets / deviation).square()).exp()
    return (weights / weights.sum()).to(dtype).to(device)


def _separable(images: Tensor, window: Tensor) -> Tensor:
    """Filters rows and columns with one window; the images lose its margin."""
    n, channels, height, width = images.shape
    flat = images.reshape(n * channels, 1, height, width)
    for shape in ((1, 1, -1, 1), (1, 1, 1, -1)):
        flat = functional.conv2d(flat, window.view(shape))
    return flat.view(n, channels, *flat.shape[2:])


def _pad(images: Tensor, half: int, *, repeat_edge: bool) -> Tensor:
    """Mirrors the images beyond their edges, which are repeated or not.

    PyTorch's own padding cannot repeat the edge in a mirror, nor mirror more than the image has.
    """
    for dimension in (2, 3):
        size = images.shape[dimension]
        positions = torch.arange(-half, size + half, device=images.device)
        period = 2 * size if repeat_edge else max(1, 2 * size - 2)
        positions = positions % period
        last = period - 1 if repeat_edge else period
        positions = torch.where(positions < size, positions, last - positions)
        images = images.index_select(dimension, positions)
    return images
