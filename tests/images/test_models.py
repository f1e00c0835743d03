"""Plans that train: the cells they come to, what is kept, and what is refused."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from tests.support.needs import needed
from tests.support.records import known, timeless
from torch import nn

import darkroom
from darkroom.errors import PlanError, RunError
from darkroom.images import models
from darkroom.report import collect
from darkroom.runs import Run, audit_plan

MODEL = """\
from torch import nn


def build() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, stride=4), nn.ReLU(), nn.Flatten(), nn.Linear(128, 6)
    )
"""

PLAN = """\
[run]
name = "tiny"

[target]
load = "tiny_model:build"
shape = [1, 16, 16]

[private]
images = "people.npz"
trained_on = "0:4"

[public]
images = "strangers.npz"

[judges]
steps = 8

[recipe]
epochs = 20
batch = 8
learning_rate = 0.01

[[training]]
name = "mid"

[[training]]
name = "dp-sgd"
epsilon = 3.0
epochs = 4

[[attack]]
name = "gradient"
prior = "mean"
steps = 8

[[attack]]
name = "evolution"
rows = 60

[[defense]]
name = "rounding"
"""


@pytest.fixture
def plan(plan_folder: Path) -> Path:
    (plan_folder / "tiny_model.py").write_text(MODEL)
    path = plan_folder / "plan.toml"
    path.write_text(PLAN)
    return path


ONE_ATTACK = PLAN.split('[[attack]]\nname = "evolution"')[0].replace(
    'name = "dp-sgd"\nepsilon = 3.0\nepochs = 4', 'name = "bido"'
)


@pytest.fixture(scope="module")
def finished_trainings(finished_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a plan of three trainings and one attack, and its finished run."""
    folder = tmp_path_factory.mktemp("trainings")
    shutil.copytree(finished_folder, folder, dirs_exist_ok=True)
    shutil.rmtree(folder / "runs")
    (folder / "tiny_model.py").write_text(MODEL)
    (folder / "plan.toml").write_text(ONE_ATTACK)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        run(folder / "plan.toml")
    sys.modules.pop("tiny_model", None)
    return folder


@pytest.fixture
def trained(finished_trainings: Path, plan: Path) -> Run:
    """That run and its plan, in the working folder."""
    shutil.copytree(finished_trainings, plan.parent, dirs_exist_ok=True)
    folder = plan.parent / "runs" / "tiny"
    return Run(folder, collect(folder), folder / "report.html")


def run(plan: Path, *, resume: bool = False) -> Run:
    return audit_plan(plan, resume=resume, progress=False)


@pytest.mark.slow
def test_every_model_meets_every_attack_and_its_cells_say_how_it_was_trained(plan: Path) -> None:
    needed("opacus")
    cells = run(plan).cells
    private = "dp-sgd(epsilon=3, epochs=4)"
    rounding = "rounding(decimals=2)"
    assert [(cell.defense, cell.access) for cell in cells] == [
        (name, access)
        for first in ("none", "mid", private)
        for name, access in (
            (first, "weights"),
            (first, "scores"),
            (rounding if first == "none" else f"{first} + {rounding}", "scores"),
        )
    ]
    plain, mid, last = (known(cells[place].details.training) for place in (0, 3, 6))
    assert plain.time_factor == 1.0
    assert plain.bound is None
    assert mid.time_factor > 0
    assert mid.privacy is None
    assert mid.paper == "Wang et al. 2021"
    assert 2.9 < known(last.privacy).epsilon <= 3.0
    bound = known(last.bound)
    person, photo = bound.chances
    assert (person.about, person.examples, photo.about, photo.examples) == ("person", 4, "photo", 1)
    assert 1 / 6 <= bound.baseline < photo.most < person.most <= 1
    assert not bound.exceeded
    assert "epsilon" in " ".join(cells[6].details.threat_model)
    assert known(cells[0].utility.accuracy) > known(cells[6].utility.accuracy) - 0.5


