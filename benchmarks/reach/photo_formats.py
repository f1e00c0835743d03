"""Photos as people have them: each is read as what it shows, or refused with the way."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.reach.rows import Row
from darkroom.images.photos import Photos, load_photos, trained_rows
from darkroom.images.targets.base import ImageSpec

SIDE = 32
COLUMNS = np.tile(np.linspace(0, 1, SIDE), (SIDE, 1))
Make = Callable[[Path], None]


def _faces() -> list[NDArray[np.float64]]:
    """Returns what the photos of two people show: a ramp to the right, and one downwards."""
    return [COLUMNS, COLUMNS.T]


def _saved(folder: Path, name: str, convert: Callable[[NDArray[np.float64]], Any]) -> None:
    for person, face in zip(("ada", "bob"), _faces(), strict=True):
        (folder / person).mkdir(parents=True, exist_ok=True)
        for number in range(2):
            picture = convert(face)
            picture = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
            picture.save(folder / person / name.format(number))


def _bytes(face: NDArray[np.float64]) -> NDArray[np.uint8]:
    return (face * 255).round().astype(np.uint8)


def _picture(face: NDArray[np.float64]) -> Image.Image:
    return Image.fromarray(_bytes(face))


def _shows(photos: Photos, within: float = 0.06) -> bool:
    """Tells whether the photos show what was planted, each its own person."""
    right = [np.abs(photos.images[photos.people == p, 0] - f).max() for p, f in enumerate(_faces())]
    return len(photos.people) == 4 and max(right) < within


def _read(
    name: str, convert: Callable[[NDArray[np.float64]], Any], **how: Any
) -> Callable[[Path], bool]:
    def meet(folder: Path) -> bool:
        _saved(folder, name, convert)
        return _shows(load_photos(folder, ImageSpec((1, SIDE, SIDE)), **how))

    return meet


def _messy(spoil: Make) -> Callable[[Path], bool]:
    def meet(folder: Path) -> bool:
        _saved(folder, "{}.png", _bytes)
        spoil(folder)
        return _shows(load_photos(folder, ImageSpec((1, SIDE, SIDE))))

    return meet


def _litter(folder: Path) -> None:
    (folder / "__MACOSX").mkdir()
    for name in ("Thumbs.db", "meta.json", "._0.png", ".DS_Store"):
        (folder / "ada" / name).write_bytes(b"x")


def _nested(folder: Path) -> None:
    (folder / "ada" / "2024").mkdir()
    (folder / "ada" / "1.png").rename(folder / "ada" / "2024" / "1.png")


def _torn(folder: Path) -> None:
    file = folder / "bob" / "1.png"
    file.write_bytes(file.read_bytes()[:60])


def _dicom(folder: Path) -> None:
    (folder / "bob" / "scan.dcm").write_bytes(bytes(128) + b"DICM" + bytes(64))


def _flat(folder: Path) -> None:
    Image.fromarray(np.full((SIDE, SIDE), 9, np.uint8)).save(folder / "bob" / "2.png")


def _heic(folder: Path) -> bool:
    import pillow_heif

    pillow_heif.register_heif_opener()
    _saved(folder, "{}.heic", lambda face: _picture(face).convert("RGB"))
    return _shows(load_photos(folder, ImageSpec((1, SIDE, SIDE))), within=0.12)


def _split(folder: Path) -> bool:
    _saved(folder / "train", "{}.png", _bytes)
    for person in ("ada", "bob"):
        (folder / "val" / person).mkdir(parents=True)
        (folder / "train" / person / "1.png").rename(folder / "val" / person / "1.png")
    photos = load_photos(folder, ImageSpec((1, SIDE, SIDE)))
    return _shows(photos) and trained_rows(photos, ":").tolist() == [True, False, True, False]


def _classes(folder: Path) -> bool:
    _saved(folder, "{}.png", _bytes)
    names = tuple(f"class-{n}" for n in range(998))
    photos = load_photos(folder, ImageSpec((1, SIDE, SIDE)), classes=("bob", *names, "ada"))
    return bool(photos.people.tolist() == [0, 0, 999, 999])


def _staff(folder: Path) -> bool:
    images = np.random.default_rng(0).random((4, 1, SIDE, SIDE), np.float32)
    np.savez(folder / "a.npz", images=images, people=np.array([7, 7, 10**8, 10**8]))
    load_photos(folder / "a.npz", ImageSpec((1, SIDE, SIDE)))
    return False


def _array(convert: Callable[[NDArray[np.float32]], Any]) -> Callable[[Path], bool]:
    def meet(folder: Path) -> bool:
        faces = np.repeat(np.stack(_faces())[:, None, None], 2, axis=1).astype(np.float32)
        np.savez(folder / "a.npz", images=convert(faces))
        return _shows(load_photos(folder / "a.npz", ImageSpec((1, SIDE, SIDE))))

    return meet


def rows() -> Iterator[Row]:
    """Yields what people have."""
    pillow = (
        ("JPEG", _read("{}.jpg", _bytes)),
        ("WebP", _read("{}.webp", lambda face: _picture(face).convert("RGB"))),
        ("BMP", _read("{}.bmp", _bytes)),
        ("PNG with a palette", _read("{}.png", lambda face: _picture(face).convert("P"))),
        ("PNG with transparency", _read("{}.png", lambda f: _picture(f).convert("RGBA"))),
        ("PNG of 16 bits", _read("{}.png", lambda face: (face * 65535).astype(np.uint16))),
        ("TIFF in CMYK", _read("{}.tif", lambda face: _picture(face).convert("CMYK"))),
        ("TIFF of floats", _read("{}.tif", lambda face: face.astype(np.float32))),
        (
            "12 bits in 16, with range",
            _read("{}.png", lambda f: (f * 4095).astype(np.uint16), black_white=(0, 4095)),
        ),
        (
            "Hounsfield units, with range",
            _read(
                "{}.tif", lambda f: (f * 4000 - 1000).astype(np.int32), black_white=(-1000, 3000)
            ),
        ),
    )
    yield from (Row("Pillow", what, meet) for what, meet in pillow)
    yield Row("pillow-heif", "HEIC", _heic)
    deep = _read("{}.png", lambda face: (face * 4095).astype(np.uint16))
    yield Row("Pillow", "12 bits in 16", deep, way="set range")
    units = _read("{}.tif", lambda face: (face * 4000 - 1000).astype(np.float32))
    yield Row("Pillow", "Hounsfield units", units, way="set range")
    yield Row("folders", "Thumbs.db, __MACOSX, JSON and hidden files", _messy(_litter))
    yield Row("folders", "sub-folders of a person", _messy(_nested))
    yield Row("folders", "an empty folder of no person", _messy(lambda at: (at / "zz").mkdir()))
    yield Row("folders", "train and val", _split)
    yield Row("folders", "two people of a thousand classes", _classes)
    yield Row("folders", "a torn PNG", _messy(_torn), way="replace or remove the file")
    yield Row("folders", "a photo of one shade", _messy(_flat), way="remove it")
    yield Row("DICOM", "a scan", _messy(_dicom), way="set range")
    yield Row("NumPy", "numbers of staff as labels", _staff, way="give classes")
    yield Row("NumPy", "bytes", _array(lambda faces: (faces * 255).round().astype(np.uint8)))
    yield Row("NumPy", "half precision", _array(lambda faces: faces.astype(np.float16)))
