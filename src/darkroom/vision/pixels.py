"""Images as models take them and as files keep them: channels, batches, probes, bytes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from darkroom.vision.spec import ImageSpec

ChannelOrder = Literal["first", "last"]

SNAPSHOTS = 5
"""Frames of an attack's course that are kept."""


_Answer = TypeVar("_Answer")


def probe_images(spec: ImageSpec) -> NDArray[np.float32]:
    """Returns a black and a grey image, ``(2, channels, height, width)``."""
    levels = np.array([spec.low, spec.low + spec.width_of_range / 2], np.float32)
    return np.tile(levels[:, None, None, None], (1, *spec.shape))


def noise_images(spec: ImageSpec) -> NDArray[np.float32]:
    """Returns four images of noise, always the same, ``(4, channels, height, width)``."""
    noise = np.random.default_rng(0).random((4, *spec.shape), np.float32)
    return spec.low + np.float32(spec.width_of_range) * noise


def in_batches(
    images: NDArray[np.float32], batch: int, ask: Callable[[NDArray[np.float32]], _Answer]
) -> list[_Answer]:
    """Asks about ``batch`` images at a time, in order."""
    return [ask(images[first : first + batch]) for first in range(0, len(images), batch)]


def arranged(images: NDArray[np.float32], channels: ChannelOrder) -> NDArray[np.float32]:
    """Puts channels where a model wants them.

    Args:
        images: ``(n, channels, height, width)``.
        channels: ``first`` leaves them; ``last`` makes ``(n, height, width, channels)``.
    """
    return images if channels == "first" else np.ascontiguousarray(images.transpose(0, 2, 3, 1))


def flattened(images: NDArray[np.float32], channels: ChannelOrder) -> NDArray[np.float32]:
    """Returns images as rows of numbers, ``(n, channels * height * width)``."""
    return arranged(images, channels).reshape(len(images), int(np.prod(images.shape[1:])))


def to_bytes(unit: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Turns images between zero and one into bytes of the same shape."""
    return (unit * 255).round().astype(np.uint8)


def snapshots(course: Sequence[_Answer]) -> list[_Answer]:
    """Returns the points of an attack's course whose frames are kept, evenly, without its end."""
    places = np.linspace(0, len(course) - 1, SNAPSHOTS, endpoint=False).astype(np.int64)
    return [course[place] for place in np.unique(places)]
