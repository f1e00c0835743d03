"""What a user has in a folder: plans, a policy, a model in several files, photos and rows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import skops.io
import torch
from onnx import TensorProto, helper, numpy_helper
from sklearn.linear_model import LogisticRegression

_IMAGES = """
[run]
name = "tiny"
[target]
%s
shape = [1, 4, 4]
[private]
images = "people.npz"
trained_on = "0:2"
[public]
images = "strangers.npz"
[judges]
steps = 1
[[attack]]
prior = "mean"
%s
"""
_FACES = 'load = "wrong_inputs_model:faces"\nweights = "weights.pt"'
_GRADIENT, _AUTO = 'name = "gradient"\nsteps = 1', 'name = "auto"\nbudget = 9'
TABLES = """
[run]
name = "tiny"
[target]
kind = "sklearn"
load = "wrong_inputs_model:table"
response = "ill"
[private]
table = "people.csv"
sensitive = "smoker"
trained_on = "0:20"
[public]
table = "strangers.csv"
[[attack]]
name = "auto"
"""
TEXT = """
[run]
name = "tiny"
[target]
kind = "transformers"
load = "nowhere"
[private]
canaries = "canaries.key.json"
[[attack]]
name = "best-first"
"""
POLICY = """
[guard]
model = "faces"
[upstream]
url = "http://127.0.0.1:9"
[[client]]
name = "alice"
key = "sha256:0000000000000000000000000000000000000000000000000000000000000000"
[[budget]]
name = "daily"
rows = 10
per = "client"
window = "day"
"""
MODEL = """
import numpy as np, torch

def faces():
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(16, 4))

def table():
    from sklearn.linear_model import LogisticRegression
    rng = np.random.default_rng(0)
    import pandas as pd
    rows = pd.DataFrame({"age": rng.integers(20, 60, 40), "smoker": rng.integers(0, 2, 40)})
    return LogisticRegression().fit(rows, np.where(rows.smoker == 1, "yes", "no"))
"""
PLANS = {
    "images.toml": _IMAGES % (_FACES, _GRADIENT),
    "onnx.toml": _IMAGES % ('kind = "onnx"\nload = "model.onnx"', _AUTO),
    "skops.toml": _IMAGES % ('kind = "sklearn"\nload = "model.skops"', _AUTO),
    "tables.toml": TABLES,
    "text.toml": TEXT,
}
READERS = {
    "people.npz": "images.toml",
    "strangers.npz": "images.toml",
    "people.csv": "tables.toml",
    "strangers.csv": "tables.toml",
    "canaries.key.json": "text.toml",
    "weights.pt": "images.toml",
    "model.onnx": "onnx.toml",
    "model.skops": "skops.toml",
}
"""Which plan reads a file."""


def furnish(home: Path) -> None:
    """Writes what a user has.

    Args:
        home: The folder, which is there.
    """
    rng = np.random.default_rng(0)
    np.savez(home / "people.npz", images=rng.random((4, 4, 1, 4, 4), np.float32))
    np.savez(home / "strangers.npz", images=rng.random((8, 2, 1, 4, 4), np.float32))
    for name in ("people.csv", "strangers.csv"):
        rows = [f"{rng.integers(20, 60)},{smoker}" for smoker in rng.integers(0, 2, 40)]
        lines = [f"{row},{'yes' if row.endswith('1') else 'no'}" for row in rows]
        (home / name).write_text("\n".join(["age,smoker,ill", *lines]))
    (home / "wrong_inputs_model.py").write_text(MODEL)
    for name, text in PLANS.items():
        (home / name).write_text(text)
    (home / "guard.toml").write_text(POLICY)
    for place in ("mine", "runs/mine", "spoilt/cells/a1"):
        (home / place).mkdir(parents=True)
        (home / place / ".env.local").write_text("PASSWORD=mine")
    (home / "canaries.key.json").write_text("{}")
    (home / "canaries.key.json").chmod(0o600)
    _write_models(home)


def _write_models(home: Path) -> None:
    """Writes weights, and the same classifier in two files of other libraries."""
    torch.save({"1.weight": torch.eye(4, 16), "1.bias": torch.zeros(4)}, home / "weights.pt")
    rows, people = np.eye(16, dtype=np.float32)[:8], np.arange(8) % 4
    skops.io.dump(LogisticRegression().fit(rows, people), home / "model.skops")
    kinds = ("Flatten", ["x"], ["rows"]), ("MatMul", ["rows", "w"], ["out"])
    graph = helper.make_graph(
        [helper.make_node(*kind) for kind in kinds],
        "faces",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 1, 4, 4])],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, ["n", 4])],
        [numpy_helper.from_array(np.eye(16, 4, dtype=np.float32), "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    (home / "model.onnx").write_bytes(model.SerializeToString())
