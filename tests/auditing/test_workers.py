"""Processes that share a run: begun, watched, and what is said of how they ended."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from darkroom.auditing import workers as module
from darkroom.auditing.progress import Reporter
from darkroom.auditing.store import Store
from darkroom.auditing.workers import THREADS, Workers, cores
from darkroom.errors import RunError

BEGIN = """
import os, pathlib, signal, sys
cells = pathlib.Path(sys.argv[1]) / "cells"
pathlib.Path(sys.argv[1], f"threads-{os.getpid()}").write_text(os.environ["OMP_NUM_THREADS"])
"""

WORKING = f"""{BEGIN}
for key in sys.argv[2:]:
    (cells / key).mkdir(exist_ok=True)
    for name in ("cell.json", "reconstructions.npz"):
        (cells / key / name).touch()
"""

DYING = f"{BEGIN}os.kill(os.getpid(), signal.SIGKILL)"

FAILING = f"{BEGIN}sys.exit(2)"

WAITING = f"{BEGIN}sys.stdin.read(); (cells / 'ended').touch(); signal.pause()"

KEYS = ("a1", "b2", "c3")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    opened = Store(tmp_path / "tiny")
    opened.open(resume=False)
    return opened


def run(store: Store, count: int, program: str) -> None:
    command = [sys.executable, "-S", "-c", program, str(store.folder), *KEYS]
    Workers(count, command).run(store, KEYS, Reporter(shown=False))


def threads(store: Store) -> list[str]:
    return [path.read_text() for path in store.folder.glob("threads-*")]


def test_as_many_are_begun_as_there_are_cells_at_most(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(THREADS, raising=False)
    run(store, 9, WORKING)
    assert threads(store) == [str(max(1, cores() // 9))] * 3
    run(store, 9, DYING)  # nothing is missing, so nobody is begun
    assert len(threads(store)) == 3


def test_threads_that_the_environment_says_are_kept(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(THREADS, "7")
    run(store, 2, WORKING)
    assert threads(store) == ["7", "7"]


def test_how_workers_ended_that_left_cells_behind_is_said(store: Store) -> None:
    with pytest.raises(
        RunError, match="3 cells are missing, and all workers were ended by SIGKILL"
    ):
        run(store, 2, DYING)
    with pytest.raises(RunError, match="ended with what is said above"):
        run(store, 2, FAILING)


def test_an_interruption_ends_them(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(seconds: float) -> None:
        del seconds
        raise KeyboardInterrupt

    monkeypatch.setattr("time.sleep", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(store, 2, WAITING)
    assert not [one for one in _children() if "signal.pause" in one]


def _children() -> list[str]:
    """The command lines of this process's children."""
    found = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    return [Path(f"/proc/{one}/cmdline").read_text() for one in found]


def test_where_there_are_no_locks_one_process_is_all(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "has_locks", lambda folder: False)
    with pytest.raises(RunError, match="knows no locks"):
        run(store, 2, WORKING)
