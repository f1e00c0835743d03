"""ONNX models as targets: exported by skl2onnx, and built by hand in every layout."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from tests.support.needs import needed

from darkroom.access import Access
from darkroom.errors import TargetError
from darkroom.images.targets.onnx import OnnxTarget
from darkroom.images.targets.sklearn import SklearnTarget
from darkroom.wire.answers import Outputs

onnx = needed("onnx")
skl2onnx = needed("skl2onnx")

SHAPE, CLASSES = (3, 2, 4), 5
SIZE = 24
WEIGHTS = np.random.default_rng(9).standard_normal((SIZE, CLASSES)).astype(np.float32)


def photos(count: int) -> NDArray[np.float32]:
    return np.random.default_rng(count).random((count, *SHAPE), np.float32)


def fitted(names: list[Any] | None = None) -> Any:
    people = np.array(names if names is not None else range(CLASSES))[np.arange(80) % CLASSES]
    return LogisticRegression().fit(photos(80).reshape(80, -1), people)


def exported(file: Path, estimator: Any, *, zipmap: bool) -> Path:
    model = skl2onnx.to_onnx(
        estimator,
        photos(1).reshape(1, -1),
        options={type(estimator): {"zipmap": zipmap}},
    )
    file.write_bytes(model.SerializeToString())
    return file


def linear(
    file: Path,
    dims: list[Any],
    *,
    order: tuple[int, ...] | None = None,
    last: str | None = None,
    kind: int | None = None,
) -> Path:
    """Writes ``x @ WEIGHTS`` behind an input of ``dims``; ``last`` names one more operation."""
    from onnx import TensorProto, helper, numpy_helper

    kind = kind or TensorProto.FLOAT
    nodes, name = [], "x"
    length = math.prod(dims[1:]) if all(isinstance(one, int) for one in dims[1:]) else SIZE
    if kind != TensorProto.FLOAT:
        nodes.append(helper.make_node("Cast", ["x"], ["cast"], to=TensorProto.FLOAT))
        name = "cast"
    if order is not None:
        nodes.append(helper.make_node("Transpose", [name], ["moved"], perm=list(order)))
        name = "moved"
    nodes.append(helper.make_node("Flatten", [name], ["rows"]))
    nodes.append(helper.make_node("MatMul", ["rows", "w"], ["y"]))
    if last is not None:
        axis: dict[str, Any] = {} if last == "Log" else {"axis": 1}
        nodes.append(helper.make_node(last, ["y"], ["z"], **axis))
    result = "y" if last is None else "z"
    element = TensorProto.INT64 if last == "ArgMax" else TensorProto.FLOAT
    graph = helper.make_graph(
        nodes,
        "linear",
        [helper.make_tensor_value_info("x", kind, dims)],
        [helper.make_tensor_value_info(result, element, None)],
        [numpy_helper.from_array(WEIGHTS[:length], "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    file.write_bytes(model.SerializeToString())
    return file


def softmax(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    raised = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True))
    return np.asarray(raised / raised.sum(axis=1, keepdims=True))


@pytest.mark.medium
@pytest.mark.parametrize("zipmap", [True, False])
@pytest.mark.parametrize("names", [None, ["e", "a", "d", "b", "c"]])
@pytest.mark.parametrize("batch", [1, 2, 256])
def test_a_classifier_from_skl2onnx(
    tmp_path: Path, zipmap: bool, names: list[Any] | None, batch: int
) -> None:
    estimator = fitted(names)
    file = exported(tmp_path / "model.onnx", estimator, zipmap=zipmap)
    target = OnnxTarget(file, SHAPE, outputs="probabilities", batch=batch)
    images = photos(5)
    together = target.scores(images)
    alone = np.concatenate([target.scores(images[row : row + 1]) for row in range(5)])
    np.testing.assert_allclose(together, alone, atol=1e-6)
    np.testing.assert_allclose(together, SklearnTarget(estimator, SHAPE).scores(images), atol=1e-5)
    assert target.access is Access.SCORES
    assert target.scores(photos(0)).shape == (0, CLASSES)


def test_labels_of_a_classifier_from_skl2onnx(tmp_path: Path) -> None:
    names = ["e", "a", "d", "b", "c"]
    estimator = fitted(names)
    file = exported(tmp_path / "model.onnx", estimator, zipmap=True)
    with pytest.raises(TargetError, match=r"labels alone: set \[target\] classes"):
        OnnxTarget(file, SHAPE, output="output_label")
    target = OnnxTarget(file, SHAPE, output="output_label", classes=sorted(names), batch=2)
    own = SklearnTarget(estimator, SHAPE)
    assert target.labels(photos(5)).tolist() == own.labels(photos(5)).tolist()
    assert target.labels(photos(0)).shape == (0,)
    assert target.access is Access.LABEL
    with pytest.raises(TargetError, match="never scores"):
        target.scores(photos(1))


@pytest.mark.parametrize(
    ("dims", "order", "arrange"),
    [
        (["n", 3, 2, 4], None, lambda images: images),
        ([None, 3, "h", 4], None, lambda images: images),
        (["n", 2, 4, 3], (0, 3, 1, 2), lambda images: images),
        (["n", 24], None, lambda images: images),
        ([2, 3, 2, 4], None, lambda images: images),
        ([1, 24], None, lambda images: images),
        ([8, 24], None, lambda images: images),
    ],
)
def test_every_layout(
    tmp_path: Path,
    dims: list[Any],
    order: tuple[int, ...] | None,
    arrange: Callable[[NDArray[np.float32]], NDArray[np.float32]],
) -> None:
    target = OnnxTarget(linear(tmp_path / "model.onnx", dims, order=order), SHAPE)
    images = photos(5)
    expected = softmax(images.reshape(5, -1) @ WEIGHTS)
    np.testing.assert_allclose(target.scores(images), expected, atol=1e-5)


def test_rows_flattened_with_channels_last(tmp_path: Path) -> None:
    file = linear(tmp_path / "model.onnx", ["n", 24])
    target, images = OnnxTarget(file, SHAPE, channels="last"), photos(3)
    expected = softmax(images.transpose(0, 2, 3, 1).reshape(3, -1) @ WEIGHTS)
    np.testing.assert_allclose(target.scores(images), expected, atol=1e-5)
    assert target.fingerprint() != OnnxTarget(file, SHAPE).fingerprint()


@pytest.mark.parametrize("kind", ["DOUBLE", "FLOAT16"])
def test_other_floats(tmp_path: Path, kind: str) -> None:
    file = linear(tmp_path / "m.onnx", ["n", 24], kind=getattr(onnx.TensorProto, kind))
    expected = softmax(photos(3).reshape(3, -1) @ WEIGHTS)
    np.testing.assert_allclose(OnnxTarget(file, SHAPE).scores(photos(3)), expected, atol=2e-3)


@pytest.mark.parametrize(
    ("last", "outputs", "message"),
    [
        ("Softmax", "logits", 'set .target. outputs = "probabilities"'),
        (None, "probabilities", "declared to be probabilities, is unusable"),
        ("Log", "logits", "NaN or infinite"),
        ("ReduceSum", "logits", "single number"),
        ("ArgMax", "logits", "labels alone"),
    ],
)
def test_declarations_are_checked(
    tmp_path: Path, last: str | None, outputs: Outputs, message: str
) -> None:
    file = tmp_path / "model.onnx"
    if last == "ReduceSum":
        _sum(file)
    else:
        linear(file, ["n", 24], last=last)
    with pytest.raises(TargetError, match=message) as caught:
        OnnxTarget(file, SHAPE, outputs=outputs)
    assert "\n" not in str(caught.value)


def _sum(file: Path) -> None:
    from onnx import TensorProto, helper, numpy_helper

    graph = helper.make_graph(
        [helper.make_node("ReduceSum", ["x", "axes"], ["y"])],
        "sum",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 24])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.array([1]), "axes")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    file.write_bytes(model.SerializeToString())


@pytest.mark.parametrize(
    ("dims", "message"),
    [
        (["n", 23], r"takes \['n', 23\], which images of shape \[3, 2, 4\] do not fit"),
        (["n", 1, 2, 4], "do not fit"),
        (["n", 3, 2, 4, 1], "do not fit"),
    ],
)
def test_images_that_the_model_does_not_take(tmp_path: Path, dims: list[Any], message: str) -> None:
    with pytest.raises(TargetError, match=message):
        OnnxTarget(linear(tmp_path / "model.onnx", dims), SHAPE)


def test_an_input_of_bytes(tmp_path: Path) -> None:
    file = linear(tmp_path / "m.onnx", ["n", *SHAPE], kind=onnx.TensorProto.UINT8)
    target = OnnxTarget(file, SHAPE, value_range=(-1.0, 1.0))
    assert target.notes == ("takes uint8",)
    levels = np.random.default_rng(0).integers(0, 256, (3, *SHAPE))
    logits = levels.reshape(3, -1) @ WEIGHTS
    expected = np.exp(logits - logits.max(axis=1, keepdims=True))
    expected /= expected.sum(axis=1, keepdims=True)
    found = target.scores((levels / 127.5 - 1).astype(np.float32))
    np.testing.assert_allclose(found, expected, atol=1e-3)


def test_an_input_of_whole_numbers(tmp_path: Path) -> None:
    file = linear(tmp_path / "m.onnx", ["n", *SHAPE], kind=onnx.TensorProto.INT64)
    with pytest.raises(TargetError, match=r"takes tensor\(int64\), not floats or bytes"):
        OnnxTarget(file, SHAPE)


def test_an_output_that_is_not_there(tmp_path: Path) -> None:
    file = linear(tmp_path / "m.onnx", ["n", 24])
    with pytest.raises(TargetError, match=r"no output 'scores': .* to one of y"):
        OnnxTarget(file, SHAPE, output="scores")


def test_a_class_count_that_is_wrong(tmp_path: Path) -> None:
    file = linear(tmp_path / "m.onnx", ["n", 24])
    with pytest.raises(TargetError, match=r"answers 5 classes, but .* says 4"):
        OnnxTarget(file, SHAPE, classes=4)


@pytest.mark.parametrize("content", [b"", b"nonsense", b"\x08\x08\x12\x00" * 9])
def test_a_file_that_is_no_model(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "model.onnx"
    with pytest.raises(TargetError, match="no such file"):
        OnnxTarget(file, SHAPE)
    file.write_bytes(content)
    with pytest.raises(TargetError, match="not a model that ONNX Runtime can run") as caught:
        OnnxTarget(file, SHAPE)
    assert "\n" not in str(caught.value)


def test_the_fingerprint_follows_the_weights(tmp_path: Path) -> None:
    first = OnnxTarget(linear(tmp_path / "a.onnx", ["n", 24]), SHAPE).fingerprint()
    again = OnnxTarget(linear(tmp_path / "b.onnx", ["n", 24]), SHAPE).fingerprint()
    assert first == again
    other = OnnxTarget(linear(tmp_path / "c.onnx", ["n", 24], last="LogSoftmax"), SHAPE)
    assert other.fingerprint() != first
