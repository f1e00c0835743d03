"""The pictures of a cell, as PNG data addresses that need no other file."""

from __future__ import annotations

import base64
import io
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from darkroom.errors import MissingExtraError, RunError
from darkroom.report.files import damaged

try:
    from PIL import Image
except ImportError as error:
    raise MissingExtraError("pillow", "vision") from error

_Pixels = NDArray[np.uint8]
_FRAMES = 5
_FRAME_SIDE = 96
_PICTURE_SIDE = 160


@dataclass(frozen=True)
class Frame:
    """A picture and the queries spent until it."""

    queries: int
    address: str


@dataclass(frozen=True)
class Development:
    """How one reconstruction came to be: frames from the average face on, its end, the truth."""

    frames: tuple[Frame, ...]
    reconstruction: str
    photo: str


@dataclass(frozen=True)
class Pictures:
    """The pictures of a cell.

    Attributes:
        path: The file they came from.
        goals: ``(goals,)``.
        images: ``(goals, channels, height, width)``, the reconstructions.
        snapshots: ``(steps, goals, channels, height, width)``, from the average face on.
        photos: ``(goals, channels, height, width)``, the nearest training photos.
    """

    path: Path
    goals: NDArray[np.int64]
    images: _Pixels
    snapshots: _Pixels
    photos: _Pixels

    @property
    def weight(self) -> int:
        """About how many bytes one person takes on the page, before compression."""
        frames = min(_FRAMES, len(self.snapshots))
        channels, height, width = (int(side) for side in self.images.shape[1:])
        longest = max(height, width)
        frame, picture = min(_FRAME_SIDE, longest), min(_PICTURE_SIDE, longest)
        return channels * (frames * frame * frame + 2 * picture * picture) * 4 // 3

    def develop(self, goal: int, queries: tuple[int, ...]) -> Development:
        """Returns the pictures of one goal.

        Args:
            goal: One of ``goals``.
            queries: Those spent until each snapshot.

        Raises:
            RunError: If there are no pictures of this goal, or a snapshot has no count.
        """
        rows = np.flatnonzero(self.goals == goal)
        if len(rows) != 1 or len(queries) != len(self.snapshots):
            raise damaged(self.path, f"its pictures do not fit goal {goal} of cell.json")
        row = int(rows[0])
        steps = [(spent, step[row]) for spent, step in zip(queries, self.snapshots, strict=True)]
        # The last snapshot of a finished attack is the reconstruction itself: one is enough.
        while len(steps) > 1 and np.array_equal(steps[-1][1], self.images[row]):
            steps.pop()
        kept = np.unique(np.linspace(0, len(steps) - 1, min(_FRAMES, len(steps))).round())
        chosen = [steps[int(place)] for place in kept]
        return Development(
            tuple(Frame(spent, data_address(pixels, _FRAME_SIDE)) for spent, pixels in chosen),
            data_address(self.images[row], _PICTURE_SIDE),
            data_address(self.photos[row], _PICTURE_SIDE),
        )


def read_pictures(path: Path, value_range: tuple[float, float]) -> Pictures:
    """Reads ``reconstructions.npz`` without ever unpickling.

    Args:
        path: The file.
        value_range: The target's lowest and highest value, which become black and white.

    Raises:
        RunError: If the file is missing, damaged, or its arrays do not fit each other.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            goals, images, snapshots, photos = (
                file[name] for name in ("goals", "images", "snapshots", "photos")
            )
    except FileNotFoundError as error:
        raise RunError(
            f"{path} is missing: finish the run with darkroom audit PLAN.toml --resume"
        ) from error
    except (OSError, ValueError, KeyError, EOFError, TypeError, zipfile.BadZipFile) as error:
        raise damaged(path, str(error)) from error
    _check_shapes(path, goals, images, snapshots, photos)
    return Pictures(path, goals, _to_pixels(path, images, value_range), snapshots, photos)


def _check_shapes(
    path: Path,
    goals: NDArray[np.int64],
    images: NDArray[np.float32],
    snapshots: _Pixels,
    photos: _Pixels,
) -> None:
    shape = images.shape
    if images.ndim != 4 or shape[1] not in (1, 3) or 0 in shape:
        raise damaged(path, f"'images' has shape {shape}, not (goals, 1 or 3, height, width)")
    fits = goals.shape == shape[:1] and photos.shape == shape and snapshots.shape[1:] == shape
    if not fits or snapshots.ndim != 5 or photos.dtype != np.uint8 or snapshots.dtype != np.uint8:
        raise damaged(path, "its arrays do not fit each other")


def _to_pixels(
    path: Path, images: NDArray[np.float32], value_range: tuple[float, float]
) -> _Pixels:
    if not np.isfinite(images).all():
        raise damaged(path, "'images' holds values that are not numbers")
    low, high = value_range
    share = (images - low) / ((high - low) or 1.0)
    pixels: _Pixels = np.rint(255 * share.clip(0, 1)).astype(np.uint8)
    return pixels


def data_address(pixels: _Pixels, side: int, *, passing: bool = False) -> str:
    """Returns a picture as a PNG data address.

    Args:
        pixels: ``(channels, height, width)``, 1 or 3 channels.
        side: The longest side of what is returned; larger pictures are made smaller.
        passing: Whether it is looked at once and not kept, so that it should be made soon rather
            than small.
    """
    picture = Image.fromarray(pixels[0] if len(pixels) == 1 else np.moveaxis(pixels, 0, -1))
    if max(picture.size) > side:
        picture.thumbnail((side, side), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", **({"compress_level": 1} if passing else {"optimize": True}))
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"
