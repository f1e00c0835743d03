"""How much memory an audit of a large model takes: run alone, so that the peak is its own."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
from contextlib import chdir
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

BOUND = "2 GB"
PEOPLE, SIDE = 2, 224


_PLAN = f"""\
[run]
name = "large"
memory = "{BOUND}"
[target]
load = "large:net"
shape = [3, {SIDE}, {SIDE}]
[private]
images = "people.npz"
trained_on = "0:2"
[public]
images = "strangers.npz"
[check]
ignore = ["accuracy"]
[judges]
steps = 20
[[attack]]
name = "gradient"
steps = 3
restarts = 4
[[attack]]
name = "evolution"
budget = 60
"""


def peak() -> float:
    """Returns the GB that an audit of ResNet-18's layout at 224 pixels takes at its most."""
    command = [sys.executable, "-m", "benchmarks.reach.memory"]
    told = subprocess.run(command, capture_output=True, text=True, check=True)
    return round(float(json.loads(told.stdout.splitlines()[-1])["peak"]) / 2**30, 2)


def _audit(folder: Path) -> None:
    import darkroom

    draw = np.random.default_rng(0)
    people = draw.random((PEOPLE, 1, 3, 8, 8)).repeat(4, axis=1)
    photos = people + 0.05 * draw.standard_normal(people.shape)
    _save(folder / "people.npz", photos)
    _save(folder / "strangers.npz", draw.random((60, 1, 3, 8, 8)))
    (folder / "large.py").write_text(
        "from benchmarks.reach.planted.nets import ResNet\n\n\n"
        f"def net():\n    model = ResNet(64, {PEOPLE}, small=False)\n"
        # One that is soon sure, so that pictures are grown in few steps.
        "    model.fc.weight.data *= 1000\n    return model\n"
    )
    (folder / "plan.toml").write_text(_PLAN)
    run = darkroom.audit_plan(folder / "plan.toml", progress=False)
    assert len(run.cells) == 2, run.verdict


def _save(file: Path, coarse: NDArray[Any]) -> None:
    """Writes pictures, enlarged from a few pixels."""
    large = coarse.repeat(SIDE // 8, axis=-1).repeat(SIDE // 8, axis=-2)
    large = large.astype(np.float32)
    np.savez(file, images=(large.clip(0, 1) * 255).astype(np.uint8))


def main() -> None:
    """Audits, and prints the peak as JSON."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory(prefix="darkroom-memory-") as folder, chdir(folder):
        _audit(Path(folder))
    print(json.dumps({"peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}))


if __name__ == "__main__":
    main()
