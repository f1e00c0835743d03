"""Small subjects of audits, and running these in processes of their own."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from darkroom.auditing.threads import THREADS

TIMES = ("seconds", "microseconds", "of_forward", "time_factor")
"""What differs between two runs of the same."""

SAID = "said.txt"
"""What audits said, in their folder."""

MODEL = """\
from pathlib import Path

import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder
from sklearn.tree import DecisionTreeClassifier


def grades():
    rows = pd.read_csv(Path(__file__).parent / "rows.csv")[:90]
    coded = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore"), ["city", "secret"]), remainder="passthrough"
    )
    model = make_pipeline(coded, DecisionTreeClassifier(max_depth=7, random_state=0))
    return model.fit(rows[["age", "city", "secret"]], rows["grade"])
"""

PLAN = """\
[run]
name = "scale"
out = "runs"

[target]
load = "scale_rows:grades"
response = "grade"
inputs = ["age", "city", "secret"]

[private]
table = "rows.csv"
rows = "0:140"
sensitive = "secret"
trained_on = "0:90"
groups = []

[public]
table = "rows.csv"
rows = "140:"
imputer = "logistic"

[[attack]]
name = "map"

"""


def write_rows(folder: Path, seed: int) -> None:
    """Draws rows, and writes them with a model of them."""
    rng = np.random.default_rng([seed, 1])
    lines = ["age,city,secret,grade"]
    for _ in range(260):
        age, city, secret = rng.integers(18, 80), rng.choice(list("abc")), rng.choice(list("no"))
        grade = int(age > 50) + int(secret == "o") if rng.random() < 0.9 else int(rng.integers(3))
        lines.append(f"{age},{city},{secret},g{grade}")
    (folder / "rows.csv").write_text("\n".join(lines))
    (folder / "scale_rows.py").write_text(MODEL)


def write_table_plan(folder: Path, cells: int, seed: int) -> Path:
    """Writes a plan of so many cells on a tree of 90 rows, with all that it names."""
    write_rows(folder, seed)
    defenses = "".join(
        f'[[defense]]\nname = "noise"\ndeviation = {0.01 * place}\n\n' for place in range(1, cells)
    )
    plan = folder / "plan.toml"
    plan.write_text(PLAN + defenses)
    return plan


def darkroom(
    folder: Path, *arguments: str, threads: int | None = 1, program: Sequence[str] = ()
) -> subprocess.Popen[bytes]:
    """Starts the command line.

    Args:
        folder: Where.
        arguments: Of the command.
        threads: How many it may take; as many as there are processors for ``None``.
        program: What is started in its place.
    """
    begin = ["-c", "from darkroom.commands.main import main; main()"]
    environment = {key: value for key, value in os.environ.items() if key != THREADS}
    if threads is not None:
        environment[THREADS] = str(threads)
    with (folder / SAID).open("ab") as said:
        return subprocess.Popen(
            [sys.executable, *(program or begin), *arguments],
            cwd=folder,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=said,
        )


def finish(process: subprocess.Popen[bytes], folder: Path) -> None:
    """Waits for an audit.

    Raises:
        RuntimeError: If it did not end well; with the last line that it said.
    """
    if process.wait():
        lines = (folder / SAID).read_text().splitlines()
        raise RuntimeError(f"an audit ended with {process.returncode}: {lines[-1:]}")


def has_ray() -> bool:
    """Tells whether Ray is installed, without which nothing is measured of it."""
    return importlib.util.find_spec("ray") is not None


def results_without_times(run: Path) -> bytes:
    """Returns ``results.json`` byte for byte, but for times."""
    document = json.loads((run / "results.json").read_text())
    return json.dumps(_timeless(document)).encode()


def _timeless(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _timeless(one) for key, one in value.items() if key not in TIMES}
    return [_timeless(one) for one in value] if isinstance(value, list) else value
