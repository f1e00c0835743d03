"""Rendered employees: the same when asked again, disjoint from strangers, and recognisable."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from darkroom.demo.people.employees import Faces, attributes_of, render_faces, save_folder
from darkroom.errors import DataError

pytestmark = pytest.mark.medium

Images: TypeAlias = NDArray[np.float32]


@pytest.fixture(scope="module")
def staff() -> Faces:
    return render_faces(100, 10, seed=3)


def test_shape_range_and_names(staff: Faces) -> None:
    assert staff.images.shape == (100, 10, 3, 64, 64)
    assert staff.images.dtype == np.float32
    assert staff.images.min() >= 0.0
    assert staff.images.max() <= 1.0
    assert staff.names[7] == "employee-0007"
    assert len(set(staff.names)) == 100


def test_brightness_fills_the_range(staff: Faces) -> None:
    assert 0.35 < staff.images.mean() < 0.65
    clipped = np.mean((staff.images <= 0.0) | (staff.images >= 1.0))
    assert clipped < 0.02
    low, high = np.percentile(staff.images, [1, 99])
    assert low < 0.2
    assert high > 0.75


def test_same_arguments_give_the_same_faces() -> None:
    first, second = render_faces(3, 2, seed=5), render_faces(3, 2, seed=5)
    np.testing.assert_array_equal(first.images, second.images)


def test_another_seed_gives_other_people() -> None:
    first, second = render_faces(4, 1, seed=0).images, render_faces(4, 1, seed=1).images
    assert np.abs(first - second).mean(axis=(1, 2, 3, 4)).min() > 0.03


def test_asking_for_more_changes_nobody() -> None:
    few, many = render_faces(2, 3, seed=9).images, render_faces(4, 23, seed=9).images
    np.testing.assert_allclose(few, many[:2, :3], atol=1e-6)


def test_photos_of_a_person_differ_after_the_first_batch_too() -> None:
    photos = render_faces(1, 23).images[0].reshape(23, -1)
    distances = np.abs(photos[:, None] - photos[None]).mean(axis=-1)
    assert distances[~np.eye(23, dtype=bool)].min() > 0.01


def test_employees_and_strangers_are_other_people() -> None:
    employees = render_faces(30, 4, seed=2)
    strangers = render_faces(30, 4, seed=2, role="strangers")
    assert strangers.names[0] == "stranger-0000"
    nearest = _distances(strangers.images, employees.images).min(axis=1)
    own = _distances(employees.images[:, 1:], employees.images[:, :1]).reshape(30, 3, 30)
    same = np.diagonal(own, axis1=0, axis2=2)
    assert nearest.min() > 0.0
    assert np.median(nearest) > np.median(same)


def test_photos_of_a_person_vary_but_less_than_people(staff: Faces) -> None:
    within = staff.images.std(axis=1).mean()
    overall = staff.images.reshape(-1, 3, 64, 64).std(axis=0).mean()
    assert within > 0.04
    assert within < 0.65 * overall


def test_linear_discriminants_name_unseen_photos(staff: Faces) -> None:
    people = np.repeat(np.arange(100), 5)
    known = staff.images[:, ::2].reshape(500, -1)
    unseen = staff.images[:, 1::2].reshape(500, -1)
    axes = PCA(120, svd_solver="randomized", random_state=0).fit(known)
    model = LinearDiscriminantAnalysis().fit(axes.transform(known), people)
    assert model.score(axes.transform(unseen), people) >= 0.95


@pytest.mark.medium
def test_nearest_photo_is_mostly_of_the_same_person(staff: Faces) -> None:
    gallery, queries = staff.images[:40, :3], staff.images[:40, 3:]
    named = np.argmin(_distances(queries, gallery), axis=1) // 3
    assert np.mean(named == np.repeat(np.arange(40), 7)) > 0.7


def test_average_face_is_a_face(staff: Faces) -> None:
    mean = staff.images.mean(axis=(0, 1, 2))
    cheeks, eyes, hair = mean[38:41, 22:42].mean(), mean[29:32].min(), mean[8:12, 28:36].mean()
    assert eyes < cheeks
    assert hair < cheeks < mean[:8, :8].mean()
    # Poses are drawn evenly to both sides, so the average is nearly its own mirror image.
    assert np.abs(mean - mean[:, ::-1]).max() < 0.1


@pytest.mark.parametrize(("size", "tolerance"), [(16, 0.05), (32, 0.02), (96, 0.02)])
def test_other_sizes_show_the_same_people(size: int, tolerance: float) -> None:
    resized, usual = render_faces(3, 2, size=size).images, render_faces(3, 2).images
    assert resized.shape == (3, 2, 3, size, size)
    difference = _shrink(resized, 16) - _shrink(usual, 16)
    assert np.abs(difference).mean() < tolerance


def test_progress_counts_every_photo() -> None:
    counts: list[int] = []
    render_faces(2, 13, size=16, on_progress=counts.append)
    assert sum(counts) == 26
    assert len(counts) > 2


@pytest.mark.parametrize(
    ("people", "photos", "size", "named"),
    [(0, 1, 64, "people"), (1, 0, 64, "photos"), (-3, 1, 64, "people"), (1, 1, 15, "size")],
)
def test_too_little_is_refused(people: int, photos: int, size: int, named: str) -> None:
    with pytest.raises(DataError, match=rf"^{named} is -?\d+: use \d+ or more$"):
        render_faces(people, photos, size=size)


def test_unknown_role_and_negative_seed_are_refused() -> None:
    with pytest.raises(DataError, match="role is 'visitors'"):
        render_faces(1, 1, role="visitors")  # type: ignore[arg-type]
    with pytest.raises(DataError, match="seed is -1"):
        render_faces(1, 1, seed=-1)


def test_saved_photos_are_private_and_true(tmp_path: Path) -> None:
    faces = render_faces(2, 3, size=32)
    save_folder(faces, tmp_path / "photos")
    save_folder(faces, tmp_path / "photos")
    paths = sorted((tmp_path / "photos").rglob("*.png"))
    assert [str(path.relative_to(tmp_path / "photos")) for path in paths] == [
        f"employee-000{person}/0{photo}.png" for person in range(2) for photo in range(3)
    ]
    assert {stat.S_IMODE(path.stat().st_mode) for path in paths} == {0o600}
    assert {stat.S_IMODE(path.parent.stat().st_mode) for path in paths} == {0o700}
    with Image.open(paths[4]) as photo:
        pixels = np.asarray(photo, dtype=np.float32) / 255.0
    np.testing.assert_allclose(pixels.transpose(2, 0, 1), faces.images[1, 1], atol=0.6 / 255.0)


def test_saving_tightens_a_file_that_was_open_to_all(tmp_path: Path) -> None:
    faces = render_faces(1, 1, size=16)
    path = tmp_path / faces.names[0] / "00.png"
    path.parent.mkdir()
    path.touch(mode=0o644)
    save_folder(faces, tmp_path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with Image.open(path) as photo:
        assert photo.size == (16, 16)


def _distances(queries: Images, gallery: Images) -> Images:
    """Root-mean-square distances of the photos of one set to those of another."""
    pixels = int(np.prod(queries.shape[2:]))
    a, b = queries.reshape(-1, pixels), gallery.reshape(-1, pixels)
    squares = (a**2).sum(1)[:, None] - 2.0 * a @ b.T + (b**2).sum(1)[None]
    distances: Images = np.sqrt(np.maximum(squares, 0.0) / pixels)
    return distances


def _shrink(images: Images, size: int) -> Images:
    """Averages blocks of pixels."""
    people, photos, channels, full, _ = images.shape
    step = full // size
    blocks = images.reshape(people, photos, channels, size, step, size, step)
    shrunk: Images = blocks.mean(axis=(4, 6))
    return shrunk


def test_attributes_are_those_of_the_people_drawn() -> None:
    found = attributes_of(40, role="strangers", seed=3)
    assert {name: set(values) for name, values in found.items()} == {
        "sex": {"m", "f"},
        "glasses": {"yes", "no"},
        "beard": {"yes", "no"},
    }
    assert attributes_of(10, role="strangers", seed=3)["sex"] == found["sex"][:10]
    bearded = [
        sex for sex, beard in zip(found["sex"], found["beard"], strict=True) if beard == "yes"
    ]
    assert bearded.count("m") > bearded.count("f")
