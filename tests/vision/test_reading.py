"""Photos as people have them: litter, depth, classes, parts, and sizes."""

from __future__ import annotations

import contextlib
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from benchmarks.reach.planted.scans import write_scan
from PIL import Image
from tests.support.needs import needed

from darkroom.errors import DataError
from darkroom.vision.photos import Photos, load_photos, trained_rows
from darkroom.vision.reading.classes import class_names
from darkroom.vision.spec import ImageSpec

SPEC = ImageSpec((1, 16, 16))
RAMP = np.linspace(0, 1, 256).reshape(16, 16)


def save(file: Path, array: Any = None) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    pixels = (RAMP * 255).astype(np.uint8) if array is None else array
    Image.fromarray(pixels).save(file)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for person in ("ada", "bob"):
        for number in range(2):
            save(tmp_path / "photos" / person / f"{number}.png")
    return tmp_path / "photos"


def test_litter_is_left_out_and_counted(folder: Path) -> None:
    for name in ("Thumbs.db", "meta.json", ".DS_Store", "._0.png", "2024/notes.txt"):
        (folder / "ada" / name).parent.mkdir(exist_ok=True)
        (folder / "ada" / name).write_bytes(b"x")
    save(folder / "ada" / "2024" / "2.png")
    (folder / "__MACOSX" / "ada").mkdir(parents=True)
    (folder / "labels.csv").write_text("a")
    photos = load_photos(folder, SPEC)
    assert photos.names == ("ada", "bob")
    assert photos.files == ("ada/0.png", "ada/1.png", "ada/2024/2.png", "bob/0.png", "bob/1.png")
    assert photos.left_out == 5


@pytest.mark.parametrize(
    ("pixels", "black_white"),
    [
        ((RAMP * 65535).astype(np.uint16), None),
        ((RAMP * 4095).astype(np.uint16), (0, 4095)),
        (RAMP.astype(np.float32), None),
        ((RAMP * 4000 - 1000).astype(np.float32), (-1000, 3000)),
        ((RAMP * 4000 - 1000).astype(np.int32), (-1000, 3000)),
    ],
)
def test_deep_pixels_are_scaled_by_their_range(
    tmp_path: Path, pixels: np.ndarray[Any, Any], black_white: tuple[float, float] | None
) -> None:
    for person in ("ada", "bob"):
        save(tmp_path / person / "0.tif", pixels)
    photos = load_photos(tmp_path, SPEC, black_white=black_white)
    np.testing.assert_allclose(photos.images[0, 0], RAMP, atol=0.003)
    if black_white is not None:
        with pytest.raises(DataError, match="set range beside images"):
            load_photos(tmp_path, SPEC)


@pytest.mark.parametrize("dtype", [np.uint16, np.float32, np.int64])
def test_arrays_are_scaled_by_the_range_too(tmp_path: Path, dtype: type) -> None:
    pixels: Any = (RAMP * 4095).astype(dtype)
    np.savez(tmp_path / "a.npz", images=np.broadcast_to(pixels, (2, 3, 16, 16)))
    spec = ImageSpec((1, 16, 16), -1.0, 1.0)
    found = load_photos(tmp_path / "a.npz", spec, black_white=(0, 4095)).images
    np.testing.assert_allclose(found[5, 0], RAMP * 2 - 1, atol=0.001)
    with pytest.raises(DataError, match="rescale the images or set"):
        load_photos(tmp_path / "a.npz", spec)


@pytest.mark.parametrize(("side", "refused"), [(16, True), (8, False)])
def test_a_stack_of_slices_is_refused_and_a_small_copy_is_none(
    folder: Path, side: int, refused: bool
) -> None:
    first = Image.fromarray((RAMP * 255).astype(np.uint8))
    pages = [first.resize((side, side))]
    first.save(folder / "bob" / "2.tif", save_all=True, append_images=pages)
    if refused:
        with pytest.raises(DataError, match=r"2\.tif: a TIFF of 2 pages: save each page"):
            load_photos(folder, SPEC)
    else:
        np.testing.assert_allclose(load_photos(folder, SPEC).images[-1, 0], RAMP, atol=0.005)


