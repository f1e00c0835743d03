"""One picture in a file, as pixels between black and white."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from darkroom.errors import DataError, MissingExtraError
from darkroom.files import is_special
from darkroom.vision.reading.dicom import is_dicom, read_dicom

if TYPE_CHECKING:
    from PIL.Image import Image

Resize = bool | Literal["squash", "crop", "fit"]
"""How a photo of another size is made to fit: not at all, squashed (also ``True``), cut at its
longer sides, or made whole within black borders."""

_HEIF = (".heic", ".heif")
_DEEP, _SHALLOW = 65535, 8192
_FLAT = 2
"""Shades of 255 that a photo must have between its darkest and its lightest pixel."""


@dataclass
class Reader:
    """Reads pictures of one folder.

    Attributes:
        channels: One or three.
        size: Height and width.
        resize: How a picture of another size is made to fit.
        black_white: The values of black and white in files of more than 8 bits; what the file
            says when ``None``.
        lightest: The highest value of a file of 16 bits so far, and that file.
    """

    channels: int
    size: tuple[int, int]
    resize: Resize = False
    black_white: tuple[float, float] | None = None
    lightest: tuple[float, Path] | None = field(default=None, init=False)

    def read(self, file: Path) -> NDArray[np.uint8] | None:
        """Returns a picture, bytes ``(channels, height, width)``; ``None`` if it is no picture.

        Raises:
            DataError: If it is a broken picture, of another size, in an unknown range, or shows a
                single shade.
        """
        picture = self._opened(file)
        if picture is None:
            return None
        picture = self._sized(picture, file)
        pixels = np.asarray(picture, dtype=np.uint8)
        if int(pixels.max()) - int(pixels.min()) < _FLAT:
            raise DataError(
                f"{file}: shows nothing but one shade: remove it, or set range under the photos' "
                "images to the values of black and white if its pixels have more than 8 bits"
            )
        return pixels.reshape(*self.size, self.channels).transpose(2, 0, 1)

    def require_known_depth(self) -> None:
        """Refuses files of 16 bits of which none uses the upper three, until a range is given.

        Raises:
            DataError: If that is so: they may hold 12 bits, and would be nearly black.
        """
        if self.lightest is not None and self.lightest[0] < _SHALLOW:
            highest, file = self.lightest
            raise DataError(
                f"{file}: 16 bits a pixel, but no photo goes above {highest:g}: set range beside "
                "images to the values of black and white, such as [0, 4095]"
            )

    def _opened(self, file: Path) -> Image | None:
        """Opens, turns upright and converts to 8 bits."""
        try:
            from PIL import Image, ImageOps, UnidentifiedImageError
        except ImportError as error:
            raise MissingExtraError("pillow", "vision") from error
        if is_special(file):
            raise DataError(f"{file}: no file, but a pipe or a device: remove it")
        if file.suffix.lower() in _HEIF:
            _know_heif()
        known = file.suffix.lower() in Image.registered_extensions()
        try:
            # Warnings would be more lines than one; what matters of them is an error as well.
            with warnings.catch_warnings(action="ignore"), Image.open(file) as opened:
                _refuse_stack(opened, file)
                upright = ImageOps.exif_transpose(opened)
                if upright.mode.startswith("I") or upright.mode == "F":
                    upright = Image.fromarray(self._scaled(upright, opened.format or "", file))
                return upright.convert("L" if self.channels == 1 else "RGB")
        except UnidentifiedImageError as error:
            if is_dicom(file):
                return self._of_dicom(file)
            if not known:
                return None
            raise DataError(f"{file}: not a readable image: replace or remove the file") from error
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
            raise DataError(f"{file}: not a readable image: replace or remove the file") from error

    def _of_dicom(self, file: Path) -> Image | None:
        from PIL import Image

        pixels = read_dicom(file, self.black_white)
        if pixels is None:
            return None
        return Image.fromarray(pixels).convert("L" if self.channels == 1 else "RGB")

    def _scaled(self, picture: Image, form: str, file: Path) -> NDArray[np.uint8]:
        """Returns pixels of more than 8 bits as bytes."""
        values = np.asarray(picture).astype(np.float64)
        black, white = self.black_white or self._range(picture, form, values, file)
        shares = (values - black) / (white - black)
        return np.asarray((shares * 255).round().clip(0, 255).astype(np.uint8))

    def _range(
        self, picture: Image, form: str, values: NDArray[np.float64], file: Path
    ) -> tuple[float, float]:
        """Returns black and white where the file tells them."""
        low, high = float(values.min()), float(values.max())
        if picture.mode == "F" and low >= 0 and high <= 1:
            return 0.0, 1.0
        if picture.mode.startswith("I;16") or (
            form in ("PNG", "PPM") and 0 <= low <= high <= _DEEP
        ):
            if self.lightest is None or high > self.lightest[0]:
                self.lightest = high, file
            return 0.0, float(_DEEP)
        raise DataError(
            f"{file}: values from {low:g} to {high:g}, and the file does not say which is black "
            "and which is white: set range beside images, such as [-1000, 3000]"
        )

    def _sized(self, picture: Image, file: Path) -> Image:
        from PIL import Image, ImageOps

        height, width = self.size
        if picture.size == (width, height):
            return picture
        if not self.resize:
            raise DataError(
                f"{file}: {picture.height} x {picture.width} pixels, but the target takes "
                f"{height} x {width}: set resize = true, or resize the photos"
            )
        how = Image.Resampling.LANCZOS
        if self.resize == "crop":
            return ImageOps.fit(picture, (width, height), how)
        if self.resize == "fit":
            return ImageOps.pad(picture, (width, height), how)
        return picture.resize((width, height), how)


def _refuse_stack(opened: Image, file: Path) -> None:
    """Refuses a TIFF of several slices; a smaller copy on a page of its own is none."""
    if opened.format != "TIFF" or getattr(opened, "n_frames", 1) == 1:
        return
    size = opened.size
    opened.seek(1)
    if opened.size == size:
        raise DataError(
            f"{file}: a TIFF of {getattr(opened, 'n_frames', 2)} pages: save each page that the "
            "model was given as a file of its own"
        )
    opened.seek(0)


def _know_heif() -> None:
    try:
        import pillow_heif
    except ImportError as error:
        raise MissingExtraError("pillow_heif", "heic") from error
    pillow_heif.register_heif_opener()


def as_resize(told: object) -> object:
    """Returns how photos are made to fit, as a plan says it.

    Raises:
        ValueError: If it is no such way.
    """
    if isinstance(told, bool) or told in get_args(get_args(Resize)[1]):
        return told
    raise ValueError('give true, false, "squash", "crop" or "fit"')


def as_range(value: Any) -> Any:
    """Returns the values of black and white as they are.

    Raises:
        ValueError: If white is not above black.
    """
    if value is not None and not value[0] < value[1]:
        raise ValueError("give [black, white], white above black")
    return value
