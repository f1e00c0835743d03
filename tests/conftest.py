"""Small faces, a small model of them, and a plan that audits it.

Judges train for a moment only: few tests here ask how good they are.
"""

from __future__ import annotations

import os

from tests.support.processor import AVX2

os.environ.update(AVX2)

import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from tests.support import charts, examples  # noqa: F401 - examples loads Hypothesis' profile
from tests.support.needs import absent
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped,unused-ignore]
from torch import nn
from torch.nn import functional

from darkroom.runs import audit_plan

# The problems here are so small that threads cost more than they give.
torch.set_num_threads(1)
threadpool_limits(1)
charts.leave_empty()

PEOPLE, PHOTOS, TRAINED_ON, SIDE = 6, 6, 4, 16


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Decides before any fixture whether charts are drawn."""
    charts.draw_for(item)


MODEL = f"""\
from torch import nn


def build() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear({SIDE * SIDE}, {PEOPLE}))
"""

PLAN = """\
[run]
name = "tiny"
out = "runs"

[target]
load = "tiny_model:build"
weights = "weights.safetensors"
shape = [1, 16, 16]

[private]
images = "people.npz"
trained_on = "0:4"

[public]
images = "strangers.npz"

[judges]
steps = 8

[[attack]]
name = "gradient"
steps = 12
prior = "mean"

[[attack]]
name = "gradient"
prior = "eigenfaces"
steps = 12

[limit]
advantage = 0.05
"""


def _draw(people: int, photos: int, seed: int) -> NDArray[np.float32]:
    """Draws ovals with eyes and a mouth, ``(people, photos, SIDE, SIDE)`` in [0, 1]."""
    rng = np.random.default_rng(seed)
    down, across = np.mgrid[0:SIDE, 0:SIDE] / (SIDE - 1)
    drawn = np.empty((people, photos, SIDE, SIDE), np.float32)
    for person in range(people):
        wide, high, skin, apart, eyes, smile, mouth, light = rng.random(8)
        oval = ((across - 0.5) / (0.25 + 0.2 * wide)) ** 2 + (
            (down - 0.5) / (0.3 + 0.2 * high)
        ) ** 2
        face = 0.15 + (0.4 + 0.25 * skin) * np.exp(-(oval**2)) + 0.2 * light * down
        for side in (-1, 1):
            eye = (across - 0.5 - side * (0.12 + 0.12 * apart)) ** 2 + (
                down - 0.25 - 0.2 * eyes
            ) ** 2
            face -= 0.5 * np.exp(-eye / 0.07**2)
        lips = ((across - 0.5) / (0.08 + 0.14 * smile)) ** 2 + (
            (down - 0.65 - 0.15 * mouth) / 0.05
        ) ** 2
        face -= 0.4 * np.exp(-lips)
        for photo in range(photos):
            moved = np.roll(face, rng.integers(-1, 2), axis=1) * rng.uniform(0.9, 1.1)
            drawn[person, photo] = (moved + 0.02 * rng.standard_normal(face.shape)).clip(0, 1)
    return drawn


@pytest.fixture(scope="session")
def real_data() -> Callable[[str], Path]:
    """Finds a file of real data, in ``DARKROOM_DATA`` or beside the project; or skips the test."""
    beside = Path(__file__).parents[2] / "shared" / "data"
    folder = Path(os.environ.get("DARKROOM_DATA", beside))

    def find(name: str) -> Path:
        path = folder / name
        if not path.exists():
            absent(f"{path} is absent: set DARKROOM_DATA to the folder that has it")
        return path

    return find


@pytest.fixture(scope="session")
def private_photos() -> NDArray[np.float32]:
    """Six people, six photos of each, ``(6, 6, 16, 16)``."""
    return _draw(PEOPLE, PHOTOS, 0)


@pytest.fixture(scope="session")
def public_photos() -> NDArray[np.float32]:
    """Twenty others, three photos of each, ``(20, 3, 16, 16)``."""
    return _draw(20, 3, 1)


@pytest.fixture(scope="session")
def weights(private_photos: NDArray[np.float32]) -> dict[str, torch.Tensor]:
    """What the plan's model has learned from the first four photos of each person."""
    images = torch.from_numpy(private_photos[:, :TRAINED_ON].reshape(-1, SIDE * SIDE))
    people = torch.arange(PEOPLE).repeat_interleave(TRAINED_ON)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        layer = nn.Linear(SIDE * SIDE, PEOPLE)
    optimizer = torch.optim.Adam(layer.parameters(), lr=0.02)
    for _ in range(100):
        optimizer.zero_grad()
        functional.cross_entropy(layer(images), people).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return {f"1.{name}": value.detach() for name, value in layer.named_parameters()}


@pytest.fixture(scope="session")
def finished_folder(
    tmp_path_factory: pytest.TempPathFactory,
    private_photos: NDArray[np.float32],
    public_photos: NDArray[np.float32],
    weights: dict[str, torch.Tensor],
) -> Path:
    """A folder with a plan, all that it names, and its finished run: to read, not to change."""
    folder = tmp_path_factory.mktemp("finished")
    (folder / "tiny_model.py").write_text(MODEL)
    np.savez(folder / "people.npz", images=private_photos)
    np.savez(folder / "strangers.npz", images=public_photos)
    save_file(weights, folder / "weights.safetensors")
    (folder / "plan.toml").write_text(PLAN)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        audit_plan(folder / "plan.toml", progress=False)
    sys.modules.pop("tiny_model", None)
    return folder


@pytest.fixture
def audited_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, finished_folder: Path
) -> Iterator[Path]:
    """The working folder, with a plan, all that it names, and its finished run."""
    shutil.copytree(finished_folder, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    sys.modules.pop("tiny_model", None)


@pytest.fixture
def plan_folder(audited_folder: Path) -> Path:
    """The working folder, with a plan and all that it names."""
    shutil.rmtree(audited_folder / "runs")
    return audited_folder
