"""Running the cells of a plan, stopping anywhere, and going on."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from tests.support.needs import absent
from tests.support.processes import cpu_seconds

from darkroom import runs
from darkroom.auditing.artefacts import Artefacts
from darkroom.auditing.progress import Reporter
from darkroom.auditing.runner import run_job
from darkroom.auditing.threads import THREADS
from darkroom.errors import RunError
from darkroom.files import MARK
from darkroom.images import cells, judging
from darkroom.images import job as image_job
from darkroom.kinds import load_job
from darkroom.report.results import write_results
from darkroom.runs import work_on
from darkroom.vision import judging as from_photos
from darkroom.vision.priors.spaces import EigenfacePrior, MeanPrior

# Waits for nobody's threads.
ALONE = """
import sys
import torch
from threadpoolctl import threadpool_limits
from darkroom.commands.main import main

torch.set_num_threads(1)
threadpool_limits(1)
main()
"""


OWN_JUDGE = """
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from darkroom.vision.judges.base import Judge


@dataclass(frozen=True)
class Guesser(Judge):
    name: ClassVar[str] = "guesser"

    def fit(self, images, people, *, seed, on_progress=None):
        return lambda images: np.zeros(len(images), np.int64)
"""


def results_of(folder: Path) -> dict[str, Any]:
    """Returns the results of the plan's run, without times."""
    results: dict[str, Any] = json.loads((folder / "runs/tiny/results.json").read_text())
    for cell in results["cells"]:
        assert cell.pop("seconds") >= 0
        cost = cell.pop("cost")
        assert cost is None or cost["microseconds"] > 0
    return results


def run(folder: Path, *, resume: bool = False) -> dict[str, Any]:
    """Runs the plan without writing its page."""
    reporter = Reporter(shown=False)
    made = run_job(load_job(folder / "plan.toml", reporter), resume=resume, reporter=reporter)
    write_results(made)
    return results_of(folder)


def keys_of(folder: Path) -> list[str]:
    path = folder / "plan.toml"
    return load_job(path, Reporter(shown=False)).keys("1")


