"""The images that a model takes: their shape, and the values of black and white."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from darkroom.errors import DataError, TargetError


@dataclass(frozen=True)
class ImageSpec:
    """The images that a target takes.

    Attributes:
        shape: ``(channels, height, width)``; one or three channels.
        low: The value of black.
        high: The value of full intensity.
    """

    shape: tuple[int, int, int]
    low: float = 0.0
    high: float = 1.0

    def __post_init__(self) -> None:
        """Refuses shapes and ranges that no image has.

        Raises:
            TargetError: If the shape is not three positive numbers, if there are neither one nor
                three channels, or if the range is empty.
        """
        if len(self.shape) != 3 or min(self.shape) < 1 or self.shape[0] not in (1, 3):
            raise TargetError(
                f"target shape {list(self.shape)} is no image: give [channels, height, width] "
                "with 1 or 3 channels"
            )
        if not self.low < self.high:
            raise TargetError(
                f"target range [{self.low}, {self.high}] is empty: give [black, white]"
            )

    @classmethod
    def of(cls, shape: Sequence[int], value_range: tuple[float, float]) -> ImageSpec:
        """Returns the images of a shape and a range as a plan gives them.

        Raises:
            TargetError: As the constructor does, and for a shape that is not three numbers.
        """
        if len(shape) != 3:
            raise TargetError(f"target shape {list(shape)}: give [channels, height, width]")
        channels, height, width = (int(length) for length in shape)
        return cls((channels, height, width), *value_range)

    @property
    def width_of_range(self) -> float:
        """Full intensity less black."""
        return self.high - self.low

    def check(self, images: NDArray[np.float32], what: str) -> None:
        """Refuses images that this target cannot take.

        Args:
            images: ``(n, channels, height, width)``.
            what: What the images are, for the message.

        Raises:
            DataError: If the shape differs, or values are not finite or lie outside the range.
        """
        if images.ndim != 4 or images.shape[1:] != self.shape:
            raise DataError(
                f"{what}: images of shape {list(images.shape[1:])}, but the target takes "
                f"{list(self.shape)}: set [target] shape, or resize the images"
            )
        if not np.isfinite(images).all():
            raise DataError(f"{what}: some values are not finite: mend or leave out those images")
        low, high = float(images.min(initial=self.low)), float(images.max(initial=self.high))
        slack = 1e-4 * self.width_of_range
        if low < self.low - slack or high > self.high + slack:
            raise DataError(
                f"{what}: values from {low:g} to {high:g}, but the target's range is "
                f"{self.low:g} to {self.high:g}: rescale the images or set [target] range"
            )
