"""Which shape photos have, by the first of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from darkroom.errors import DataError, MissingExtraError
from darkroom.vision.reading.folders import find


def shape_of(path: Path) -> tuple[int, int, int]:
    """Returns ``(channels, height, width)`` of the first photo of a folder, or of an ``.npz``.

    Args:
        path: A folder with one folder a person, or a file with ``images``.

    Raises:
        DataError: If there is no photo.
    """
    if not path.exists():
        raise DataError(f"{path}: no such file or folder: check the plan's photos")
    if path.is_file():
        return _of_arrays(path)
    try:
        from PIL import Image, UnidentifiedImageError
    except ImportError as error:
        raise MissingExtraError("pillow", "vision") from error
    for place in find(path).places:
        try:
            with Image.open(place.file) as opened:
                channels = 1 if opened.mode in ("1", "L", "I", "F", "I;16") else 3
                turned = opened.getexif().get(_ORIENTATION, 1) in _ON_ITS_SIDE
                width, height = reversed(opened.size) if turned else opened.size
                return channels, height, width
        except (UnidentifiedImageError, OSError):
            continue
    raise DataError(f"{path}: no photo in it: put each person's photos into one folder")


_ORIENTATION = 0x0112
_ON_ITS_SIDE = (5, 6, 7, 8)


def _of_arrays(path: Path) -> tuple[int, int, int]:
    try:
        with np.load(path, allow_pickle=False) as archive:
            shape = archive["images"].shape
            people = "people" in archive.files
    except (OSError, ValueError, KeyError) as error:
        raise DataError(
            f"{path}: not a readable .npz with images: save it with numpy.savez"
        ) from error
    # Either (people, photos, ...) or, with people beside them, (n, ...).
    inner = shape[1:] if people else shape[2:]
    if len(inner) == 2:
        return 1, inner[0], inner[1]
    if len(inner) == 3:
        return inner[0], inner[1], inner[2]
    raise DataError(f"{path}: images of shape {list(shape)}: set [target] shape")
