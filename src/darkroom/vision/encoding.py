"""How images are written for servers: into JSON, and as pictures."""

from __future__ import annotations

import base64
import io
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from darkroom.vision.pixels import ChannelOrder, arranged, flattened
from darkroom.vision.spec import ImageSpec

Encoding = Literal["numbers", "rows", "png"]
"""``numbers``: nested lists; ``rows``: flat lists; ``png``: base64 of a picture of eight bits."""


def encoded(
    images: NDArray[np.float32], encoding: Encoding, channels: ChannelOrder, spec: ImageSpec
) -> NDArray[np.float32] | list[str]:
    """Returns one entry an image, as JSON takes them.

    A picture has 256 levels between the range's ends, so smaller changes never reach the server.

    Args:
        images: ``(n, channels, height, width)``.
        encoding: The form.
        channels: Where numbers and rows have their channels.
        spec: The images' range.
    """
    if encoding == "png":
        return [base64.b64encode(picture(image, spec)).decode("ascii") for image in images]
    arrange = arranged if encoding == "numbers" else flattened
    return np.ascontiguousarray(arrange(images, channels))


def picture(image: NDArray[np.float32], spec: ImageSpec) -> bytes:
    """Returns a PNG of eight bits.

    Args:
        image: ``(channels, height, width)``.
        spec: The images' range.
    """
    levels = ((image - spec.low) / spec.width_of_range * 255).round().clip(0, 255).astype(np.uint8)
    pixels = levels[0] if len(levels) == 1 else levels.transpose(1, 2, 0)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG", compress_level=1)
    return buffer.getvalue()
