"""From ``[target]`` of a plan to a target."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import TypeAdapter, ValidationError
from sklearn.linear_model import LogisticRegression
from tests.support.needs import needed

from darkroom.access import Access
from darkroom.errors import MissingExtraError, PlanError, TargetError
from darkroom.images.targets.base import Target
from darkroom.images.targets.load import open_target
from darkroom.images.targets.sections import TargetSection
from darkroom.images.targets.sklearn import SklearnTarget
from darkroom.images.targets.torch import TorchTarget
from darkroom.images.targets.wire.hugging_face import HuggingFace
from darkroom.images.targets.wire.open_inference import OpenInference
from darkroom.images.targets.wire.plain_json import PlainJson
from darkroom.images.targets.wire.torchserve import TorchServe
from darkroom.remote.delivery import Delivery
from darkroom.vision.spec import ImageSpec
from darkroom.wire.base import Shows

SHAPE = [1, 2, 3]
SPEC = ImageSpec((1, 2, 3), -1.0, 1.0)

MODULE = """\
import numpy as np
from sklearn.linear_model import LogisticRegression
from torch import nn


def network():
    return nn.Sequential(nn.Flatten(), nn.Linear(6, 2))


def classifier():
    return LogisticRegression().fit(np.eye(6), np.arange(6) % 3)
"""


def section(**table: Any) -> Any:
    return TypeAdapter(TargetSection).validate_python({"shape": SHAPE, **table})


def opened(folder: Path, **table: Any) -> Target:
    return open_target(section(**table).anchored(folder), folder=folder, authorized_by="me")


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    (tmp_path / "opened_model.py").write_text(MODULE)
    yield tmp_path
    sys.modules.pop("opened_model", None)


def test_a_network_is_the_default(folder: Path) -> None:
    target = opened(folder, load="opened_model:network", range=[-1.0, 1.0])
    assert isinstance(target, TorchTarget)
    assert target.spec == SPEC


def test_a_classifier_by_import_path(folder: Path) -> None:
    target = opened(folder, kind="sklearn", load="opened_model:classifier", batch=7)
    assert isinstance(target, SklearnTarget)
    assert (target.classes, target.batch, target.name) == (3, 7, "opened_model:classifier")


def test_a_classifier_from_a_file(folder: Path) -> None:
    from skops import io

    io.dump(LogisticRegression().fit(np.eye(6), np.arange(6) % 3), folder / "model.skops")
    target = opened(folder, kind="sklearn", load="model.skops")
    assert (target.classes, target.name) == (3, "model.skops")
    with pytest.raises(TargetError, match="no such file"):
        opened(folder, kind="sklearn", load="other.skops")


@pytest.mark.parametrize("name", ["model.pkl", "model.joblib", "model.pickle"])
def test_a_pickle_is_refused(folder: Path, name: str) -> None:
    (folder / name).write_bytes(b"")
    with pytest.raises(
        TargetError, match=r"never unpickles: write a scikit-learn model with skops"
    ):
        opened(folder, kind="sklearn", load=name)


def test_a_model_from_an_onnx_file(folder: Path) -> None:
    skl2onnx = needed("skl2onnx")
    model = LogisticRegression().fit(np.eye(6), np.arange(6) % 3)
    exported = skl2onnx.to_onnx(model, np.eye(6, dtype=np.float32)[:1])
    (folder / "model.onnx").write_bytes(exported.SerializeToString())
    target = opened(folder, kind="onnx", load="model.onnx", outputs="probabilities")
    assert (target.classes, target.name, target.access) == (3, "model.onnx", Access.SCORES)


SERVER = {"kind": "http", "url": "https://models.example", "range": [-1.0, 1.0]}


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        (
            {"protocol": "v2", "model": "m", "flat": True, "version": "2", "output": "p"},
            OpenInference(
                "https://models.example", "m", flat=True, version="2", output="p", shows=Shows()
            ),
        ),
        (
            {"protocol": "torchserve", "model": "m", "classes": ["a", "b"], "channels": "last"},
            TorchServe(
                "https://models.example",
                "m",
                SPEC,
                shows=Shows(classes=("a", "b")),
                channels="last",
            ),
        ),
        (
            {"protocol": "hugging-face", "classes": 5, "answers": "top_k", "k": 2},
            HuggingFace("https://models.example", SPEC, Shows(Access.TOP_K, 5, 2)),
        ),
        (
            {"protocol": "json", "path": "p", "inputs": "x", "extra": {"a": 1}, "encoding": "rows"},
            PlainJson(
                "https://models.example",
                SPEC,
                path="p",
                inputs="x",
                extra={"a": 1},
                encoding="rows",
            ),
        ),
    ],
)
def test_every_protocol(
    folder: Path, monkeypatch: pytest.MonkeyPatch, table: dict[str, Any], expected: Any
) -> None:
    from darkroom.images.targets import http

    monkeypatch.setenv("FACE_KEY", "sesame")
    asked: list[tuple[Any, ...]] = []
    monkeypatch.setattr(http, "HttpTarget", lambda *given, **named: asked.append((given, named)))
    opened(folder, **SERVER, **table, batch=9, timeout=3.0, api_key_env="FACE_KEY")
    (((wire, shape), named),) = asked
    assert wire.identity() == expected.identity()
    assert type(wire) is type(expected)
    assert (shape, named["value_range"], named["authorized_by"]) == (SHAPE, (-1.0, 1.0), "me")
    assert named["delivery"] == Delivery(batch=9, timeout=3.0)
    assert named["secret_headers"] == {"authorization": "Bearer sesame"}


def test_a_server_is_not_asked_without_leave() -> None:
    table = section(**SERVER, protocol="json")
    for leave in (None, "", " "):
        with pytest.raises(TargetError, match="audited only with leave"):
            open_target(table, authorized_by=leave)


@pytest.mark.parametrize(
    ("table", "library", "module", "extra"),
    [
        ({**SERVER, "protocol": "json"}, "httpx", "darkroom.images.targets.http", "http"),
        ({"kind": "onnx", "load": "m.onnx"}, "onnxruntime", "darkroom.images.targets.onnx", "onnx"),
        (
            {"kind": "sklearn", "load": "m.skops"},
            "skops",
            "darkroom.images.targets.sklearn",
            "vision",
        ),
    ],
)
def test_a_missing_library_names_its_extra(
    monkeypatch: pytest.MonkeyPatch, table: dict[str, Any], library: str, module: str, extra: str
) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    monkeypatch.delitem(sys.modules, module, raising=False)
    message = rf"{library} is not installed: run pip install 'darkroom\[{extra}\]'"
    with pytest.raises(MissingExtraError, match=message):
        open_target(section(**table), authorized_by="me")


@pytest.mark.medium
def test_the_plan_reads_no_heavy_library() -> None:
    import subprocess

    code = (
        "import sys, darkroom.images.targets.sections\n"
        "heavy = {'torch', 'sklearn', 'httpx', 'onnxruntime'} & set(sys.modules)\n"
        "sys.exit(str(heavy) if heavy else 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_key_may_not_stand_in_a_plan() -> None:
    with pytest.raises(PlanError, match="a plan holds no keys") as caught:
        section(**SERVER, protocol="json", headers={"X-Api-Key": "sesame"})
    assert "sesame" not in str(caught.value)
    with pytest.raises(ValidationError):
        section(**SERVER, protocol="soap")