@pytest.mark.medium
def test_a_run_stopped_between_cells_goes_on_and_ends_the_same(
    plan_folder: Path, finished_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    undisturbed = results_of(finished_folder)
    done: list[str] = []
    real = cells.run_cell

    def stopping(key: str, *arguments: Any) -> Any:
        if done:
            raise KeyboardInterrupt
        done.append(key)
        return real(key, *arguments)

    monkeypatch.setattr(image_job, "run_cell", stopping)
    with pytest.raises(KeyboardInterrupt):
        run(plan_folder)
    folder = plan_folder / "runs" / "tiny" / "cells"
    assert [path.name for path in folder.iterdir()] == done
    kept = (folder / done[0] / "cell.json").read_bytes()

    def counting(key: str, *arguments: Any) -> Any:
        done.append(key)
        return real(key, *arguments)

    monkeypatch.setattr(image_job, "run_cell", counting)
    assert run(plan_folder, resume=True) == undisturbed
    assert done == [cell["key"] for cell in undisturbed["cells"]]
    assert (folder / done[0] / "cell.json").read_bytes() == kept
    assert run(plan_folder, resume=True) == undisturbed
    assert len(done) == 2


@pytest.mark.medium
def test_another_process_joins_a_run_and_it_ends_the_same(
    plan_folder: Path, finished_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("darkroom.auditing.claims.PAUSE", 0.01)
    folder = plan_folder / "runs" / "tiny"
    with pytest.raises(RunError, match="no run was begun there"):
        work_on(folder, progress=False)
    real, begun, joined = cells.run_cell, threading.Event(), threading.Event()
    done: list[tuple[str, str]] = []

    def together(key: str, *arguments: Any) -> Any:
        done.append((threading.current_thread().name, key))
        begun.set()
        if threading.current_thread() is threading.main_thread():
            assert joined.wait(30)
            return real(key, *arguments)
        found = real(key, *arguments)
        joined.set()
        return found

    def join() -> None:
        assert begun.wait(30)
        work_on(folder, progress=False)

    monkeypatch.setattr(image_job, "run_cell", together)
    other = threading.Thread(target=join, name="other")
    other.start()
    run(plan_folder)
    other.join()
    keys = [cell["key"] for cell in results_of(finished_folder)["cells"]]
    assert done == [("MainThread", keys[0]), ("other", keys[1])]
    assert results_of(plan_folder) == results_of(finished_folder)
    monkeypatch.chdir("/")  # paths are the plan's, wherever a worker runs
    work_on(folder, progress=False)
    assert len(done) == 2
    shutil.rmtree(folder / "cells" / keys[1])
    work_on(folder, progress=False)
    assert done[2:] == [("MainThread", keys[1])]


def test_a_plan_that_comes_to_other_cells_is_not_joined(audited_folder: Path) -> None:
    record = audited_folder / "runs" / "tiny" / "run.json"
    said = json.loads(record.read_text())
    record.write_text(json.dumps({**said, "plan": str(audited_folder / "plan.toml")}))
    plan = (audited_folder / "plan.toml").read_text()
    (audited_folder / "plan.toml").write_text(plan.replace("steps = 12", "steps = 13"))
    with pytest.raises(RunError, match="other cells than the plan comes to now"):
        work_on(record.parent, progress=False)
    record.write_text(json.dumps({**said, "plan": None}))
    with pytest.raises(RunError, match="begun in Python"):
        work_on(record.parent, progress=False)


def test_a_worker_waits_for_a_run_to_be_begun_anew_after_a_change_of_the_plan(
    audited_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = audited_folder / "runs" / "tiny"
    said = json.loads((folder / "run.json").read_text())
    said["plan"] = str(audited_folder / "plan.toml")
    (folder / "run.json").write_text(json.dumps(said))
    plan = (audited_folder / "plan.toml").read_text()
    (audited_folder / "plan.toml").write_text(plan.replace("steps = 12", "steps = 13"))
    job = load_job(audited_folder / "plan.toml", Reporter(shown=False))
    keys = job.keys(metadata.version("darkroom"))
    waited: list[float] = []

    def begin(seconds: float) -> None:
        waited.append(seconds)
        (folder / "run.json").write_text(json.dumps({**said, "cells": keys}))

    monkeypatch.setattr("darkroom.runs.time.sleep", begin)
    joined: list[Any] = []
    monkeypatch.setattr(runs, "join_run", lambda job, record, reporter: joined.append(record.cells))
    work_on(folder, wait=60, progress=False)
    assert joined == [tuple(keys)]
    assert len(waited) == 1


@pytest.mark.slow
def test_a_worker_takes_threads_and_cache_from_the_run(
    audited_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = audited_folder / "runs" / "tiny" / "run.json"
    said = json.loads(path.read_text())
    kept = audited_folder / "kept"
    said |= {"plan": str(audited_folder / "plan.toml"), "cache": str(kept)}
    said["run"]["machine"]["threads"] = before = torch.get_num_threads() + 1
    path.write_text(json.dumps(said))
    shutil.rmtree(path.parent / "cells" / said["cells"][0])
    real, taken = cells.run_cell, []

    def counting(*arguments: Any) -> Any:
        taken.append((torch.get_num_threads(), os.environ[THREADS]))
        return real(*arguments)

    monkeypatch.setattr(image_job, "run_cell", counting)
    work_on(path.parent, progress=False)
    assert taken == [(before, str(before))]
    assert torch.get_num_threads() == before - 1
    assert {one.name.partition("-")[0] for one in kept.iterdir()} >= {"judges", "prior"}


@pytest.mark.medium
def test_a_run_that_is_gone_on_with_takes_the_threads_that_it_has(
    plan_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(THREADS, raising=False)
    usual = torch.get_num_threads()

    def threads() -> Any:
        said = json.loads((plan_folder / "runs" / "tiny" / "run.json").read_text())
        return said["run"]["machine"]["threads"]

    run(plan_folder)
    assert threads() == usual
    path = plan_folder / "runs" / "tiny" / "run.json"
    said = json.loads(path.read_text())
    said["run"]["machine"]["threads"] = usual + 1
    path.write_text(json.dumps(said))
    run(plan_folder, resume=True)
    assert threads() == usual + 1
    monkeypatch.setenv(THREADS, "3")
    run(plan_folder, resume=True)
    assert threads() == 3


@pytest.mark.medium
def test_a_judge_of_one_s_own_leaves_the_others_to_be_kept_and_is_trained_by_everybody(
    plan_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (plan_folder / "own_judge.py").write_text(OWN_JUDGE)
    path = plan_folder / "plan.toml"
    extra = '[judges]\nextra = [{load = "own_judge:Guesser"}]'
    path.write_text(path.read_text().replace("[judges]", extra))
    shelf: list[tuple[str, bool]] = []
    real = Artefacts.made

    def noting(self: Artefacts, name: str, *rest: Any, waits: bool = True) -> Any:
        shelf.append((name, waits))
        return real(self, name, *rest, waits=waits)

    monkeypatch.setattr(Artefacts, "made", noting)
    first = run(plan_folder)
    assert [waits for name, waits in shelf if name == "judge"] == [True, True, True, False]
    names = [one.name for one in (plan_folder / "runs" / "tiny" / "artefacts").iterdir()]
    assert len([name for name in names if name.startswith("judge-")]) == 3
    assert not [name for name in names if name.startswith("judges-")]
    assert run(plan_folder, resume=True) == first


@pytest.mark.medium
def test_after_a_change_of_one_attack_nothing_is_made_again(
    plan_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(plan_folder)
    cell = (plan_folder / "plan.toml").read_text().replace("steps = 12", "steps = 11", 1)
    (plan_folder / "plan.toml").write_text(cell)

    def again(*arguments: Any, **options: Any) -> Any:
        raise AssertionError("made again")

    for made in ("fit_space", "judge_accuracy", "false_positive_rates"):
        monkeypatch.setattr(judging, made, again)
    for made in ("_people", "draws"):
        monkeypatch.setattr(from_photos, made, again)
    for prior in (EigenfacePrior, MeanPrior):
        monkeypatch.setattr(prior, "fit", again)
    changed = run(plan_folder, resume=True)
    shutil.rmtree(plan_folder / "runs")
    monkeypatch.undo()
    monkeypatch.chdir(plan_folder)
    assert run(plan_folder) == changed


@pytest.mark.medium
def test_a_cache_serves_other_runs_and_holds_nothing_of_the_model(
    plan_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reporter = Reporter(shown=False)
    for name in ("tiny", "other"):
        plan = (plan_folder / "plan.toml").read_text()
        (plan_folder / "plan.toml").write_text(plan.replace('"tiny"', f'"{name}"'))
        job = load_job(plan_folder / "plan.toml", reporter, cache=Path("kept"))
        run_job(job, resume=False, reporter=reporter)
        monkeypatch.setattr(from_photos, "_people", None)
    names = {path.name.rpartition("-")[0] for path in Path("kept").iterdir()}
    assert names == {"judges", "space", "guesses", "prior-mean", "prior-eigenfaces"}
    own = {path.name.rpartition("-")[0] for path in Path("runs/other/artefacts").iterdir()}
    assert own == {"errors"}


@pytest.mark.slow
def test_two_workers_end_the_same(plan_folder: Path, finished_folder: Path) -> None:
    assert _start(plan_folder, "--workers", "2").wait() == 0
    assert results_of(plan_folder) == results_of(finished_folder)


def test_cells_and_their_pictures_belong_together(finished_folder: Path) -> None:
    for cell in results_of(finished_folder)["cells"]:
        folder = finished_folder / "runs" / "tiny" / "cells" / cell["key"]
        with np.load(folder / "reconstructions.npz", allow_pickle=False) as arrays:
            assert arrays["images"].shape == (6, 1, 16, 16)
            assert arrays["images"].dtype == np.float32
            assert arrays["goals"].tolist() == list(range(6))
            assert arrays["goals"].dtype == np.int64
            assert len(arrays["snapshots"]) == len(cell["details"]["snapshots"])
        people = cell["details"]["people"]
        assert [person["goal"] for person in people] == list(range(6))
        hits = sum(person["success"] for person in people)
        assert cell["success"]["estimate"] == pytest.approx(hits / 6)
        assert cell["curve"][-1]["success"] == pytest.approx(hits / 6)
        asked = [point["queries"] for point in cell["curve"]]
        assert asked == sorted(set(asked))
        spent = [person["queries"] for person in people]
        assert asked[-1] == max(spent)
        assert cell["queries"]["per_goal_median"] == np.median(spent)
        assert cell["queries"]["total"] == sum(person["queries"] for person in people)
        # Ranks among few strangers are coarse; people dealt out by lot are another, finer test.
        assert all(0 < person["p_value"] <= 1 for person in people)
        assert all(0 < person["p_adjusted"] <= 1 for person in people)


@pytest.mark.medium
def test_another_plan_with_the_same_name_keeps_the_cells_it_shares(audited_folder: Path) -> None:
    first = results_of(audited_folder)
    plan = (audited_folder / "plan.toml").read_text()
    (audited_folder / "plan.toml").write_text(plan.replace('prior = "eigenfaces"', "probes = 0"))
    second = run(audited_folder, resume=True)
    assert second["cells"][0] == first["cells"][0]
    assert second["cells"][1]["key"] != first["cells"][1]["key"]
    (audited_folder / "plan.toml").write_text(plan)
    assert run(audited_folder, resume=True) == first


def test_another_plan_of_another_model_is_kept_apart(audited_folder: Path) -> None:
    first = (audited_folder / "runs/tiny/run.json").read_bytes()
    with np.load("people.npz") as arrays:
        np.savez("other.npz", images=arrays["images"] * 0.999)
    plan = (audited_folder / "plan.toml").read_text()
    (audited_folder / "plan.toml").write_text(plan.replace("people.npz", "other.npz"))
    with pytest.raises(RunError, match=r"another plan and another model or other data"):
        run(audited_folder, resume=True)
    assert (audited_folder / "runs/tiny/run.json").read_bytes() == first


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("[run]", "[run]\nseed = 1"),
        ("[judges]\nsteps = 8", "[judges]\nsteps = 9"),
        ("steps = 12", "steps = 13"),
        ("steps = 12", "steps = 12\nbudget = 50"),
        ("steps = 12", 'steps = 12\nloss = "cross-entropy"'),
        ('prior = "eigenfaces"', 'prior = {name = "eigenfaces", components = 9}'),
        ('"0:4"', '"0:3"'),
        ('images = "strangers.npz"', 'images = "strangers.npz"\npeople = "0:9"'),
        ("weights.safetensors", "other.safetensors"),
        ("people.npz", "other.npz"),
    ],
)
def test_a_key_follows_whatever_decides_the_cell(
    plan_folder: Path, weights: dict[str, torch.Tensor], old: str, new: str
) -> None:
    save_file({key: value * 1.001 for key, value in weights.items()}, "other.safetensors")
    with np.load("people.npz") as arrays:
        np.savez("other.npz", images=arrays["images"] * 0.999)
    before = keys_of(plan_folder)
    assert keys_of(plan_folder) == before
    assert len(set(before)) == 2
    text = (plan_folder / "plan.toml").read_text()
    (plan_folder / "plan.toml").write_text(text.replace(old, new))
    assert keys_of(plan_folder)[1] != before[1]


@pytest.mark.parametrize(
    ("old", "new"), [('name = "tiny"', 'name = "big"'), ("0.05", "0.5"), ("[run]", "# note\n[run]")]
)
def test_a_key_does_not_follow_what_changes_nothing(plan_folder: Path, old: str, new: str) -> None:
    before = keys_of(plan_folder)
    text = (plan_folder / "plan.toml").read_text()
    (plan_folder / "plan.toml").write_text(text.replace(old, new))
    assert keys_of(plan_folder) == before


@pytest.fixture
def small_disk(plan_folder: Path) -> Iterator[Path]:
    """The folder of runs on a file system of 64 kilobytes, where the tests may mount one."""
    disk = plan_folder / "runs"
    disk.mkdir()
    mount = shutil.which("mount")
    command = [str(mount), "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)]
    if mount is None or subprocess.run(command, capture_output=True, check=False).returncode:
        absent("mounting needs privileges: run the tests as root")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


@pytest.mark.medium
def test_a_full_disk_stops_a_run_that_ends_the_same_when_there_is_room(
    plan_folder: Path, finished_folder: Path, small_disk: Path
) -> None:
    (small_disk / "in-the-way").write_bytes(bytes(28 << 10))
    with pytest.raises(RunError, match="No space left on device") as caught:
        run(plan_folder)
    assert "\n" not in str(caught.value)
    finished = [path.parent for path in small_disk.glob("tiny/cells/*/cell.json")]
    assert all((cell / "reconstructions.npz").exists() for cell in finished)
    left = {path.name for path in small_disk.glob("tiny/**/*") if path.is_file()}
    known = {"plan.toml", "run.json", "cell.json", "reconstructions.npz", "results.json"}
    assert left <= known | {MARK}
    (small_disk / "in-the-way").unlink()
    subprocess.run(["mount", "-o", "remount,size=64m", str(small_disk)], check=True)
    assert run(plan_folder, resume=True) == results_of(finished_folder)


def _start(folder: Path, *arguments: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", ALONE, "audit", "plan.toml", *arguments]
    nowhere = subprocess.DEVNULL
    return subprocess.Popen(command, cwd=folder, stdout=nowhere, stderr=nowhere)


@pytest.mark.slow
def test_killed_at_ten_moments_and_resumed_a_run_ends_the_same(plan_folder: Path) -> None:
    plan = (plan_folder / "plan.toml").read_text()
    more = "".join(f'[[attack]]\nname = "gradient"\nsteps = {steps}\n\n' for steps in range(1, 9))
    (plan_folder / "plan.toml").write_text(plan.replace("[limit]", f"{more}[limit]"))
    before = os.times()
    assert _start(plan_folder).wait() == 0
    after = os.times()
    whole = sum(after[2:4]) - sum(before[2:4])  # seconds that it worked
    undisturbed = results_of(plan_folder)
    assert len(undisturbed["cells"]) == 10
    shutil.rmtree(plan_folder / "runs")

    rng = np.random.default_rng(0)
    delays: NDArray[np.float64] = whole * (np.arange(10) + rng.random(10)) / 10
    killed = 0
    for delay in rng.permutation(delays):
        audit = _start(plan_folder, "--resume")
        while audit.poll() is None and cpu_seconds(audit.pid) < delay:
            time.sleep(0.005)
        audit.kill()
        killed += audit.wait() == -signal.SIGKILL
        if (plan_folder / "runs/tiny/results.json").exists():
            shutil.rmtree(plan_folder / "runs")
    assert killed >= 5
    assert _start(plan_folder, "--resume").wait() == 0
    assert results_of(plan_folder) == undisturbed
    left = {path.name for path in (plan_folder / "runs").rglob("*") if path.name.startswith(".")}
    assert left == {MARK}
