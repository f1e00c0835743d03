"""Photos as people have them: each is read as what it shows, or refused with the way."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.reach.planted.scans import write_scan
from benchmarks.reach.rows import Row
from darkroom.vision.photos import Photos, load_photos, trained_rows
from darkroom.vision.spec import ImageSpec

SIDE = 32
COLUMNS = np.tile(np.linspace(0, 1, SIDE), (SIDE, 1))
Make = Callable[[Path], None]
Meet = Callable[[Path], bool]


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


def _scans(units: bool = True, how: tuple[float, float] | None = None, **told: Any) -> Meet:
    """Returns what reads scans in Hounsfield units."""

    def meet(folder: Path) -> bool:
        for person, face in zip(("ada", "bob"), _faces(), strict=True):
            (folder / person).mkdir()
            white = 1 - face if told.get("form") == "MONOCHROME1" else face
            stored = (white * 2000 - 1000 + 1024 * units).round().astype(np.int16)
            scaled: dict[str, Any] = {"RescaleSlope": 1, "RescaleIntercept": -1024} if units else {}
            for number in range(2):
                write_scan(folder / person / f"IM{number}", stored, **scaled, **told)
        return _shows(load_photos(folder, ImageSpec((1, SIDE, SIDE)), black_white=how))

    return meet


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
    yield from _pictures()
    yield from _medical()
    yield from _folders()
    yield Row("NumPy", "numbers of staff as labels", _staff, way="give classes")
    yield Row("NumPy", "bytes", _array(lambda faces: (faces * 255).round().astype(np.uint8)))
    yield Row("NumPy", "half precision", _array(lambda faces: faces.astype(np.float16)))


def _pictures() -> Iterator[Row]:
    pillow = (
        ("JPEG", _read("{}.jpg", _bytes)),
        ("WebP", _read("{}.webp", lambda face: _picture(face).convert("RGB"))),
        ("BMP", _read("{}.bmp", _bytes)),
        ("PNG with a palette", _read("{}.png", lambda face: _picture(face).convert("P"))),
        ("PNG with transparency", _read("{}.png", lambda f: _picture(f).convert("RGBA"))),
        ("PNG of 16 bits", _read("{}.png", lambda face: (face * 65535).astype(np.uint16))),
        ("TIFF in CMYK", _read("{}.tif", lambda face: _picture(face).convert("CMYK"))),
        ("TIFF of floats", _read("{}.tif", lambda face: face.astype(np.float32))),
    )
    yield from (Row("Pillow", what, meet) for what, meet in pillow)
    yield Row("pillow-heif", "HEIC", _heic)


def _medical() -> Iterator[Row]:
    def deep(face: NDArray[np.float64]) -> NDArray[np.uint16]:
        return (face * 4095).astype(np.uint16)

    def units(face: NDArray[np.float64]) -> NDArray[np.int32]:
        return (face * 4000 - 1000).astype(np.int32)

    yield Row("Pillow", "12 bits in 16", _read("{}.png", deep), way="set range")
    told = _read("{}.png", deep, black_white=(0, 4095))
    yield Row("Pillow", "12 bits in 16, with range", told)
    yield Row("Pillow", "Hounsfield units", _read("{}.tif", units), way="set range")
    told = _read("{}.tif", units, black_white=(-1000, 3000))
    yield Row("Pillow", "Hounsfield units, with range", told)
    window: dict[str, Any] = {"WindowCenter": 0, "WindowWidth": 2000}
    yield Row("DICOM", "Hounsfield units and a window", _scans(**window))
    yield Row("DICOM", "low is white", _scans(units=False, form="MONOCHROME1", **window))
    yield Row("DICOM", "no window, with range", _scans(how=(-1000, 1000)))
    yield Row("DICOM", "no window", _scans(), way="set range")


def _folders() -> Iterator[Row]:
    yield Row("folders", "Thumbs.db, __MACOSX, JSON and hidden files", _messy(_litter))
    yield Row("folders", "sub-folders of a person", _messy(_nested))
    yield Row("folders", "an empty folder of no person", _messy(lambda at: (at / "zz").mkdir()))
    yield Row("folders", "train and val", _split)
    yield Row("folders", "two people of a thousand classes", _classes)
    yield Row("folders", "a torn PNG", _messy(_torn), way="replace or remove the file")
    yield Row("folders", "a photo of one shade", _messy(_flat), way="remove it")
