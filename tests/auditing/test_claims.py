"""Cells are shared out: one process each, and a crash gives back what it had."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from darkroom.auditing import claims as module
from darkroom.auditing.claims import ASKED, GUARDED, Claims
from darkroom.auditing.record import Record
from darkroom.auditing.store import Store
from darkroom.errors import RunError
from darkroom.files import is_leased, leased

HOLDING = """
import sys, time
from pathlib import Path
from darkroom.auditing.claims import Claims
from darkroom.auditing.store import Store

with Claims(Store(Path(sys.argv[1]))).claimed("a1") as mine:
    print(mine, flush=True)
    time.sleep(60)
"""


class Small(Record):
    """A record of little."""

    key: str


@pytest.fixture
def store(tmp_path: Path) -> Store:
    opened = Store(tmp_path / "runs" / "tiny")
    opened.open(resume=False)
    return opened


@pytest.fixture
def holder(store: Store) -> Iterator[subprocess.Popen[str]]:
    """Another process that works on cell a1."""
    command = [sys.executable, "-c", HOLDING, str(store.folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "True\n"
        yield process
        process.kill()


def finish(store: Store, key: str) -> None:
    store.write_cell(key, Small(key=key), {})


def worked(store: Store, keys: list[str], guarded: tuple[str, ...] = ()) -> list[str]:
    """Finishes all cells that are given out."""
    done = []
    with closing(Claims(store).missing(lambda: keys, guarded)) as missing:
        for key in missing:
            finish(store, key)
            done.append(key)
    return done


def test_a_lease_is_one_process_s_until_it_is_given_back(tmp_path: Path) -> None:
    path = tmp_path / "a.lease"
    with leased(path) as first, leased(path) as second:
        assert first is not None
        assert second is None
        assert is_leased(path)
    assert not path.exists()
    with leased(path) as again:
        assert again is not None


def test_who_waits_for_a_lease_never_holds_a_file_that_is_gone(tmp_path: Path) -> None:
    path, held, most = tmp_path / "a.lease", [0], [0]

    def hold() -> None:
        for _ in range(30):
            with leased(path, wait=True):
                held[0] += 1
                most[0] = max(most[0], held[0])
                time.sleep(0.0005)
                held[0] -= 1

    threads = [threading.Thread(target=hold) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1]


def test_a_crash_gives_a_cell_back(store: Store, holder: subprocess.Popen[str]) -> None:
    claims = Claims(store)
    with claims.claimed("a1") as mine:
        assert not mine
    (found,) = claims.holders().values()
    assert found.process == holder.pid
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    assert claims.holders() == {}
    with claims.claimed("a1") as mine:
        assert mine
        assert claims.holders()["a1"].process == os.getpid()
    assert list(claims.folder.iterdir()) == []


def test_each_missing_cell_is_given_out_once(store: Store) -> None:
    finish(store, "b2")
    assert worked(store, ["a1", "b2", "c3"]) == ["a1", "c3"]
    assert worked(store, ["a1", "b2", "c3"]) == []


@pytest.mark.medium
def test_what_another_gives_back_is_taken_up(
    store: Store, holder: subprocess.Popen[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PAUSE", 0.01)
    threading.Timer(0.1, holder.kill).start()
    assert worked(store, ["a1", "b2"]) == ["b2", "a1"]


def test_one_process_asks_a_guard(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAUSE", 0.01)
    begun, release = threading.Event(), threading.Event()

    def asking() -> None:
        with Claims(store).claimed(GUARDED):
            begun.set()
            release.wait(10)
            finish(store, "g1")

    other = threading.Thread(target=asking)
    other.start()
    assert begun.wait(10)
    threading.Timer(0.1, release.set).start()
    assert worked(store, ["g1", "a1", "g2"], ("g1", "g2")) == ["a1", "g2"]
    other.join()


def test_cells_that_the_run_names_no_more_are_left(store: Store) -> None:
    wanted = ["a1", "b2"]
    with closing(Claims(store).missing(lambda: wanted, ())) as missing:
        assert next(missing) == "a1"
        finish(store, "a1")
        wanted.remove("b2")
        assert next(missing) == "b2"  # it was planned in this round
        wanted.clear()
        assert list(missing) == []


def test_what_a_killed_worker_wrote_is_cleared_unless_one_still_writes(store: Store) -> None:
    for key in ("a1", "b2"):
        (store.folder / "cells" / f".partial-{key}").mkdir()
    with Claims(store).claimed("b2"):
        store.open(resume=True)
    left = [path.name for path in (store.folder / "cells").iterdir()]
    assert left == [".partial-b2"]
    finish(store, "b2")
    assert store.has_cell("b2")


def test_claims_that_lead_elsewhere_are_refused(tmp_path: Path) -> None:
    store = Store(tmp_path / "tiny")
    store.open(resume=False)
    (store.folder / "claims").rmdir()
    (store.folder / "claims").symlink_to(tmp_path)
    with pytest.raises(RunError, match="a link to another place"):
        store.open(resume=True)


def test_rows_asked_are_read_where_a_server_is_asked(store: Store) -> None:
    claims = Claims(store)
    assert claims.rows_asked() is None
    (claims.folder / ASKED).write_text('{"rows": 12}')
    assert claims.rows_asked() == 12
