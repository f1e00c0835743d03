"""Eight processes with four guards each on one store, killed at random moments."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def play(address: tuple[str, str], rounds: int, seed: int) -> list[dict[str, int]]:
    # In a process of its own, which has neither PyTorch nor threads and so may fork.
    command = [
        sys.executable,
        "-m",
        "benchmarks.guard.never_over",
        *address,
        str(rounds),
        str(seed),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.medium
def test_never_over(tmp_path: Path) -> None:
    played = play(("sqlite", str(tmp_path / "guard.sqlite")), 1, 7)
    assert len(played) == 1
    assert sum(one["released"] for one in played) > 15


@pytest.mark.slow
def test_never_over_in_a_hundred_rounds(address: tuple[str, str]) -> None:
    played = play(address, 100, 2)
    assert len(played) == 100
    # Some budgets were spent to the last row, and in some rounds rows were forfeited.
    assert any(one["charged"] == one["limit"] for one in played)
    assert any(one["released"] < one["charged"] for one in played)
