"""A run on disk: whole or not at all, and nobody else's business."""

from __future__ import annotations

import contextlib
import json
import math
import os
import resource
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError
from tests.support.needs import absent

from darkroom.auditing.record import Record
from darkroom.auditing.store import Store
from darkroom.errors import RunError

ARRAYS = {"images": np.arange(6.0).reshape(2, 3), "goals": np.array([0, 1])}


class Small(Record):
    """A record of little."""

    key: str
    seconds: float


def cell(key: str) -> Record:
    return Small(key=key, seconds=1.5)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def files(folder: Path) -> dict[str, bytes]:
    found = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    opened = Store(tmp_path / "runs" / "tiny")
    opened.open(resume=False)
    return opened


def test_everything_is_for_its_owner_alone(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        store = Store(tmp_path / "runs" / "tiny")
        store.open(resume=False)
        store.write("run.json", "{}")
        store.write_cell("a1", cell("a1"), {**ARRAYS})
    finally:
        os.umask(before)
    for path in [store.folder, *store.folder.rglob("*")]:
        assert mode(path) == (0o700 if path.is_dir() else 0o600), path


def test_a_cell_is_what_was_written(store: Store) -> None:
    assert not store.has_cell("a1")
    store.write_cell("a1", cell("a1"), {**ARRAYS})
    assert store.has_cell("a1")
    folder = store.folder / "cells" / "a1"
    assert json.loads((folder / "cell.json").read_text()) == {"key": "a1", "seconds": 1.5}
    with np.load(folder / "reconstructions.npz", allow_pickle=False) as archive:
        assert sorted(archive.files) == ["goals", "images"]
        np.testing.assert_array_equal(archive["images"], ARRAYS["images"])
    assert sorted(path.name for path in folder.iterdir()) == ["cell.json", "reconstructions.npz"]


def test_a_run_is_not_written_over(store: Store) -> None:
    store.write("run.json", "{}")
    with pytest.raises(RunError, match="a run is there already: go on with --resume"):
        Store(store.folder).open(resume=False)
    Store(store.folder).open(resume=True)
    assert (store.folder / "run.json").read_text() == "{}"


def test_a_run_stopped_before_it_had_a_name_is_begun_again(store: Store) -> None:
    store.write("plan.toml", "")
    Store(store.folder).open(resume=False)


@pytest.mark.parametrize("failing", ["reconstructions.npz", "rename"])
def test_a_cell_that_fails_half_way_is_not_there(
    store: Store, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    store.write_cell("a1", cell("a1"), {**ARRAYS})
    before = files(store.folder)
    replace = Path.replace

    def full(path: Path, target: Path) -> Path:
        if (failing == "rename") == path.is_dir() and Path(target).name != "cell.json":
            raise OSError(28, "No space left on device")
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(RunError, match=r"No space left on device.*--resume") as caught:
        store.write_cell("b2", cell("b2"), {**ARRAYS})
    assert "\n" not in str(caught.value)
    monkeypatch.undo()
    assert not store.has_cell("b2")
    assert files(store.folder) == before
    assert [path.name for path in (store.folder / "cells").iterdir()] == ["a1"]
    store.write_cell("b2", cell("b2"), {**ARRAYS})
    assert store.has_cell("b2")


def test_what_a_killed_run_left_half_done_is_cleared_away(store: Store) -> None:
    store.write("run.json", "{}")
    store.write_cell("a1", cell("a1"), {**ARRAYS})
    before = files(store.folder)
    partial = store.folder / "cells" / ".partial-b2"
    partial.mkdir()
    (partial / "cell.json").write_text("{")
    (store.folder / ".darkroom-run.json-x8k2.partial").write_text("{")
    assert not store.has_cell("b2")
    Store(store.folder).open(resume=True)
    assert files(store.folder) == before
    assert not partial.exists()


def test_a_folder_that_is_no_run_is_left_as_it_is(tmp_path: Path) -> None:
    for name in (".env.local", ".gitlab-ci.yml", ".run.json.x8k2", "notes"):
        (tmp_path / name).write_text("mine")
    tmp_path.chmod(0o755)
    before = files(tmp_path)
    with pytest.raises(RunError, match=r"not empty, and nothing that Darkroom made") as caught:
        Store(tmp_path).open(resume=True)
    assert "\n" not in str(caught.value)
    assert files(tmp_path) == before
    assert mode(tmp_path) == 0o755


def test_only_what_has_our_names_is_cleared_away(store: Store) -> None:
    kept = [store.folder / name for name in (".env.local", ".plan.toml.swp", "notes")]
    for path in kept:
        path.write_text("mine")
    Store(store.folder).open(resume=True)
    assert all(path.read_text() == "mine" for path in kept)


@pytest.mark.parametrize("place", [".", "cells", "cells/.partial-b2", ".darkroom-x.partial"])
def test_nothing_is_cleared_through_a_link(store: Store, tmp_path: Path, place: str) -> None:
    mine = tmp_path / "mine"
    (mine / ".partial-b2").mkdir(parents=True)
    (mine / ".darkroom").write_text("")
    (mine / "a.txt").write_text("mine")
    mine.chmod(0o755)
    before = files(mine)
    link = store.folder / place
    if place == ".":
        link = tmp_path / "link"
    elif link.exists():
        link.rmdir()
    link.symlink_to(mine)
    with contextlib.suppress(RunError):
        Store(link if place == "." else store.folder).open(resume=True)
    assert files(mine) == before
    assert (mine / ".partial-b2").is_dir()
    assert mode(mine) == 0o755


def test_a_run_of_an_audit_at_work_is_nobody_elses(store: Store) -> None:
    other = Store(store.folder)
    with (
        store.held(),
        pytest.raises(RunError, match="another audit is writing there"),
        other.held(),
    ):
        pass
    with store.held():
        pass


def test_a_record_that_cannot_be_read_again_is_not_written(store: Store) -> None:
    with pytest.raises(ValidationError):
        store.write_cell("a1", Small.model_construct(key="a1", seconds=math.inf), {**ARRAYS})
    assert not store.has_cell("a1")
    assert not list((store.folder / "cells").iterdir())


@pytest.mark.parametrize("lost", ["cell.json", "reconstructions.npz"])
def test_a_cell_of_which_a_file_was_deleted_is_made_again(store: Store, lost: str) -> None:
    """An error about a damaged file says: delete it and go on with --resume."""
    store.write_cell("a1", cell("a1"), {**ARRAYS})
    before = files(store.folder)
    (store.folder / "cells" / "a1" / lost).unlink()
    Store(store.folder).open(resume=True)
    assert not store.has_cell("a1")
    store.write_cell("a1", cell("a1"), {**ARRAYS})
    assert sorted(files(store.folder)) == sorted(before)


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("a file")
    with pytest.raises(RunError, match=r"runs/tiny: .*choose another \[run\] out"):
        Store(tmp_path / "runs" / "tiny").open(resume=False)


FILL = """
import resource, sys
from pathlib import Path
import numpy as np
from darkroom.auditing.record import Record
from darkroom.auditing.store import Store
from darkroom.errors import RunError

store = Store(Path(sys.argv[1]))
store.open(resume=True)
if sys.argv[2] != "0":
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))
noise = np.random.default_rng(0).random(30_000)
try:
    store.write_cell("b2", Record(), {"images": noise})
except RunError as error:
    print(error)
    sys.exit(2)
"""


def fill(folder: Path, limit: int) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", FILL, str(folder), str(limit)]
    # Whoever measures coverage would have files of its own written there.
    environment = {name: value for name, value in os.environ.items() if "COV" not in name}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


@pytest.mark.medium
def test_a_file_larger_than_allowed_is_an_error_of_one_line(store: Store) -> None:
    store.write_cell("a1", cell("a1"), {**ARRAYS})
    before = files(store.folder)
    assert resource.RLIM_INFINITY in resource.getrlimit(resource.RLIMIT_FSIZE)
    refused = fill(store.folder, 20_000)
    assert (refused.returncode, refused.stderr) == (2, "")
    assert len(refused.stdout.splitlines()) == 1
    assert "File too large" in refused.stdout
    assert files(store.folder) == before
    assert not (store.folder / "cells" / ".partial-b2").exists()
    assert fill(store.folder, 0).returncode == 0
    assert store.has_cell("b2")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 kilobytes, where the tests may mount one."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = shutil.which("mount")
    command = [str(mount), "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)]
    if mount is None or subprocess.run(command, capture_output=True, check=False).returncode:
        absent("mounting needs privileges: run the tests as root")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def test_a_full_disk_is_an_error_of_one_line(small_disk: Path) -> None:
    store = Store(small_disk / "tiny")
    store.open(resume=False)
    store.write_cell("a1", cell("a1"), {**ARRAYS})
    before = files(store.folder)
    noise = np.random.default_rng(0).random(30_000)
    with pytest.raises(RunError, match="No space left on device") as caught:
        store.write_cell("b2", cell("b2"), {"images": noise})
    assert "\n" not in str(caught.value)
    with pytest.raises(RunError, match="No space left on device"):
        store.write("plan.toml", "#" * 100_000)
    assert files(store.folder) == before
    assert [path.name for path in (store.folder / "cells").iterdir()] == ["a1"]
    store.write_cell("b2", cell("b2"), {**ARRAYS})
    assert store.has_cell("b2")
