"""Processes that share a run: begun, watched, and what is said of how they ended."""

from __future__ import annotations

import functools
import os
import signal
import sys
import threading
from pathlib import Path

import pytest

from darkroom.auditing.progress import Reporter
from darkroom.auditing.store import Store
from darkroom.auditing.threads import cores
from darkroom.auditing.workers import base
from darkroom.auditing.workers.base import Work
from darkroom.auditing.workers.objects import ObjectProcesses
from darkroom.auditing.workers.processes import Processes
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
    Processes(count, command).run(work(store), 7, Reporter(shown=False))


def work(store: Store) -> Work:
    return Work(store, dict.fromkeys(KEYS, ()))


def threads(store: Store) -> list[str]:
    return [path.read_text() for path in store.folder.glob("threads-*")]


@pytest.mark.medium
def test_as_many_are_begun_as_there_are_cells_at_most(store: Store) -> None:
    run(store, 9, WORKING)
    assert threads(store) == ["7"] * 3
    run(store, 9, DYING)  # nothing is missing, so nobody is begun
    assert len(threads(store)) == 3


def test_they_share_the_processors() -> None:
    assert [Processes(count, []).threads for count in (1, 10_000)] == [cores(), 1]


@pytest.mark.medium
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
    monkeypatch.setattr(base, "has_locks", lambda folder: False)
    with pytest.raises(RunError, match="knows no locks"):
        run(store, 2, WORKING)


def working(folder: Path, model: object) -> None:
    """Finishes every cell, as whoever is sent a job does."""
    del model
    for key in KEYS:
        (folder / "cells" / key).mkdir(exist_ok=True)
        for name in ("cell.json", "reconstructions.npz"):
            (folder / "cells" / key / name).touch()


def dying(folder: Path) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.medium
def test_a_job_is_sent_to_processes(store: Store) -> None:
    reporter = Reporter(shown=False)
    # Classes and functions of a notebook have no module that could be imported.
    sent = functools.partial(working, store.folder, lambda: None)
    with pytest.raises(RunError, match="see to that, then go on with resume=True"):
        ObjectProcesses(2, functools.partial(dying, store.folder)).run(work(store), 1, reporter)
    ObjectProcesses(2, sent).run(work(store), 1, reporter)
    ObjectProcesses(2, functools.partial(dying, store.folder)).run(work(store), 1, reporter)
    lock = functools.partial(working, store.folder, threading.Lock())
    for key in KEYS:
        (store.folder / "cells" / key / "cell.json").unlink()
    with pytest.raises(RunError, match=r"cannot be sent to them .*leave out workers"):
        ObjectProcesses(2, lock).run(work(store), 1, reporter)
