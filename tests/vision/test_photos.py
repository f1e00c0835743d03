"""Photos from folders and arrays, and every way in which they can be wrong."""

from __future__ import annotations

import contextlib
import io
import shutil
import struct
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from darkroom.errors import DataError
from darkroom.vision.photos import Photos, load_photos
from darkroom.vision.spec import ImageSpec

GRAY, COLOUR = ImageSpec((1, 4, 6)), ImageSpec((3, 4, 6))


def pixels(*shape: int, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def save(file: Path, array: NDArray[np.uint8] | NDArray[np.uint16]) -> None:
    """Writes a picture; one of a single shade gets another at its right."""
    file.parent.mkdir(parents=True, exist_ok=True)
    if array.min() == array.max():
        array = array.copy()
        array[:, -1] = array[:, -1] - 60 if array.max() > 100 else array[:, -1] + 60
    Image.fromarray(array).save(file)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two people with two grey photos each; their level is ten times the person plus the photo."""
    for person, name in enumerate(["anna", "bert"]):
        for photo in range(2):
            save(tmp_path / name / f"{photo}.png", np.full((4, 6), 10 * person + photo, np.uint8))
    return tmp_path


def refused(path: Path, spec: ImageSpec = GRAY, **options: Any) -> str:
    with pytest.raises(DataError) as caught:
        load_photos(path, spec, **options)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_people_and_photos_in_the_order_of_their_names(folder: Path) -> None:
    save(folder / "Zoe" / "b.jpeg.png", np.full((4, 6), 200, np.uint8))
    save(folder / "Zoe" / "a.png", np.full((4, 6), 100, np.uint8))
    (folder / ".thumbnails").mkdir()
    (folder / "anna" / ".DS_Store").write_bytes(b"")
    (folder / "readme.txt").write_text("not a person")
    photos = load_photos(folder, GRAY)
    assert photos.names == ("Zoe", "anna", "bert")
    assert photos.people.tolist() == [0, 0, 1, 1, 2, 2]
    assert photos.numbers.tolist() == [0, 1, 0, 1, 0, 1]
    np.testing.assert_allclose(photos.images[:, 0, 0, 0] * 255, [100, 200, 0, 1, 10, 11], atol=1e-3)
    assert photos.images.shape == (6, *GRAY.shape)
    assert photos.images.dtype == np.float32


@pytest.mark.parametrize("suffix", [".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".webp"])
def test_every_format_of_picture(tmp_path: Path, suffix: str) -> None:
    for person in ("a", "b"):
        save(tmp_path / person / f"0{suffix}", np.full((4, 6, 3), 128, np.uint8))
    for spec in (GRAY, COLOUR):
        photos = load_photos(tmp_path, spec)
        np.testing.assert_allclose(np.median(photos.images), 128 / 255, atol=0.02)


def test_colour_becomes_grey_and_grey_colour(tmp_path: Path) -> None:
    colour, grey = pixels(4, 6, 3), pixels(4, 6)
    save(tmp_path / "a" / "0.png", colour)
    save(tmp_path / "b" / "0.png", grey)
    as_colour = load_photos(tmp_path, COLOUR).images
    np.testing.assert_allclose(as_colour[0], colour.transpose(2, 0, 1) / 255, atol=1e-6)
    np.testing.assert_allclose(as_colour[1], np.stack([grey] * 3) / 255, atol=1e-6)
    as_grey = load_photos(tmp_path, GRAY).images[:, 0] * 255
    # ITU-R 601: what the eye sees of each colour.
    np.testing.assert_allclose(as_grey[0], colour @ [0.299, 0.587, 0.114], atol=1)
    np.testing.assert_allclose(as_grey[1], grey, atol=1e-3)


def test_sixteen_bits_are_scaled_and_not_cut_off(tmp_path: Path) -> None:
    levels = np.linspace(0, 65535, 24).reshape(4, 6).astype(np.uint16)
    save(tmp_path / "a" / "0.png", levels)
    images = load_photos(tmp_path, GRAY).images
    np.testing.assert_allclose(images[0, 0], levels / 65535, atol=0.01)


def test_a_photo_taken_sideways_is_turned_upright(tmp_path: Path) -> None:
    upright = pixels(4, 6)
    (tmp_path / "a").mkdir()
    sideways = Image.fromarray(np.rot90(upright).copy())
    exif = Image.Exif()
    exif[0x0112] = 6  # turn it clockwise by a quarter to see it upright
    sideways.save(tmp_path / "a" / "0.png", exif=exif)
    np.testing.assert_allclose(load_photos(tmp_path, GRAY).images[0, 0], upright / 255, atol=1e-6)


def test_transparency_is_ignored_in_silence(tmp_path: Path) -> None:
    picture = Image.fromarray(pixels(4, 6, 3)).convert("P")
    (tmp_path / "a").mkdir()
    picture.save(tmp_path / "a" / "0.png", transparency=bytes(range(200)))
    assert load_photos(tmp_path, COLOUR).images.shape == (1, 3, 4, 6)


def test_bytes_are_scaled_to_the_targets_range(folder: Path) -> None:
    spec = ImageSpec((1, 4, 6), -1.0, 1.0)
    save(folder / "anna" / "0.png", np.zeros((4, 6), np.uint8))
    save(folder / "bert" / "1.png", np.full((4, 6), 255, np.uint8))
    images = load_photos(folder, spec).images
    assert images[0, 0, 0, 0] == -1.0
    np.testing.assert_allclose(images[-1, 0, 0, 0], 1.0, atol=1e-6)


def test_another_size_is_resized_only_when_asked(folder: Path) -> None:
    save(folder / "anna" / "2.png", np.full((9, 11), 77, np.uint8))
    message = refused(folder)
    assert "2.png: 9 x 11 pixels, but the target takes 4 x 6" in message
    assert "resize = true" in message
    photos = load_photos(folder, GRAY, resize=True)
    np.testing.assert_allclose(photos.images[2, 0, 0, :3] * 255, 77, atol=1e-3)


@pytest.mark.parametrize(
    ("chosen", "people", "numbers"),
    [
        (slice(0, 1), [0, 0], [0, 1]),
        (slice(1, None), [1, 1], [0, 1]),
        (slice(None, 9), [0, 0, 1, 1], [0, 1, 0, 1]),
    ],
)
def test_a_slice_of_people_keeps_their_classes(
    folder: Path, chosen: slice, people: list[int], numbers: list[int]
) -> None:
    photos = load_photos(folder, GRAY, people=chosen)
    assert photos.people.tolist() == people
    assert photos.numbers.tolist() == numbers
    assert photos.names == ("anna", "bert")


def test_a_slice_that_selects_nobody(folder: Path) -> None:
    assert "selects nobody" in refused(folder, people=slice(2, 5))


@pytest.mark.parametrize(
    ("arrays", "spec", "people"),
    [
        ({"images": pixels(2, 3, 4, 6)}, GRAY, [0, 0, 0, 1, 1, 1]),
        ({"images": pixels(2, 3, 1, 4, 6)}, GRAY, [0, 0, 0, 1, 1, 1]),
        ({"images": pixels(2, 3, 3, 4, 6)}, COLOUR, [0, 0, 0, 1, 1, 1]),
        ({"images": pixels(3, 4, 6), "people": np.array([1, 0, 1])}, GRAY, [0, 1, 1]),
        ({"images": pixels(3, 1, 4, 6), "people": np.array([1, 0, 1])}, GRAY, [0, 1, 1]),
        ({"images": pixels(3, 3, 4, 6), "people": np.array([1, 0, 1])}, COLOUR, [0, 1, 1]),
        ({"images": pixels(3, 4, 6), "people": np.array([1, 0, 1], np.uint8)}, GRAY, [0, 1, 1]),
    ],
)
def test_every_layout_of_arrays(
    tmp_path: Path, arrays: dict[str, Any], spec: ImageSpec, people: list[int]
) -> None:
    rows = arrays["images"].reshape(-1, *spec.shape)
    for scale, kind in ((1, np.uint8), (255, np.float32), (255, np.float64), (255, np.float16)):
        images = arrays["images"] if scale == 1 else (arrays["images"] / scale).astype(kind)
        np.savez(tmp_path / "people.npz", **{**arrays, "images": images})
        photos = load_photos(tmp_path / "people.npz", spec)
        assert photos.people.tolist() == people
        order = [1, 0, 2] if "people" in arrays else list(range(len(rows)))
        np.testing.assert_allclose(photos.images, rows[order] / 255, atol=1e-3)
        assert photos.images.dtype == np.float32
        assert photos.names == ("person-0", "person-1")


def test_compressed_arrays_with_names(tmp_path: Path) -> None:
    names = np.array(["anna", "bert"])
    np.savez_compressed(tmp_path / "people.npz", images=pixels(2, 3, 4, 6), names=names)
    assert load_photos(tmp_path / "people.npz", GRAY).names == ("anna", "bert")


IMAGES = pixels(2, 3, 4, 6)


@pytest.mark.parametrize(
    ("arrays", "expected"),
    [
        ({"faces": IMAGES}, "no array called images, only faces"),
        ({}, "no array called images, only nothing"),
        ({"images": IMAGES.astype(np.float32)}, "but the target's range is 0 to 1"),
        ({"images": IMAGES.astype(np.int64)}, "but the target's range is 0 to 1"),
        ({"images": np.full((2, 3, 4, 6), np.nan)}, "not finite"),
        ({"images": pixels(2, 3, 6, 4)}, "images of shape [1, 6, 4], but the target takes"),
        ({"images": pixels(2, 3, 3, 4, 6)}, "images of shape [3, 4, 6], but the target takes"),
        ({"images": pixels(4, 6)}, "(people, photos, [channels,] rows, columns)"),
        ({"images": pixels(0, 3, 4, 6)}, "(people, photos, [channels,] rows, columns)"),
        ({"images": pixels(2, 0, 4, 6)}, "(people, photos, [channels,] rows, columns)"),
        ({"images": pixels(0, 4, 6), "people": np.array([], int)}, "(n, [channels,] rows"),
        ({"images": IMAGES, "people": np.array([0, 1])}, "images of shape [3, 4, 6], but"),
        ({"images": IMAGES[0], "people": np.array([0, 1])}, "3 images but 2 labels"),
        ({"images": IMAGES[0], "people": np.array([[0, 1, 1]])}, "(n,)"),
        ({"images": IMAGES[0], "people": np.array([0, -1, 1])}, "labels must be 0 to"),
        ({"images": IMAGES[0], "people": np.array(["a", "b", "c"])}, "people must be whole"),
        ({"images": IMAGES[0], "people": np.array([0.5, 1, 2])}, "people must be whole"),
        ({"images": IMAGES[0], "people": np.array([0, 1, np.nan])}, "people must be whole"),
        ({"images": IMAGES, "names": np.array(["anna"])}, "labels must be 0 to 0"),
        ({"images": IMAGES, "names": np.array("anna")}, "labels must be 0 to 0"),
        ({"images": IMAGES.astype(str)}, "images must be numbers"),
        ({"images": IMAGES * 1j}, "images must be numbers"),
        ({"images": np.array([[None, {}]], dtype=object)}, "without pickles"),
        ({"images": IMAGES, "people": np.array([None, {}], dtype=object)}, "without pickles"),
    ],
)
def test_arrays_that_do_not_fit(tmp_path: Path, arrays: dict[str, Any], expected: str) -> None:
    file = tmp_path / "people.npz"
    np.savez(file, **arrays)
    message = refused(file)
    assert expected in message
    assert str(file) in message


def test_arrays_are_not_resized(tmp_path: Path) -> None:
    np.savez(tmp_path / "people.npz", images=pixels(2, 3, 9, 9))
    assert "resize works on folders" in refused(tmp_path / "people.npz", resize=True)


def _as_npy(file: Path) -> None:
    with file.open("wb") as stream:
        np.save(stream, IMAGES)


def _as_archive(file: Path) -> None:
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("images", b"no array")


def _as_damaged(file: Path) -> None:
    np.savez_compressed(file, images=pixels(20, 3, 4, 6))
    content = bytearray(file.read_bytes())
    content[300:330] = bytes(30)
    file.write_bytes(content)


def _as_truncated(file: Path) -> None:
    np.savez(file, images=IMAGES)
    file.write_bytes(file.read_bytes()[:150])


@pytest.mark.parametrize(
    "write",
    [
        _as_npy,
        _as_archive,
        _as_damaged,
        _as_truncated,
        lambda file: file.write_bytes(b""),
        lambda file: file.write_text("images"),
    ],
)
def test_a_file_that_is_no_archive_of_arrays(
    tmp_path: Path, write: Callable[[Path], object]
) -> None:
    write(tmp_path / "people.npz")
    assert "not a readable .npz without pickles" in refused(tmp_path / "people.npz")


def test_a_header_that_lies_about_the_size(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    np.save(buffer, IMAGES)
    lying = buffer.getvalue().replace(b"(2, 3, 4, 6)", b"(9, 9, 9, 9)")
    with zipfile.ZipFile(tmp_path / "people.npz", "w") as archive:
        archive.writestr("images.npy", lying)
    assert "not a readable .npz" in refused(tmp_path / "people.npz")


def test_nothing_there(tmp_path: Path) -> None:
    assert "no such file or folder" in refused(tmp_path / "none")


def test_neither_folder_nor_archive(tmp_path: Path) -> None:
    (tmp_path / "people.csv").write_text("")
    assert "neither a folder of people nor an .npz file" in refused(tmp_path / "people.csv")


def test_a_folder_without_people(tmp_path: Path) -> None:
    assert "put each person's photos into one folder" in refused(tmp_path)


def test_photos_beside_each_other_are_nobodys(tmp_path: Path) -> None:
    save(tmp_path / "0.png", pixels(4, 6))
    assert "put each person's photos into one folder" in refused(tmp_path)


def test_a_person_without_photos_keeps_the_class(folder: Path) -> None:
    (folder / "armin").mkdir()
    photos = load_photos(folder, GRAY)
    assert photos.names == ("anna", "armin", "bert")
    assert photos.people.tolist() == [0, 0, 2, 2]


@pytest.mark.parametrize("content", [b"", b"not an image", b"\x89PNG\r\n\x1a\n", bytes(100)])
def test_a_photo_that_is_no_image(folder: Path, content: bytes) -> None:
    (folder / "bert" / "2.png").write_bytes(content)
    message = refused(folder)
    assert "2.png: not a readable image: replace or remove the file" in message


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".gif", ".bmp", ".webp", ".tif"])
def test_a_photo_with_damage_is_read_or_refused(folder: Path, suffix: str) -> None:
    whole = folder / f"whole{suffix}"
    save(whole, pixels(40, 60, 3))
    content = whole.read_bytes()
    rng = np.random.default_rng(7)
    for trial in range(60):
        damaged = bytearray(content[: rng.integers(10, len(content) + 1)])
        for position in rng.integers(0, min(len(damaged), 400), 3 * (trial % 3)):
            damaged[position] = rng.integers(256)
        (folder / "bert" / f"2{suffix}").write_bytes(bytes(damaged))
        with contextlib.suppress(DataError):
            load_photos(folder, GRAY, resize=True)


def test_a_picture_that_claims_to_be_enormous(folder: Path) -> None:
    file = folder / "bert" / "2.bmp"
    save(file, pixels(4, 6))
    content = bytearray(file.read_bytes())
    content[18:26] = struct.pack("<ii", 60_000, 60_000)
    file.write_bytes(content)
    assert "2.bmp: not a readable image" in refused(folder)


def test_labels_one_for_each_image() -> None:
    with pytest.raises(DataError, match="3 images but 2 labels"):
        Photos.of(np.zeros((3, 1, 2, 2), np.float32), np.array([0, 1]))


def test_sorting_keeps_the_order_of_each_persons_photos() -> None:
    images = np.arange(5, dtype=np.float32).reshape(5, 1, 1, 1)
    photos = Photos.of(images, np.array([2, 0, 2, 0, 2]))
    assert photos.images.ravel().tolist() == [1, 3, 0, 2, 4]
    assert photos.people.tolist() == [0, 0, 2, 2, 2]
    assert photos.numbers.tolist() == [0, 1, 0, 1, 2]
    assert photos.names == ("person-0", "person-1", "person-2")
    kept = photos.select(photos.numbers == 1)
    assert (kept.people.tolist(), kept.numbers.tolist()) == ([0, 2], [1, 1])


def test_the_digest_follows_pixels_labels_and_names() -> None:
    images, people = np.zeros((3, 1, 2, 2), np.float32), np.array([0, 1, 1])
    other = images.copy()
    other[0, 0, 0, 0] = 1e-7
    photos = [
        Photos.of(images, people),
        Photos.of(other, people),
        Photos.of(images, np.array([0, 0, 1])),
        Photos.of(images, people, ("anna", "bert")),
        Photos.of(images.reshape(3, 1, 1, 4), people),
    ]
    assert Photos.of(images.copy(), people).digest() == photos[0].digest()
    assert len({one.digest() for one in photos}) == len(photos)


def test_nothing_is_warned_of(folder: Path) -> None:
    shutil.rmtree(folder / "bert")
    with warnings.catch_warnings(action="error"):
        load_photos(folder, GRAY)


def test_what_is_not_there_is_looked_for_in_the_data_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    np.savez(kept / "faces.npz", images=pixels(2, 3, 4, 6))
    monkeypatch.setenv("DARKROOM_DATA", str(kept))
    assert len(load_photos(tmp_path / "faces.npz", GRAY).people) == 6
    assert "other.npz: no such file" in refused(tmp_path / "other.npz")


def test_olivetti_comes_from_scikit_learn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    faces = np.linspace(0, 1, 6 * 64 * 64, dtype=np.float32).reshape(6, 64, 64)
    bunch = SimpleNamespace(images=faces, target=np.repeat(np.arange(3), 2))
    monkeypatch.setattr("sklearn.datasets.fetch_olivetti_faces", lambda: bunch)
    photos = load_photos(tmp_path / "olivetti", ImageSpec((1, 64, 64), -1.0, 1.0))
    assert photos.people.tolist() == [0, 0, 1, 1, 2, 2]
    np.testing.assert_allclose(photos.images[:, 0], 2 * faces - 1, atol=1e-6)


def test_olivetti_says_so_when_there_is_no_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise OSError("no route")

    monkeypatch.setattr("sklearn.datasets.fetch_olivetti_faces", fail)
    assert "download failed" in refused(tmp_path / "olivetti", ImageSpec((1, 64, 64)))