def test_one_dark_photo_of_sixteen_bits_is_dark(tmp_path: Path) -> None:
    save(tmp_path / "ada" / "0.png", (RAMP * 4095).astype(np.uint16))
    save(tmp_path / "bob" / "0.png", (RAMP * 65535).astype(np.uint16))
    assert load_photos(tmp_path, SPEC).images[0].max() == pytest.approx(4095 / 65535, abs=0.003)


def test_a_photo_of_one_shade_is_refused(folder: Path) -> None:
    save(folder / "bob" / "2.png", np.full((16, 16), 7, np.uint8))
    with pytest.raises(DataError, match=r"bob/2.png: shows nothing but one shade"):
        load_photos(folder, SPEC)


UNITS = (RAMP * 4000 - 1000).round()
"""Hounsfield units."""


def save_scan(file: Path, pixels: Any, **told: Any) -> None:
    needed("pydicom")
    write_scan(file, np.asarray(pixels), **told)


@pytest.mark.parametrize("name", ["scan.dcm", "IM000001"])
def test_a_scan_is_seen_through_its_own_window(folder: Path, name: str) -> None:
    stored = (UNITS + 1024).astype(np.uint16)
    told = {"RescaleSlope": 1, "RescaleIntercept": -1024, "WindowCenter": 40, "WindowWidth": 400}
    save_scan(folder / "bob" / name, stored, **told)
    photos = load_photos(folder, SPEC)
    assert f"bob/{name}" in photos.files
    seen = photos.images[photos.files.index(f"bob/{name}"), 0]
    np.testing.assert_allclose(seen, ((UNITS + 160) / 400).clip(0, 1), atol=0.005)


def test_a_scan_is_seen_through_its_own_table(folder: Path) -> None:
    needed("pydicom")
    from pydicom import Dataset

    table = Dataset()
    table.LUTDescriptor = [256, 100, 16]  # entries, the value of the first, bits of each
    table.LUTData = (np.arange(255, -1, -1) * 257).astype("<u2").tobytes()  # what is high is black
    stored = (RAMP * 255 + 100).round().astype(np.uint16)
    save_scan(folder / "bob" / "2.dcm", stored, VOILUTSequence=[table])
    seen = load_photos(folder, SPEC).images[-1, 0]
    np.testing.assert_allclose(seen, 1 - RAMP, atol=0.005)


@pytest.mark.parametrize("form", ["MONOCHROME1", "MONOCHROME2"])
def test_a_scan_without_a_window_needs_a_range(folder: Path, form: str) -> None:
    save_scan(folder / "bob" / "2.dcm", UNITS.astype(np.int16), form=form)
    with pytest.raises(DataError, match=r"names no window: set range .* \[-1000, 3000\]"):
        load_photos(folder, SPEC)
    seen = load_photos(folder, SPEC, black_white=(-1000, 3000)).images[-1, 0]
    np.testing.assert_allclose(seen, RAMP if form == "MONOCHROME2" else 1 - RAMP, atol=0.005)


def test_scans_in_colour_and_files_of_dicom_without_a_picture(folder: Path) -> None:
    colour = np.stack([RAMP, RAMP.T, np.zeros_like(RAMP)], axis=-1)
    save_scan(folder / "bob" / "2.dcm", (colour * 255).astype(np.uint8), form="RGB")
    write_scan(folder / "bob" / "DICOMDIR", np.zeros((1, 1), np.uint8), PixelData=None)
    (folder / "bob" / "1.png").unlink()
    (folder / "bob" / "0.png").unlink()
    shutil.rmtree(folder / "ada")
    photos = load_photos(folder, ImageSpec((3, 16, 16)))
    assert photos.left_out == 1
    np.testing.assert_allclose(photos.images[0].transpose(1, 2, 0), colour, atol=0.005)


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ({"NumberOfFrames": 2, "pixels": np.zeros((32, 16), np.uint16), "Rows": 16}, "2 pictures"),
        ({"PixelData": b"\0" * 100}, "not a readable DICOM file"),
        ({"WindowCenter": 40, "WindowWidth": 0}, "its window cannot be used"),
        ({"form": "PALETTE COLOR"}, "DICOM in PALETTE COLOR: save it as a PNG"),
    ],
)
def test_scans_that_are_not_read_say_why(folder: Path, told: dict[str, Any], words: str) -> None:
    file = folder / "bob" / "2.dcm"
    save_scan(file, told.pop("pixels", (RAMP * 4095).astype(np.uint16)), **told)
    with pytest.raises(DataError, match=words) as caught:
        load_photos(folder, SPEC)
    assert "\n" not in str(caught.value)


