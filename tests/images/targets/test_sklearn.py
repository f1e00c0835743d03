"""scikit-learn classifiers as targets, and files that must not run code."""

from __future__ import annotations

import io
import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.cluster import KMeans
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression, Perceptron
from sklearn.multioutput import MultiOutputClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import LinearSVC

from darkroom.access import Access
from darkroom.errors import TargetError
from darkroom.images.targets.sklearn import SklearnTarget
from darkroom.imports import load_skops

SHAPE, CLASSES = (3, 2, 2), 4

SCORING = {
    "logistic": LogisticRegression(),
    "pipeline": make_pipeline(StandardScaler(), LogisticRegression()),
    "discriminant": LinearDiscriminantAnalysis(),
    "forest": RandomForestClassifier(5, random_state=0),
    "neighbours": KNeighborsClassifier(3),
}
LABELLING = {"perceptron": Perceptron(), "svm": LinearSVC()}


def photos(count: int) -> NDArray[np.float32]:
    return np.random.default_rng(count).random((count, *SHAPE), np.float32)


def fitted(estimator: Any, names: list[Any] | None = None, *, channels: str = "first") -> Any:
    images = photos(60)
    people = np.array(names if names is not None else range(CLASSES))[np.arange(60) % CLASSES]
    rows = images if channels == "first" else images.transpose(0, 2, 3, 1)
    return estimator.fit(rows.reshape(60, -1), people)


@pytest.mark.parametrize("name", SCORING)
@pytest.mark.parametrize("batch", [1, 2, 1024])
def test_a_batch_is_its_rows_one_by_one(name: str, batch: int) -> None:
    target = SklearnTarget(fitted(SCORING[name]), SHAPE, batch=batch)
    images = photos(5)
    together = target.scores(images)
    alone = np.concatenate([target.scores(images[row : row + 1]) for row in range(5)])
    np.testing.assert_allclose(together, alone, atol=1e-5)
    expected = target.estimator.predict_proba(images.reshape(5, -1))
    np.testing.assert_allclose(together, expected, atol=1e-6)
    np.testing.assert_allclose(together.sum(axis=1), 1)
    assert target.access is Access.SCORES
    assert target.scores(photos(0)).shape == (0, CLASSES)
    assert target.labels(images).tolist() == together.argmax(axis=1).tolist()


@pytest.mark.parametrize("name", LABELLING)
@pytest.mark.parametrize("people", [None, ["d", "a", "c", "b"], [7, -2, 30, 4]])
def test_labels_are_positions_in_the_order_of_the_classes(
    name: str, people: list[Any] | None
) -> None:
    estimator = fitted(LABELLING[name], people)
    target = SklearnTarget(estimator, SHAPE, batch=2)
    images = photos(5)
    labels = target.labels(images)
    assert estimator.classes_[labels].tolist() == estimator.predict(images.reshape(5, -1)).tolist()
    assert labels.dtype == np.int64
    assert target.labels(photos(0)).shape == (0,)
    assert target.access is Access.LABEL
    with pytest.raises(TargetError, match="answers label at most, never scores"):
        target.scores(images)


def test_channels_last() -> None:
    estimator = fitted(LogisticRegression(), channels="last")
    target = SklearnTarget(estimator, SHAPE, channels="last")
    images = photos(3)
    rows = images.transpose(0, 2, 3, 1).reshape(3, -1)
    np.testing.assert_allclose(target.scores(images), estimator.predict_proba(rows))
    assert target.fingerprint() != SklearnTarget(estimator, SHAPE).fingerprint()


def test_the_fingerprint_is_that_of_the_fitted_model() -> None:
    first = SklearnTarget(fitted(LogisticRegression()), SHAPE)
    again = SklearnTarget(fitted(LogisticRegression()), SHAPE)
    other = SklearnTarget(fitted(LogisticRegression(C=2)), SHAPE)
    assert first.fingerprint() == again.fingerprint() != other.fingerprint()


class Answering:
    """A classifier that answers whatever it is told to."""

    def __init__(self, answer: Any, classes: Any = (0, 1)) -> None:
        self.answer, self.classes_ = answer, np.array(classes)

    def predict(self, rows: NDArray[np.float32]) -> Any:
        return self.answer

    def predict_proba(self, rows: NDArray[np.float32]) -> Any:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


