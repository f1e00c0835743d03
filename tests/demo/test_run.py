"""The whole demo in two processes: what the second is told, and how it ends."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

from darkroom.auditing.threads import THREADS
from darkroom.demo import run as module
from darkroom.demo.run import USUAL, run_demo
from darkroom.errors import PlanError, RunError

WORKING = """
import json, os, pathlib, sys
out = pathlib.Path(sys.argv[sys.argv.index("--out") + 1])
(out / "told.json").write_text(json.dumps([sys.argv[1:], os.environ["OMP_NUM_THREADS"]]))
print(json.dumps([{"run": {"name": "demo-table"}}]))
"""

FAILING = "import sys; sys.stderr.write('one\\nout: no space left\\n'); sys.exit(2)"

WAITING = "import sys, pathlib; sys.stdin.read(); pathlib.Path(sys.argv[3], 'ended').touch()"


@pytest.fixture
def first(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Runs of the first kind, which do nothing."""
    done: list[Any] = []

    def demo(out: Path, *, seed: int, progress: bool) -> str:
        done.append((seed, os.environ[THREADS]))
        if seed == 9:
            raise RunError("stopped")
        return "people"

    monkeypatch.setattr(module, "imported", lambda place: demo)
    monkeypatch.setattr(module, "cores", lambda: 2)
    monkeypatch.setattr(module, "collect", lambda folder: folder.name)
    monkeypatch.delenv(THREADS, raising=False)
    return done


def test_the_second_process_takes_the_other_kinds_and_then_part_in_the_first(
    first: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "COMMAND", WORKING)
    people, table = run_demo(tmp_path, seed=3, progress=False, kinds=["images", "tables"])
    assert people == "people"  # type: ignore[comparison-overlap]
    assert table.folder == tmp_path / "demo-table"
    assert table.document == "demo-table"  # type: ignore[comparison-overlap]
    assert first == [(3, "1")]
    (command, *options), threads = json.loads((tmp_path / "told.json").read_text())
    assert threads == "1"
    assert command == "demo"
    assert options[options.index("--kind") + 1] == "tables"
    assert options[options.index("--join") + 1] == str(tmp_path / "demo")
    run_demo(tmp_path, progress=False, kinds=["text", "tables"])
    assert "--join" not in (tmp_path / "told.json").read_text()


def test_one_processor_or_one_kind_needs_one_process(
    first: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "COMMAND", FAILING)
    assert len(run_demo(tmp_path, progress=False, kinds=["text"])) == 1
    monkeypatch.setattr(module, "cores", lambda: 1)
    assert len(run_demo(tmp_path, progress=False)) == len(USUAL)


def test_what_the_second_process_says_last_is_said(
    first: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "COMMAND", FAILING)
    with pytest.raises(RunError, match="ended with 2: out: no space left"):
        run_demo(tmp_path, progress=False)
    with pytest.raises(PlanError, match="no kind is called 'image': did you mean 'images'"):
        run_demo(tmp_path, progress=False, kinds=["image"])


def test_the_second_process_ends_with_the_first(
    first: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "COMMAND", WAITING)
    began = time.monotonic()
    with pytest.raises(RunError, match="stopped"):
        run_demo(tmp_path, seed=9, progress=False)
    assert time.monotonic() - began < 30
