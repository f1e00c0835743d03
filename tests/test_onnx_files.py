"""Weights beside an ONNX graph decide its hash, whatever their files are called."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.support.needs import needed

from darkroom.errors import TargetError
from darkroom.onnx_files import external_names, hash_file, open_session

onnx = needed("onnx")

HOW: dict[str, dict[str, Any]] = {
    "inside": {"save_as_external_data": False},
    "as exported": {"all_tensors_to_one_file": True, "location": "model.onnx.data"},
    "any name": {"all_tensors_to_one_file": True, "location": "long-" * 40 + "weights.bin"},
    "a file each": {"all_tensors_to_one_file": False},
}


def _save(file: Path, seed: int, how: str) -> Path:
    from onnx import TensorProto, helper, numpy_helper

    weights = np.random.default_rng(seed).normal(size=(4, 2)).astype(np.float32)
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "weights"], ["y"])],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 2])],
        [numpy_helper.from_array(weights, "weights")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    file.parent.mkdir(exist_ok=True)
    options = {"save_as_external_data": True, "size_threshold": 0, **HOW[how]}
    onnx.save_model(model, str(file), **options)
    return file


@pytest.mark.parametrize("how", HOW)
def test_other_weights_have_another_hash(tmp_path: Path, how: str) -> None:
    one, same, other = (
        _save(tmp_path / str(place) / "model.onnx", seed, how)
        for place, seed in enumerate([0, 0, 1])
    )
    beside = {path.name for path in one.parent.iterdir()} - {one.name}
    assert set(external_names(one)) == beside
    assert bool(beside) == (how != "inside")
    assert hash_file(one) == hash_file(same) != hash_file(other)
    assert open_session(one).get_inputs()[0].name == "x"


def test_weights_that_are_missing_are_named(tmp_path: Path) -> None:
    file = _save(tmp_path / "model.onnx", 0, "as exported")
    (tmp_path / "model.onnx.data").unlink()
    with pytest.raises(TargetError, match=r"'model.onnx.data' are not beside it: copy that file"):
        open_session(file)
    with pytest.raises(TargetError, match=r"model.onnx.data cannot be read"):
        hash_file(file)
