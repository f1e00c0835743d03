"""Models of images from other libraries than PyTorch."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

import darkroom
from benchmarks.reach.planted.images import (
    PEOPLE,
    SHAPE,
    SIDE,
    found,
    options,
    plan,
    planted,
    taught,
)
from benchmarks.reach.rows import Row
from darkroom.images.targets.onnx import OnnxTarget


def other_libraries() -> Iterator[Row]:
    """Yields models of scikit-learn, Keras and what is converted to ONNX."""
    yield Row("scikit-learn", "a pipeline with names as labels", _pipeline)
    yield Row("scikit-learn", "a .skops file", _skops)
    yield Row("skl2onnx", "a pipeline as ONNX", _skl2onnx)
    yield Row("ONNX", "NHWC bytes, output Identity, as tf2onnx lays it out", _identity)
    yield Row("Keras", "exported to ONNX", _keras_onnx)
    yield Row("Keras", "with the PyTorch backend", _keras_module)
    yield Row("ONNX", "NHWC floats, given to darkroom.audit", _given)
    yield Row("JAX", "exported by jax2onnx", _jax)


def _fitted(labels: Any) -> Any:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    known = planted()
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=200))
    return model.fit(known.images.reshape(len(labels), -1), labels)


def _pipeline(folder: Path) -> bool:
    known = planted()
    names = np.array(["ann", "bob", "cyd", "dan", "eve", "fay"])[known.people]
    run = darkroom.audit(_fitted(names), (known.images, names), **options(folder / "runs", "auto"))
    return found(run)


def _skops(folder: Path) -> bool:
    from skops import io

    io.dump(_fitted(planted().people), folder / "model.skops")
    target = 'kind = "sklearn"\nload = "model.skops"'
    return found(darkroom.audit_plan(plan(folder, target, "auto"), progress=False))


def _onnx_plan(folder: Path, outputs: str) -> bool:
    target = f'kind = "onnx"\nload = "net.onnx"\noutputs = "{outputs}"'
    return found(darkroom.audit_plan(plan(folder, target, "auto"), progress=False))


def _skl2onnx(folder: Path) -> bool:
    import skl2onnx

    example = planted().images[:1].reshape(1, -1)
    model = skl2onnx.to_onnx(_fitted(planted().people), example)
    (folder / "net.onnx").write_bytes(model.SerializeToString())
    return _onnx_plan(folder, "probabilities")


def _regression() -> tuple[Any, Any]:
    """Returns weights, ``(height * width * channels, people)``, and bias of a softmax regression.

    Pixels are in [0, 1], channels last.
    """
    linear = _fitted(planted().people)
    scaler, regression = linear[0], linear[1]
    weights = (regression.coef_ / scaler.scale_).T
    bias = regression.intercept_ - scaler.mean_ @ weights
    return weights.reshape(*SHAPE, PEOPLE).transpose(1, 2, 0, 3).reshape(-1, PEOPLE), bias


def _laid_out(file: Path, *, bytes_in: bool) -> None:
    """Writes a softmax regression as converters from TensorFlow lay it out."""
    from onnx import TensorProto, helper, numpy_helper

    weights, bias = _regression()
    held = {
        "w": weights / (255 if bytes_in else 1),
        "b": bias,
        "shape": np.array([-1, 3 * SIDE**2]),
    }
    stored = [
        numpy_helper.from_array(np.asarray(one, np.int64 if key == "shape" else np.float32), key)
        for key, one in held.items()
    ]
    nodes = [
        helper.make_node("Cast", ["serving_default_input:0"], ["x"], to=TensorProto.FLOAT),
        helper.make_node("Reshape", ["x", "shape"], ["rows"]),
        helper.make_node("Gemm", ["rows", "w", "b"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["Identity"], axis=1),
    ]
    kind = TensorProto.UINT8 if bytes_in else TensorProto.FLOAT
    sizes: list[str | int | None] = ["unk__1", SIDE, SIDE, 3]
    graph = helper.make_graph(
        nodes,
        "tf2onnx",
        [helper.make_tensor_value_info("serving_default_input:0", kind, sizes)],
        [helper.make_tensor_value_info("Identity", TensorProto.FLOAT, ["unk__2", PEOPLE])],
        stored,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    file.write_bytes(model.SerializeToString())


def _identity(folder: Path) -> bool:
    _laid_out(folder / "net.onnx", bytes_in=True)
    return _onnx_plan(folder, "probabilities")


def _jax(folder: Path) -> bool:
    import jax
    from jax2onnx import to_onnx

    weights, bias = (jax.numpy.asarray(one, "float32") for one in _regression())

    def net(images: Any) -> Any:
        return jax.nn.softmax(images.reshape(images.shape[0], -1) @ weights + bias)

    file = str(folder / "net.onnx")
    to_onnx(net, [("B", SIDE, SIDE, 3)], return_mode="file", output_path=file)
    return _onnx_plan(folder, "probabilities")


def _given(folder: Path) -> bool:
    _laid_out(folder / "net.onnx", bytes_in=False)
    known = planted()
    target = OnnxTarget(folder / "net.onnx", SHAPE, outputs="probabilities")
    asked = options(folder / "runs", "auto")
    return found(darkroom.audit(target, (known.images, known.people), **asked))


def _keras() -> Any:
    os.environ["KERAS_BACKEND"] = "torch"
    import keras

    keras.utils.set_random_seed(0)
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((SIDE, SIDE, 3)),
            layers.Conv2D(12, 3, strides=2, padding="same", activation="relu"),
            layers.Flatten(),
            layers.Dense(PEOPLE),
        ]
    )
    return taught(model, given=lambda images: images.permute(0, 2, 3, 1))


def _keras_module(folder: Path) -> bool:
    known = planted()
    return found(darkroom.audit(_keras(), (known.images, known.people), **options(folder / "runs")))


def _keras_onnx(folder: Path) -> bool:
    with warnings.catch_warnings(action="ignore"):
        _keras().export(folder / "net.onnx", format="onnx", verbose=False)
    return _onnx_plan(folder, "logits")
