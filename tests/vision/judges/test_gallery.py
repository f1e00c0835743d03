"""Among strangers, photos resemble their own person most, and no number of photos helps."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.support.crowd import SHAPE, Crowd, make_crowd

from darkroom.vision.judges.gallery import Gallery, fit_gallery
from darkroom.vision.judges.ranks import log_rank_right, rank_right

NOBODY = np.empty((0, *SHAPE), np.float32), np.empty(0, np.int64)


@pytest.fixture(scope="module")
def bystanders() -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    return make_crowd(60, 3).draw(2, 12)


@pytest.fixture(scope="module")
def gallery(
    staff: Crowd, strangers: Crowd, bystanders: tuple[NDArray[np.float32], NDArray[np.int64]]
) -> Gallery:
    return fit_gallery(strangers.draw(6, 11), staff.draw(9, 10), bystanders)


def test_all_are_there_by_as_many_photos(gallery: Gallery) -> None:
    assert (gallery.goals, gallery.strangers, gallery.photos) == (8, 60, 2)
    assert np.linalg.norm(gallery.people, axis=1) == pytest.approx(np.ones(68))


def test_real_photos_rank_first_and_those_of_others_by_lot(gallery: Gallery, staff: Crowd) -> None:
    real = gallery.likeness_of_photos()
    assert real is not None
    assert log_rank_right(real).mean() < 2
    assert rank_right(real, np.random.default_rng(0)).p_together < 0.01
    shifted = gallery.likeness(np.roll(staff.draw(1, 40)[0], 3, axis=0))
    assert log_rank_right(shifted).mean() > 4


def test_the_smallest_number_of_photos_is_used_of_all(staff: Crowd, strangers: Crowd) -> None:
    few = fit_gallery(strangers.draw(2, 11), staff.draw(1, 10), NOBODY)
    assert (few.strangers, few.photos) == (0, 1)
    assert few.likeness_of_photos() is None
    assert few.likeness(staff.draw(1, 41)[0]).shape == (8, 8)