@pytest.mark.medium
def test_a_resumed_run_trains_nothing_twice_and_ends_the_same(
    trained: Run, plan: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = sorted((trained.folder / "models").iterdir())
    assert [file.suffix for file in kept] == [".json", ".safetensors"] * 3
    assert all(file.stat().st_mode & 0o77 == 0 for file in kept)
    before = timeless(trained)
    for cell in trained.cells[1:]:
        shutil.rmtree(trained.folder / "cells" / cell.key)
    monkeypatch.setattr(models.ImageTrainer, "train", None)
    again = run(plan, resume=True)
    assert timeless(again) == before


@pytest.mark.medium
def test_a_new_run_ends_the_same(trained: Run, plan: Path) -> None:
    shutil.rmtree(trained.folder)
    assert timeless(run(plan)) == timeless(trained)


@pytest.mark.medium
def test_damaged_weights_are_one_line(trained: Run, plan: Path) -> None:
    shutil.rmtree(trained.folder / "cells" / trained.cells[0].key)
    for file in (trained.folder / "models").iterdir():
        file.write_bytes(b"nothing")
    with pytest.raises(RunError, match="damaged"):
        run(plan, resume=True)


@pytest.mark.medium
@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('name = "mid"', 'name = "midd"', "did you mean 'mid'"),
        ('name = "mid"', 'name = "mid"\nwidth = 0', "1 or more"),
        ("shape =", 'weights = "weights.safetensors"\nshape =', "remove"),
        ("shape =", 'outputs = "probabilities"\nshape =', "logits"),
        ("epochs = 20", "epochs = 0", "recipe.epochs"),
        ("epochs = 20", "epoch = 20", "did you mean 'epochs'"),
        ('load = "tiny_model:build"', 'kind = "sklearn"\nload = "a:b"', "sklearn"),
    ],
)
def test_what_cannot_be_trained_is_refused_before_anything_is(
    plan: Path, old: str, new: str, said: str
) -> None:
    plan.write_text(PLAN.replace(old, new, 1))
    with pytest.raises(PlanError, match=said):
        run(plan)


@pytest.mark.medium
def test_a_recipe_without_trainings_is_refused(plan: Path) -> None:
    head, rest = PLAN.split("[[training]]", 1)
    plan.write_text(head + "[[attack]]" + rest.split("[[attack]]", 1)[1])
    with pytest.raises(PlanError, match=r"\[recipe\]"):
        run(plan)


@pytest.mark.slow
def test_without_trainings_a_plan_is_as_before(plan: Path, weights: dict[str, Any]) -> None:
    save_file(weights, plan.parent / "weights.safetensors")
    (plan.parent / "tiny_model.py").write_text(
        "from torch import nn\n\n\ndef build():\n"
        "    return nn.Sequential(nn.Flatten(), nn.Linear(256, 6))\n"
    )
    table = PLAN.replace("shape =", 'weights = "weights.safetensors"\nshape =')
    head, rest = table.split("[recipe]", 1)
    plan.write_text(head + "[[attack]]" + rest.split("[[attack]]", 1)[1])
    found = run(plan)
    assert found.cells[0].details.training is None
    assert not (found.folder / "models").exists()


@pytest.mark.slow
def test_from_python(
    tmp_path: Path, private_photos: NDArray[np.float32], public_photos: NDArray[np.float32]
) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = nn.Sequential(nn.Flatten(), nn.Linear(256, 6))
    found = darkroom.audit(
        module,
        (private_photos.reshape(-1, 1, 16, 16), np.repeat(np.arange(6), 6)),
        public=public_photos.reshape(-1, 1, 16, 16),
        trained_on="0:4",
        attacks=[{"name": "gradient", "steps": 8}],
        training=["negative-label-smoothing"],
        recipe={"epochs": 20, "batch": 8, "learning_rate": 0.02, "augment": False},
        judges={"steps": 8},
        out=tmp_path,
        progress=False,
    )
    assert [cell.defense for cell in found.cells] == ["none", "negative-label-smoothing"]
    assert all(known(cell.utility.accuracy) > 0.7 for cell in found.cells)