def test_a_torn_scan_is_one_line(folder: Path) -> None:
    file = folder / "bob" / "scan"
    save_scan(file, (RAMP * 4095).astype(np.uint16), WindowCenter=2048, WindowWidth=4096)
    whole, rng = file.read_bytes(), np.random.default_rng(0)
    for length in rng.integers(132, len(whole), 20):
        file.write_bytes(whole[:length])
        with contextlib.suppress(DataError):  # nothing else
            load_photos(folder, SPEC)


def test_heic_is_read(folder: Path) -> None:
    heif = needed("pillow_heif")
    heif.from_pillow(Image.fromarray((RAMP * 255).astype(np.uint8)).resize((64, 64))).save(
        folder / "bob" / "IMG_1.HEIC"
    )
    photos = load_photos(folder, SPEC, resize=True)
    assert "bob/IMG_1.HEIC" in photos.files
    np.testing.assert_allclose(photos.images[-1, 0], RAMP, atol=0.1)


def test_folders_of_training_photos_say_what_the_model_saw(folder: Path, tmp_path: Path) -> None:
    for part, numbers in (("train", range(3)), ("val", range(2))):
        for person in ("ada", "bob"):
            for number in numbers:
                save(tmp_path / "split" / part / person / f"{number}.png")
    photos = load_photos(tmp_path / "split", SPEC)
    assert photos.names == ("ada", "bob")
    assert trained_rows(photos, ":").tolist() == [True, True, True, False, False] * 2
    assert trained_rows(photos, "0:1").sum() == 2
    assert trained_rows(load_photos(folder, SPEC), ":").all()


def test_a_list_of_files_says_what_the_model_saw(folder: Path) -> None:
    photos = load_photos(folder, SPEC)
    (folder / "seen.txt").write_text("ada/1.png\n./bob/0.png\n")
    expected = [False, True, True, False]
    assert trained_rows(photos, str(folder / "seen.txt")).tolist() == expected
    assert trained_rows(photos, ["ada/1.png", "bob/0.png"]).tolist() == expected
    with pytest.raises(DataError, match=r"ada/9.png is no photo"):
        trained_rows(photos, ["ada/9.png"])


@pytest.mark.parametrize(
    "content",
    [["eve", "bob", "ada"], {"0": "eve", "1": "bob", "2": "ada"}, {"ada": 2, "bob": 1, "eve": 0}],
)
def test_classes_stand_in_the_models_order(folder: Path, content: object) -> None:
    (folder / "names.json").write_text(json.dumps(content))
    names = class_names(folder / "names.json")
    photos = load_photos(folder, SPEC, classes=names)
    assert photos.names == ("eve", "bob", "ada")
    assert photos.people.tolist() == [1, 1, 2, 2]
    with pytest.raises(DataError, match=r"bob: no class of that name"):
        load_photos(folder, SPEC, classes=("ada", "rob"))


def test_numbers_of_staff_are_no_classes_until_they_are_named(tmp_path: Path) -> None:
    images = np.random.default_rng(0).random((4, 1, 16, 16), np.float32)
    staff = np.array([100_000_007, 100_000_007, 99, 99])
    with pytest.raises(DataError, match="more than a model has classes"):
        Photos.of(images, staff)
    np.savez(tmp_path / "a.npz", images=images, people=staff)
    photos = load_photos(tmp_path / "a.npz", SPEC, classes=("99", "100000007"))
    assert photos.people.tolist() == [0, 0, 1, 1]


@pytest.mark.parametrize(("resize", "left"), [("squash", 0.0), ("crop", 0.25), ("fit", 0.0)])
def test_another_shape_is_squashed_cut_or_bordered(
    tmp_path: Path, resize: Any, left: float
) -> None:
    wide = np.repeat((np.linspace(0, 1, 64) * 255).astype(np.uint8)[None], 32, axis=0)
    for person in ("ada", "bob"):
        save(tmp_path / person / "0.png", wide)
    image = load_photos(tmp_path, SPEC, resize=resize).images[0, 0]
    assert image[8, 0] == pytest.approx(left, abs=0.05)
    assert (image[0].max() == 0) == (resize == "fit")