class Labelling:
    classes_ = np.array([0, 1])

    def __init__(self, answer: Any) -> None:
        self.answer = answer

    def predict(self, rows: NDArray[np.float32]) -> Any:
        return self.answer


@pytest.mark.parametrize(
    ("estimator", "message"),
    [
        (LogisticRegression(), "no fitted classifier"),
        (KMeans(2), "no fitted classifier"),
        (object(), "object is no fitted classifier"),
        (Answering(np.full((2, 3), 1 / 3)), r"returned \(2, 3\) for 2 images, not \(2, 2\)"),
        (Answering([np.ones((2, 2))]), "returned list for 2 images"),
        (Answering(np.ones((2, 2))), "one sums to 2"),
        (Answering(np.array([[-0.5, 1.5]] * 2)), r"negative \(the least is -0.5\)"),
        (Answering(np.full((2, 2), np.nan)), "NaN or infinite"),
        (Answering(RuntimeError("no\nway")), r"predict_proba failed .*\(RuntimeError: no way\)"),
        (Answering(np.ones((2, 1)), [0]), "at least two classes"),
        (Labelling(np.zeros((2, 2))), r"predict returned \(2, 2\)"),
        (Labelling(np.array([0, 5])), "a class not in classes_"),
        (Labelling(np.array(["a", "b"])), "a class not in classes_"),
    ],
)
def test_what_is_no_classifier_of_images(estimator: Any, message: str) -> None:
    with pytest.raises(TargetError, match=message) as caught:
        SklearnTarget(estimator, SHAPE)
    assert "\n" not in str(caught.value)


def test_several_outputs_are_refused() -> None:
    images = photos(12).reshape(12, -1)
    people = np.stack([np.arange(12) % 2, np.arange(12) % 3], axis=1)
    with pytest.raises(TargetError, match="one output"):
        SklearnTarget(MultiOutputClassifier(LogisticRegression()).fit(images, people), SHAPE)


def test_rows_of_another_length() -> None:
    with pytest.raises(TargetError, match=r"rows of 12 numbers, but images .* have 6"):
        SklearnTarget(fitted(LogisticRegression()), (1, 2, 3))


def test_a_skops_file_gives_the_same_answers(tmp_path: Path) -> None:
    from skops import io as skops

    estimator = fitted(SCORING["pipeline"])
    skops.dump(estimator, tmp_path / "model.skops")
    loaded = SklearnTarget(load_skops(tmp_path / "model.skops"), SHAPE)
    own = SklearnTarget(estimator, SHAPE)
    np.testing.assert_array_equal(loaded.scores(photos(4)), own.scores(photos(4)))
    assert loaded.fingerprint() == own.fingerprint()


def test_what_may_run_a_command_is_no_line_to_paste(tmp_path: Path) -> None:
    from skops import io as skops

    file = tmp_path / "model.skops"
    touched = FunctionTransformer(os.mkdir)
    skops.dump(make_pipeline(touched, fitted(LogisticRegression())), file)
    with pytest.raises(TargetError, match=r"mkdir of Python's own library") as caught:
        load_skops(file)
    assert str(caught.value).startswith(str(file))
    assert "trusted" not in str(caught.value)
    named = f"{os.mkdir.__module__}.mkdir"
    assert load_skops(file, [named]).steps[0][1].func is os.mkdir


class Malicious:
    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return os.open, (str(self.file), os.O_CREAT)


def test_a_pickle_is_refused_and_never_run(tmp_path: Path) -> None:
    file, touched = tmp_path / "model.skops", tmp_path / "touched"
    file.write_bytes(pickle.dumps(Malicious(touched)))
    with pytest.raises(TargetError, match="not a readable skops file"):
        load_skops(file)
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("schema.json", pickle.dumps(Malicious(touched)))
    with pytest.raises(TargetError, match="not a readable skops file"):
        load_skops(file)
    assert not touched.exists()


def test_a_missing_or_damaged_file(tmp_path: Path) -> None:
    from skops import io as skops

    with pytest.raises(TargetError, match="no such file"):
        load_skops(tmp_path / "none.skops")
    whole = io.BytesIO(skops.dumps(fitted(LogisticRegression()))).getvalue()
    for share in (0.0, 0.1, 0.5, 0.95):
        cut = tmp_path / "cut.skops"
        cut.write_bytes(whole[: int(share * len(whole))])
        with pytest.raises(TargetError, match="not a readable skops file"):
            load_skops(cut)
