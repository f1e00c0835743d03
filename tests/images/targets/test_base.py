"""The images that a target takes, and those it refuses."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from darkroom.access import Access
from darkroom.errors import DataError, TargetError
from darkroom.images.targets.base import Target
from darkroom.ledger import QueryLedger
from darkroom.vision.spec import ImageSpec
from darkroom.wire.answers import TopK

SPEC = ImageSpec((1, 3, 4), -1.0, 1.0)


@pytest.mark.parametrize("shape", [(2, 3, 4), (1, 0, 4), (1, 3, -4), (3, 4), (1, 1, 3, 4)])
def test_a_shape_that_no_image_has(shape: tuple[int, int, int]) -> None:
    with pytest.raises(TargetError, match=r"give \[channels, height, width\]"):
        ImageSpec(shape)


@pytest.mark.parametrize("ends", [(1.0, 0.0), (0.5, 0.5), (0.0, float("nan"))])
def test_a_range_that_holds_nothing(ends: tuple[float, float]) -> None:
    with pytest.raises(TargetError, match="is empty"):
        ImageSpec((1, 3, 4), *ends)


@pytest.mark.parametrize("value", [-1.0, 0.0, 1.0, 1.0 + 1e-5])
@pytest.mark.parametrize("count", [0, 1, 5])
def test_images_within_the_range_pass(value: float, count: int) -> None:
    SPEC.check(np.full((count, 1, 3, 4), value, np.float32), "photos")


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.full((2, 1, 3, 4), 255.0), r"photos: values from -1 to 255.*range is -1 to 1"),
        (np.full((2, 1, 3, 4), -1.1), "rescale the images"),
        (np.full((2, 1, 3, 4), np.nan), "not finite"),
        (np.full((2, 1, 3, 4), np.inf), "not finite"),
        (np.zeros((2, 1, 4, 3)), r"shape \[1, 4, 3\], but the target takes \[1, 3, 4\]"),
        (np.zeros((2, 3, 4)), "set .target. shape"),
        (np.zeros((0, 3, 3, 4)), "set .target. shape"),
    ],
)
def test_images_that_do_not_fit(
    images: np.ndarray[tuple[int, ...], np.dtype[np.float64]], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        SPEC.check(images.astype(np.float32), "photos")


def test_width_of_range() -> None:
    assert SPEC.width_of_range == 2.0


class Fixed(Target):
    """Answers a table of scores, cut down to an access level, whatever it is asked."""

    def __init__(self, table: NDArray[np.float64], access: Access, largest: int = 2) -> None:
        self.name, self.spec, self.outputs = "fixed", SPEC, "probabilities"
        self.table, self.classes, self.access, self.largest = table, table.shape[1], access, largest

    def fingerprint(self) -> str:
        return "0"


class FixedScores(Fixed):
    def scores(self, images: NDArray[np.float32]) -> NDArray[np.float64]:
        return self.table


class FixedTopK(Fixed):
    @property
    def largest_k(self) -> int:
        return self.largest

    def top_k(self, images: NDArray[np.float32], k: int) -> TopK:
        self._check_k(k)
        return FixedScores(self.table, Access.SCORES).top_k(images, k)


class FixedLabels(Fixed):
    def labels(self, images: NDArray[np.float32]) -> NDArray[np.int64]:
        return np.array([row.argmax() for row in self.table], np.int64)


def blank(table: NDArray[np.float64]) -> NDArray[np.float32]:
    return np.zeros((len(table), *SPEC.shape), np.float32)


@given(
    arrays(np.float64, st.tuples(st.integers(0, 4), st.integers(2, 5)), elements=st.floats(0, 1)),
    st.integers(1, 5),
)
def test_less_follows_from_scores(table: NDArray[np.float64], k: int) -> None:
    target = FixedScores(table, Access.SCORES)
    k = min(k, target.classes)
    best = target.top_k(blank(table), k)
    assert best.classes.shape == best.scores.shape == (len(table), k)
    for row in range(len(table)):
        order = sorted(range(target.classes), key=lambda one: (-table[row, one], one))[:k]
        assert best.classes[row].tolist() == order
        assert best.scores[row].tolist() == table[row, order].tolist()
    assert target.labels(blank(table)).tolist() == best.classes[:, 0].tolist()
    assert target.labels(blank(table)).dtype == best.classes.dtype == np.int64


def test_a_target_that_shows_the_best_only() -> None:
    table = np.array([[0.1, 0.6, 0.3]])
    target = FixedTopK(table, Access.TOP_K)
    assert target.labels(blank(table)).tolist() == [1]
    assert target.top_k(blank(table), 2).scores.tolist() == [[0.6, 0.3]]
    for k in (0, 3):
        with pytest.raises(TargetError, match=f"best 1 to 2 classes: .*not for {k}"):
            target.top_k(blank(table), k)
    with pytest.raises(TargetError, match="answers top_k at most, never scores"):
        target.scores(blank(table))


def test_a_target_that_shows_labels_only() -> None:
    table = np.array([[0.1, 0.6, 0.3]])
    target = FixedLabels(table, Access.LABEL)
    assert target.labels(blank(table)).tolist() == [1]
    with pytest.raises(TargetError, match="never top_k: choose an attack for label"):
        target.top_k(blank(table), 1)
    with pytest.raises(TargetError, match="never scores"):
        target.scores(blank(table))


def test_a_model_in_this_process_asks_once() -> None:
    table = np.array([[0.1, 0.9]])
    ledger = QueryLedger(goals=1)
    target = FixedScores(table, Access.SCORES)
    with target.billed(ledger.bill(np.array([0]))):
        assert target.scores(blank(table)).tolist() == table.tolist()
    assert ledger.total == 1
