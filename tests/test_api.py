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
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

import darkroom
from darkroom.errors import DarkroomError, DataError, PlanError, RunError, TargetError
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


@pytest.mark.medium
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
    assert model.training
    assert all(weight.requires_grad for weight in model.parameters())
    assert len(repr(run)) < 500
    shown = run._repr_html_()
    assert run.verdict.sentence[:20] in shown
    assert "<table>" in shown
    assert "<svg" in shown
    assert len(shown) < 40_000
    assert capsys.readouterr() == ("", "")
    with pytest.raises(RunError, match="a run is there already"):
        darkroom.audit(model, private, **options)
    assert darkroom.audit(model, private, resume=True, **options).results == run.results


@pytest.mark.medium
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
        ({"memory": "1 MB"}, PlanError, "darkroom.audit: run.memory"),
        ({"memory": "much"}, PlanError, "darkroom.audit: run.memory"),
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


QUICK: dict[str, Any] = {
    "attacks": [{"name": "auto", "budget": 6, "prior": {"name": "mean", "start": "black"}}],
    "judges": {"steps": 8},
    "progress": False,
}


@pytest.mark.medium
def test_photos_and_labels_as_people_have_them_are_the_same(
    model: nn.Module, private: tuple[Photos, NDArray[np.int64]], tmp_path: Path
) -> None:
    people = private[1]
    photos = (private[0] * 255).round().astype(np.uint8)
    floats = photos.astype(np.float32) * np.float32(1 / 255)
    names = ["zoe", "amy", "bob", "cat", "dan", "eve"]
    given: list[tuple[Any, dict[str, Any]]] = [
        ((floats, people), {"trained_on": "0:4"}),
        ([torch.from_numpy(photos), people.tolist()], {"trained_on": np.arange(36) % 6 < 4}),
        ((floats, [names[one] for one in people]), {"batch": 7, "limit": {"advantage": 0.1}}),
    ]
    given[2][1]["trained_on"] = [row for row in range(36) if row % 6 < 4]
    found = []
    for number, (pair, options) in enumerate(given):
        run = darkroom.audit(
            model, pair, names=names, name=f"run-{number}", out=tmp_path, **options, **QUICK
        )
        found.append(run.cells[0].key)
    assert len(set(found)) == 1


@pytest.mark.medium
def test_a_classifier_of_scikit_learn_has_its_own_labels(
    private: tuple[Photos, NDArray[np.int64]], tmp_path: Path
) -> None:
    images, people = private
    names = np.array(["f", "e", "d", "c", "b", "a"])[people]
    classifier = make_pipeline(StandardScaler(), LogisticRegression())
    classifier.fit(images.reshape(36, -1), names)
    run = darkroom.audit(classifier, (images, names), out=tmp_path, trained_on="0:4", **QUICK)
    check = next(one for one in run.verdict.checks if one.name == "accuracy")
    assert check.outcome == "passed", "the classes are those of the classifier"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (None, "model: None: does the function that builds it return it"),
        (nn.Linear, r"model: the class Linear itself: give an object, Linear\(...\)"),
        ("net.pt", "model: a path: give darkroom.load_target"),
        ({"weight": torch.zeros(2)}, "model: a dictionary, as of weights"),
        ([nn.Linear(2, 2)], "model: a list: give one model"),
        (lambda images: images, "model: function is no torch.nn.Module"),
        (LogisticRegression(), "LogisticRegression is no fitted classifier"),
    ],
)
def test_what_is_no_model(
    given: Any, message: str, private: tuple[Photos, NDArray[np.int64]], tmp_path: Path
) -> None:
    with pytest.raises(TargetError, match=message) as caught:
        darkroom.audit(given, private, out=tmp_path, progress=False)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("labels", "options", "message"),
    [
        (None, {}, "labels are None"),
        (["a", "b"] * 18, {}, r"name 2 people, but the model has 6 classes: give names = "),
        (["a", "b"] * 18, {"names": list("acdefg")}, "label 'b' is none of the model's classes"),
        (np.arange(36) / 7, {}, "labels of float64: give classes as numbers, or names"),
        (np.zeros((36, 6)), {}, r"labels of shape \[36, 6\]: give one a photo"),
        (np.arange(36) % 6, {"trained_on": [True, False]}, "a mask of 36 booleans"),
        (np.arange(36) % 6, {"trained_on": [99]}, "positions must be 0 to 35"),
        (np.arange(36) % 6, {"limit": {"advantge": 0.1}}, "did you mean 'advantage'"),
    ],
)
def test_labels_and_masks_that_do_not_do(
    model: nn.Module,
    private: tuple[Photos, NDArray[np.int64]],
    tmp_path: Path,
    labels: Any,
    options: dict[str, Any],
    message: str,
) -> None:
    with pytest.raises(DarkroomError, match=message):
        darkroom.audit(model, (private[0], labels), out=tmp_path, progress=False, **options)


@pytest.mark.medium
def test_photos_that_leave_no_room_are_refused_with_the_bound_they_need(
    model: nn.Module, private: tuple[Photos, NDArray[np.int64]], tmp_path: Path
) -> None:
    strangers = np.broadcast_to(np.float32(0.5), (100_000, 1, 16, 16))
    with pytest.raises(PlanError, match=r'memory = 1 GB: set \[run\] memory = "1.5 GB"'):
        darkroom.audit(
            model, private, public=strangers, memory="1 GB", out=tmp_path, progress=False
        )


def test_photos_with_channels_last_are_told_how(model: nn.Module, tmp_path: Path) -> None:
    pair = (np.zeros((4, 16, 16, 3)), [0, 0, 1, 1])
    with pytest.raises(DataError, match=r"channels last: give images.transpose\(0, 3, 1, 2\)"):
        darkroom.audit(model, pair, out=tmp_path, progress=False)


def python(code: str) -> str:
    command = [sys.executable, "-W", "error", "-c", code]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.mark.medium
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


IMPORTED_BEFORE = (
    "import darkroom; darkroom.audit; import darkroom.auditing.plan",
    "import darkroom.auditing.plan",
    "import darkroom.api",
)


@pytest.mark.slow
def test_audit_can_be_called_whatever_was_imported_before() -> None:
    # PyTorch, which takes most of the time, is imported once; the package each time anew.
    anew = (
        "import sys\nfor name in [*sys.modules]:\n if name[:8] == 'darkroom': del sys.modules[name]"
    )
    call = "try: darkroom.audit(None, None)\nexcept darkroom.DarkroomError as error: print(error)"
    code = "\n".join(f"{anew}\n{before}\n{call}" for before in IMPORTED_BEFORE)
    assert python(code) == "private: give a pair of images and labels\n" * len(IMPORTED_BEFORE)


def test_every_public_name_is_there() -> None:
    for name in darkroom.__all__:
        assert getattr(darkroom, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'audits'"):
        darkroom.audits  # noqa: B018
