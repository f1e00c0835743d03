"""Every target of every kind keeps its promises."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LinearRegression, LogisticRegression, RidgeClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor
from tests.support.needs import needed
from torch import Tensor, nn

from darkroom.access import Access
from darkroom.images.targets.base import Target
from darkroom.images.targets.sklearn import SklearnTarget
from darkroom.images.targets.torch import TorchTarget
from darkroom.tables.targets.base import CallableTableTarget, TableTarget
from darkroom.testing.images.small import CLASSES, SPEC, small_photos, small_target
from darkroom.testing.images.targets import check_target
from darkroom.testing.tables.small import small_schema, small_table
from darkroom.testing.tables.targets import check_target as check_table_target
from darkroom.vision.spec import ImageSpec


def seeded(build: Callable[[], nn.Module]) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return build()


def convolutional() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 4, 3),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.Flatten(),
        nn.Dropout(),
        nn.Linear(144, 3),
    )


def estimator(kind: Any) -> Any:
    photos = small_photos(40).reshape(40, -1)
    return kind.fit(photos, np.arange(40) % 3)


TARGETS: dict[str, Callable[[], Target]] = {
    "linear": small_target,
    "convolutional": lambda: TorchTarget(seeded(convolutional), SPEC.shape),
    "convolutional, of probabilities": lambda: TorchTarget(
        nn.Sequential(seeded(convolutional), nn.Softmax(1)),
        SPEC.shape,
        value_range=(-1.0, 1.0),
        outputs="probabilities",
        batch=2,
    ),
    "logistic": lambda: SklearnTarget(estimator(LogisticRegression()), SPEC.shape, batch=3),
    "neighbours": lambda: SklearnTarget(estimator(KNeighborsClassifier()), SPEC.shape),
    "ridge": lambda: SklearnTarget(estimator(RidgeClassifier()), SPEC.shape),
}
TABLE_TARGETS: dict[str, Callable[[], TableTarget]] = {
    "tree": lambda: small_table(DecisionTreeClassifier()).target,
    "regressor": lambda: small_table(DecisionTreeRegressor()).target,
    "linear": lambda: small_table(LinearRegression()).target,
    "logistic": lambda: small_table(LogisticRegression()).target,
    "ridge": lambda: small_table(RidgeClassifier()).target,
    "function": lambda: CallableTableTarget(lambda table: table["b"], small_schema()),
    "function with scores": lambda: CallableTableTarget(
        lambda table: np.tile([0.2, 0.3, 0.5], (len(table), 1)), small_schema(), outputs="scores"
    ),
}


@pytest.mark.parametrize("name", TARGETS)
def test_every_target_of_images_keeps_its_promises(name: str) -> None:
    check_target(TARGETS[name]())


@pytest.mark.parametrize("name", TABLE_TARGETS)
def test_every_target_of_tables_keeps_its_promises(name: str) -> None:
    check_table_target(TABLE_TARGETS[name]())


def test_a_target_of_onnx_keeps_its_promises(tmp_path: Path) -> None:
    needed("onnxruntime")
    needed("skl2onnx")
    from skl2onnx import to_onnx

    from darkroom.images.targets.onnx import OnnxTarget

    photos = small_photos(40).reshape(40, -1)
    model = to_onnx(estimator(LogisticRegression()), photos[:1], options={"zipmap": False})
    (tmp_path / "model.onnx").write_bytes(model.SerializeToString())
    check_target(OnnxTarget(tmp_path / "model.onnx", SPEC.shape, outputs="probabilities"))


class Careless(Target):
    """Breaks one promise."""

    name, spec, classes, outputs = "careless", SPEC, CLASSES, "probabilities"
    access = Access.SCORES

    def __init__(self, lie: str = "") -> None:
        self.lie, self.inner, self.asked = lie, small_target(), 0

    def scores(self, images: NDArray[np.float32]) -> NDArray[np.float64]:
        self.asked += 1
        if self.lie == "changes images":
            images *= 0.5
        scores = self.inner.scores(images)
        if self.lie == "sums":
            scores = scores / 2
        if self.lie == "single":
            return scores.astype(np.float32)
        if self.lie == "rows" and len(images) > 1:
            scores = scores[::-1]
        if self.lie == "again" and self.asked % 2:
            scores = np.roll(scores, 1, axis=1)
        return scores

    def log_scores(self, images: Tensor) -> Tensor:
        if self.lie == "shows more":
            return self.inner.log_scores(images)
        return super().log_scores(images)

    def fingerprint(self) -> str:
        return str(self.asked) if self.lie == "fingerprint" else "0"


@pytest.mark.parametrize(
    ("lie", "sentence"),
    [
        ("sums", "answers scores that are no probabilities"),
        ("single", "answers scores float32"),
        ("rows", "otherwise than its rows one by one"),
        ("again", "careless"),
        ("changes images", "careless"),
        ("shows more", "says scores, and answers weights"),
        ("fingerprint", "its fingerprint changes by itself"),
    ],
)
def test_a_broken_promise_is_named(lie: str, sentence: str) -> None:
    with pytest.raises(AssertionError, match=sentence):
        check_target(Careless(lie))


def test_an_honest_target_passes() -> None:
    check_target(Careless())
    assert ImageSpec(SPEC.shape) == SPEC
