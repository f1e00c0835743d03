"""Pictures in DICOM files, between the black and the white that the file names."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from darkroom.errors import DataError, MissingExtraError, one_line

_SUFFIXES = (".dcm", ".dicom")
_FAR = 1e9
"""A value beyond every window."""


def is_dicom(file: Path) -> bool:
    """Tells whether a file is DICOM, by its name or by how it begins: many have no ending."""
    if file.suffix.lower() in _SUFFIXES:
        return True
    with file.open("rb") as opened:
        return opened.read(132)[128:] == b"DICM"


def read_dicom(
    file: Path, black_white: tuple[float, float] | None = None
) -> NDArray[np.uint8] | None:
    """Reads a picture through the window, or the table, that its file names.

    Stored values are made into Hounsfield units, or whatever unit the file scales them to, first.

    Args:
        file: The file.
        black_white: The values of black and white in that unit, instead of the file's window. Where
            the file says that its lowest value is white, it is so in either case.

    Returns:
        Bytes ``(height, width)`` or ``(height, width, 3)``; ``None`` for a file without a picture,
        such as an index or a report.

    Raises:
        DataError: If it is damaged, or packed in a way that nothing here unpacks; if it holds
            several pictures, or colours in another form than red, green and blue; or if neither it
            nor ``black_white`` says what is black and white.
        MissingExtraError: If pydicom is not installed.
    """
    try:
        import pydicom
        from pydicom.pixels.processing import apply_modality_lut
    except ImportError as error:
        raise MissingExtraError("pydicom", "dicom") from error
    try:
        with warnings.catch_warnings(action="ignore"):  # of values that are not as they should be
            found = pydicom.dcmread(file)
            if "PixelData" not in found:
                return None
            pixels = found.pixel_array
            if found.get("SamplesPerPixel", 1) == 1:
                pixels = apply_modality_lut(pixels, found).astype(np.float64)
    except Exception as error:  # whatever a damaged file makes its reader raise
        raise DataError(
            f"{file}: not a readable DICOM file ({one_line(error)}): save it as a PNG, or install "
            "what unpacks it"
        ) from error
    if int(found.get("NumberOfFrames") or 1) > 1:
        raise DataError(
            f"{file}: DICOM with {found.NumberOfFrames} pictures: save each as a file of its own"
        )
    form = str(found.get("PhotometricInterpretation", ""))
    if pixels.ndim == 3 and pixels.dtype == np.uint8:
        return np.asarray(pixels)
    if form not in ("MONOCHROME1", "MONOCHROME2"):
        raise DataError(f"{file}: DICOM in {form or 'an unknown form of colour'}: save it as a PNG")
    shares = _shares(found, pixels, black_white, file)
    shares = 1 - shares if form == "MONOCHROME1" else shares
    return np.asarray((shares * 255).round().clip(0, 255).astype(np.uint8))


def _shares(
    found: Any,
    values: NDArray[np.float64],
    black_white: tuple[float, float] | None,
    file: Path,
) -> NDArray[np.float64]:
    """Returns values between the lowest, at 0, and the highest that are shown, at 1."""
    from pydicom.pixels.processing import apply_voi_lut

    if black_white is None:
        windowed = None not in (found.get("WindowCenter"), found.get("WindowWidth"))
        if not windowed and "VOILUTSequence" not in found:
            raise DataError(
                f"{file}: values from {values.min():g} to {values.max():g}, and the file names no "
                "window: set range beside images to the values of black and white, such as "
                "[-1000, 3000]"
            )
        try:
            with np.errstate(over="ignore"), warnings.catch_warnings(action="ignore"):
                if "VOILUTSequence" in found:
                    bits = int(found.VOILUTSequence[0].LUTDescriptor[2])
                    ends = np.array([0.0, 2.0**bits - 1])  # of a table, by the standard
                    whole = values.round().astype(np.int64)
                    values = apply_voi_lut(whole, found).astype(np.float64)
                else:
                    ends = apply_voi_lut(np.array([-_FAR, _FAR]), found).astype(np.float64)
                    values = apply_voi_lut(values, found).astype(np.float64)
        except Exception as error:  # a window or a table that makes no sense
            raise DataError(
                f"{file}: its window cannot be used ({one_line(error)}): set range beside images"
            ) from error
        black_white = float(ends[0]), float(ends[1])
    black, white = black_white
    if black == white:
        raise DataError(f"{file}: its window shows a single shade: set range beside images")
    return (values - black) / (white - black)
