"""The images that a target takes, and those it refuses."""

from __future__ import annotations

import numpy as np
import pytest

from darkroom.errors import DataError, TargetError
from darkroom.targets.base import ImageSpec

SPEC = ImageSpec((1, 3, 4), -1.0, 1.0)


@pytest.mark.parametrize("shape", [(2, 3, 4), (1, 0, 4), (1, 3, -4), (3, 4), (1, 1, 3, 4)])
def test_a_shape_that_no_image_has(shape: tuple[int, int, int]) -> None:
    with pytest.raises(TargetError, match=r"give \[channels, height, width\]"):
        ImageSpec(shape)


@pytest.mark.parametrize("ends", [(1.0, 0.0), (0.5, 0.5), (0.0, float("nan"))])
def test_a_range_that_holds_nothing(ends: tuple[float, float]) -> None:
    with pytest.raises(TargetError, match="is empty"):
        ImageSpec((1, 3, 4), *ends)


@pytest.mark.parametrize("value", [-1.0, 0.0, 1.0, 1.0 + 1e-5])
@pytest.mark.parametrize("count", [0, 1, 5])
def test_images_within_the_range_pass(value: float, count: int) -> None:
    SPEC.check(np.full((count, 1, 3, 4), value, np.float32), "photos")


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.full((2, 1, 3, 4), 255.0), r"photos: values from -1 to 255.*range is -1 to 1"),
        (np.full((2, 1, 3, 4), -1.1), "rescale the images"),
        (np.full((2, 1, 3, 4), np.nan), "not finite"),
        (np.full((2, 1, 3, 4), np.inf), "not finite"),
        (np.zeros((2, 1, 4, 3)), r"shape \[1, 4, 3\], but the target takes \[1, 3, 4\]"),
        (np.zeros((2, 3, 4)), "set .target. shape"),
        (np.zeros((0, 3, 3, 4)), "set .target. shape"),
    ],
)
def test_images_that_do_not_fit(
    images: np.ndarray[tuple[int, ...], np.dtype[np.float64]], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        SPEC.check(images.astype(np.float32), "photos")


def test_width_of_range() -> None:
    assert SPEC.width_of_range == 2.0
