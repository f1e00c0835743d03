"""Scans in DICOM files, as small as they can be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


def write_scan(file: Path, pixels: NDArray[Any], form: str = "MONOCHROME2", **told: Any) -> None:
    """Writes a picture as a CT or an X-ray machine does.

    Args:
        file: Where to.
        pixels: Whole numbers of 8 or 16 bits, ``(height, width)`` or ``(height, width, 3)``.
        form: The photometric interpretation.
        told: More elements by their keywords, such as ``WindowCenter``; ``None`` to leave one out.
    """
    from pydicom import Dataset
    from pydicom.dataset import FileMetaDataset
    from pydicom.uid import UID, CTImageStorage, ExplicitVRLittleEndian

    meta, scan = FileMetaDataset(), Dataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = CTImageStorage
    meta.MediaStorageSOPInstanceUID = UID("1.2.3.4")
    scan.file_meta = meta
    scan.Rows, scan.Columns = pixels.shape[:2]
    scan.SamplesPerPixel = 1 if pixels.ndim == 2 else pixels.shape[2]
    if pixels.ndim > 2:
        scan.PlanarConfiguration = 0
    scan.PhotometricInterpretation = form
    bits = 8 * pixels.dtype.itemsize
    scan.BitsAllocated, scan.BitsStored, scan.HighBit = bits, bits, bits - 1
    scan.PixelRepresentation = int(pixels.dtype.kind == "i")
    scan.PixelData = np.ascontiguousarray(pixels).tobytes()
    for keyword, value in told.items():
        if value is None:
            delattr(scan, keyword)
        else:
            setattr(scan, keyword, value)
    scan.save_as(file, enforce_file_format=True)
