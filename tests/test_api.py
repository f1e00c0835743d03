"""The package from Python."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from jsonschema import Draft202012Validator  # type: ignore[import-untyped,unused-ignore]
from numpy.typing import NDArray
from torch import nn

import darkroom
from darkroom.errors import DataError, PlanError, RunError, TargetError
from darkroom.report import load_schema

Photos = NDArray[np.float32]


@pytest.fixture
def model(weights: dict[str, torch.Tensor]) -> nn.Module:
    module = nn.Sequential(nn.Flatten(), nn.Linear(256, 6))
    module.load_state_dict(weights)
    return module


@pytest.fixture
def private(private_photos: Photos) -> tuple[Photos, NDArray[np.int64]]:
    return private_photos.reshape(-1, 1, 16, 16), np.repeat(np.arange(6), 6)


def test_an_audit_in_a_few_lines(
    model: nn.Module,
    private: tuple[Photos, NDArray[np.int64]],
    public_photos: Photos,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    before = {key: value.clone() for key, value in model.state_dict().items()}
    options: dict[str, Any] = {
        "public": public_photos.reshape(-1, 1, 16, 16),
        "trained_on": "0:4",
        "attacks": [{"name": "gradient", "prior": "eigenfaces", "steps": 9}],
        "judges": {"steps": 8},
        "out": tmp_path,
        "progress": False,
    }
    run = darkroom.audit(model, private, **options)
    assert isinstance(run, darkroom.Run)
    assert run.folder == tmp_path / "audit"
    assert run.report.exists()
    Draft202012Validator(load_schema()).validate(run.results)
    assert [cell.attack for cell in run.cells] == ["gradient"]
    low = run.cells[0].advantage.low
    assert run.leaks(low - 0.01)
    assert not run.leaks(low)
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert capsys.readouterr() == ("", "")
    with pytest.raises(RunError, match="a run is there already"):
        darkroom.audit(model, private, **options)
    assert darkroom.audit(model, private, resume=True, **options).results == run.results


def test_the_order_of_photos_does_not_matter(
    model: nn.Module,
    private: tuple[Photos, NDArray[np.int64]],
    tmp_path: Path,
) -> None:
    images, people = private
    shuffled = np.argsort(np.arange(36) % 6, kind="stable")
    options: dict[str, Any] = {
        "attacks": [{"name": "gradient", "steps": 2, "prior": {"name": "mean", "start": "black"}}],
        "progress": False,
        "judges": {"steps": 8},
        "out": tmp_path,
    }
    first = darkroom.audit(model, private, name="first", **options)
    pair = (images[shuffled], people[shuffled])
    second = darkroom.audit(model, pair, name="second", **options)
    assert [cell.key for cell in first.cells] == [cell.key for cell in second.cells]


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"outputs": "probabilities"}, TargetError, 'set .target. outputs = "logits"'),
        ({"outputs": "scores"}, PlanError, "darkroom.audit: target.outputs"),
        ({"attacks": ["gradinet"]}, PlanError, "did you mean 'gradient'"),
        ({"attacks": []}, PlanError, "darkroom.audit: attack"),
        ({"trained_on": "4"}, PlanError, "is no slice"),
        ({"name": "a/b"}, PlanError, "darkroom.audit: run.name"),
        ({"value_range": (0.0, 0.5)}, DataError, "private photos: values from"),
        ({"seed": -1}, PlanError, "darkroom.audit: run.seed"),
        ({"public": np.zeros((3, 16, 16))}, DataError, "public: images of shape"),
        ({"public": np.zeros((3, 1, 8, 8))}, DataError, "public photos: images of shape"),
    ],
)
def test_arguments_that_do_not_do(
    model: nn.Module,
    private: tuple[Photos, NDArray[np.int64]],
    tmp_path: Path,
    changes: dict[str, Any],
    error: type[Exception],
    message: str,
) -> None:
    with pytest.raises(error, match=message) as caught:
        darkroom.audit(model, private, out=tmp_path, progress=False, **changes)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("pair", "message"),
    [
        (np.zeros((2, 1, 16, 16)), "private: give a pair"),
        ((np.zeros((2, 16, 16)), np.arange(2)), r"give \(n, channels, height, width\)"),
        ((np.zeros((2, 1, 16, 16)), np.arange(3)), "2 images but 3 labels"),
        ((np.zeros((2, 1, 16, 16)), np.array([0, -1])), "labels must be"),
        ((np.zeros((2, 1, 16, 16)), np.zeros(2)), "show 1 person"),
    ],
)
def test_private_photos_that_do_not_do(
    model: nn.Module, tmp_path: Path, pair: Any, message: str
) -> None:
    with pytest.raises(DataError, match=message):
        darkroom.audit(model, pair, out=tmp_path, progress=False)


def python(code: str) -> str:
    command = [sys.executable, "-W", "error", "-c", code]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize(
    "code",
    [
        "import darkroom",
        "import darkroom; darkroom.Access; darkroom.DarkroomError; darkroom.audit",
        "import darkroom.errors, darkroom.ledger, darkroom.access, darkroom.commands.main",
        "import darkroom.auditing.plan",
    ],
)
def test_what_needs_no_torch_imports_none(code: str) -> None:
    assert python(f"{code}; import sys; print('torch' in sys.modules)") == "False\n"


@pytest.mark.parametrize(
    "code",
    [
        "import darkroom; darkroom.audit; import darkroom.auditing.plan",
        "import darkroom.auditing.plan",
        "import darkroom.api",
    ],
)
def test_audit_can_be_called_whatever_was_imported_before(code: str) -> None:
    call = "darkroom.audit(None, None)\nexcept darkroom.DarkroomError as error: print(error)"
    assert python(f"{code}\ntry: {call}") == "private: give a pair of images and labels\n"


def test_every_public_name_is_there() -> None:
    for name in darkroom.__all__:
        assert getattr(darkroom, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'audits'"):
        darkroom.audits  # noqa: B018
