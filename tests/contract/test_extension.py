"""The example of a package of one's own is installed, and audits by the names that it brings."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

ROOT = Path(__file__).parents[2]
EXTENSION = ROOT / "examples" / "extension"

DARKROOM = ("-c", "from darkroom.commands.main import main; main()")

PLAN = """\
[run]
name = "extras"

[target]
kind = "python"
name = "numpy-linear"
file = "model.npz"
shape = [1, 16, 16]

[private]
images = "people.npz"
trained_on = "0:4"

[public]
images = "strangers.npz"

[judges]
steps = 8

[[attack]]
name = "random-search"
rows = 20
prior = "eigenfaces"

[[defense]]
name = "smoothing"
share = 0.3
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the package, as pip installs it; nothing is downloaded."""
    folder = tmp_path_factory.mktemp("installed")
    # Building writes beside the sources.
    source = shutil.copytree(EXTENSION, folder / "source")
    options = ["--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    command = [sys.executable, "-m", "pip", "install", *options, "--target", str(folder / "site")]
    subprocess.run([*command, str(source)], check=True, capture_output=True)
    return folder / "site"


def python(installed: Path, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    paths = [str(installed), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
def test_an_audit_by_the_names_that_the_package_brings(installed: Path, plan_folder: Path) -> None:
    photos = np.load("people.npz")["images"][:, :4].reshape(24, -1)
    fitted = LogisticRegression(max_iter=1000).fit(photos, np.repeat(np.arange(6), 4))
    np.savez("model.npz", weights=fitted.coef_.T, bias=fitted.intercept_)
    (plan_folder / "plan.toml").write_text(PLAN)
    audited = python(installed, plan_folder, *DARKROOM, "audit", "plan.toml")
    assert audited.returncode == 0, audited.stderr
    cells = json.loads((plan_folder / "runs/extras/results.json").read_text())["cells"]
    assert [cell["attack"] for cell in cells] == ["random-search"] * 2
    assert [cell["defense"] for cell in cells] == ["none", "smoothing(share=0.3)"]
    assert cells[0]["target"] == "model.npz"
    assert cells[0]["queries"]["per_goal_median"] == 20
    assert not any("does not say" in one for one in cells[1]["details"]["threat_model"])


@pytest.mark.slow
def test_its_own_tests_pass(installed: Path, tmp_path: Path) -> None:
    arguments = ["-m", "pytest", "-q", "-p", "no:cacheprovider", str(EXTENSION / "tests")]
    tested = python(installed, tmp_path, *arguments, "--rootdir", str(tmp_path))
    assert tested.returncode == 0, tested.stdout


@pytest.mark.slow
def test_without_the_package_its_names_are_unknown(plan_folder: Path) -> None:
    (plan_folder / "plan.toml").write_text(PLAN)
    audited = python(plan_folder, plan_folder, *DARKROOM, "audit", "plan.toml")
    assert audited.returncode == 2
    assert "no defence is called 'smoothing'" in audited.stderr
