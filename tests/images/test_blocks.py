"""People attacked in blocks: by any process, kept, and judged as if it had been one search."""

from __future__ import annotations

import multiprocessing
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.auditing.test_runner import results_of, run
from tests.same.decided import differences
from tests.support.blocks import interrupted_in_second, noted

from darkroom.auditing.blocks import Blocks, discard, sweep
from darkroom.auditing.job import Session
from darkroom.auditing.progress import Reporter
from darkroom.auditing.runner import join_run
from darkroom.auditing.store import Store
from darkroom.files import leased
from darkroom.images import job as image_job
from darkroom.images.course import is_cut
from darkroom.images.job import ImageJob
from darkroom.kinds import load_job

EVERY = """
[[attack]]
name = "mi-face"
steps = 30

[[attack]]
name = "evolution"
rows = 90
population = 8

[[attack]]
name = "finite-difference"
rows = 90

[[attack]]
name = "auto"
access = "scores"
rows = 60
"""

SHARED = """
[[attack]]
name = "evolution"

[[attack]]
name = "distillation"
shared = 30
rows = 60

[[attack]]
name = "policy"
rows = 20

[[defense]]
name = "noise"
deviation = 0.05

[[defense]]
name = "rounding"
decimals = 2
"""


def cut(folder: Path, size: int = 2, more: str = "") -> None:
    """Has the plan's people attacked in blocks."""
    plan = folder / "plan.toml"
    text = plan.read_text().replace("[run]\n", f"[run]\nblock = {size}\n", 1)
    plan.write_text(text + more)


def job_of(folder: Path) -> ImageJob:
    job = load_job(folder / "plan.toml", Reporter(shown=False))
    assert isinstance(job, ImageJob)
    return job


@pytest.fixture
def attacked(monkeypatch: pytest.MonkeyPatch) -> list[range]:
    """Which blocks are attacked."""
    return noted(monkeypatch, image_job)


def same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Tells whether results are the same but for the last bits, which hang on rows at once."""
    return not [*differences(one, other)]


def images_of(folder: Path) -> dict[str, Any]:
    found = {}
    for path in sorted((folder / "runs/tiny/cells").glob("*/reconstructions.npz")):
        with np.load(path) as arrays:
            found[path.parent.name] = {name: arrays[name] for name in arrays.files}
    return found


@pytest.mark.medium
def test_results_are_those_of_people_attacked_at_once(
    plan_folder: Path, attacked: list[range]
) -> None:
    cut(plan_folder, 99, EVERY)
    whole, shown = run(plan_folder), images_of(plan_folder)
    assert not attacked
    assert len(whole["cells"]) == 6
    shutil.rmtree(plan_folder / "runs")
    plan = plan_folder / "plan.toml"
    plan.write_text(plan.read_text().replace("block = 99", "block = 4"))
    assert same(run(plan_folder), whole)
    assert attacked == [range(3), range(3, 6)] * len(whole["cells"])
    for key, arrays in images_of(plan_folder).items():
        for name, array in arrays.items():
            np.testing.assert_allclose(array.astype(float), shown[key][name], atol=1)
        np.testing.assert_allclose(arrays["images"], shown[key]["images"], atol=1e-4)
    assert not [*(plan_folder / "runs/tiny/blocks").iterdir()]  # nothing is kept twice


@pytest.mark.medium
def test_who_shares_rows_or_meets_noise_is_attacked_whole(plan_folder: Path) -> None:
    cut(plan_folder, 1, SHARED)
    job = job_of(plan_folder)
    size = job.plan.run.block
    found = [
        (cell.attack.name, cell.defense.name)
        for _, cell in job.planned
        if is_cut(cell, job.subject, size)
    ]
    assert found == [
        *[("gradient", "none")] * 2,
        *[("evolution", "none"), ("evolution", "rounding(decimals=2)")],
    ]
    assert {cell.attack.name for _, cell in job.planned} >= {"distillation", "policy"}


@pytest.mark.medium
def test_a_large_cell_that_was_interrupted_keeps_its_blocks(
    plan_folder: Path, finished_folder: Path, attacked: list[range]
) -> None:
    cut(plan_folder)
    with pytest.MonkeyPatch.context() as patch:
        interrupted_in_second(patch, image_job, attacked)
        with pytest.raises(KeyboardInterrupt):
            run(plan_folder)
    kept = [path.name.partition(".")[2] for path in (plan_folder / "runs/tiny/blocks").iterdir()]
    assert sorted(one for one in kept if one.endswith(".npz")) == ["0-2.npz"]
    attacked.clear()
    assert same(run(plan_folder, resume=True), results_of(finished_folder))
    assert attacked == [range(2, 4), range(4, 6), range(2), range(2, 4), range(4, 6)]


@pytest.mark.medium
def test_blocks_of_cells_that_are_wanted_no_more_are_removed(plan_folder: Path) -> None:
    cut(plan_folder)
    folder = plan_folder / "runs" / "tiny"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(image_job, "run_cell", interrupted)
        with pytest.raises(KeyboardInterrupt):
            run(plan_folder)
    assert len([*(folder / "blocks").glob("*.npz")]) == 3
    plan = plan_folder / "plan.toml"
    plan.write_text(plan.read_text().replace("steps = 12", "steps = 11"))
    run(plan_folder, resume=True)
    assert not [*(folder / "blocks").glob("*.npz")]


def interrupted(*arguments: Any) -> None:
    raise KeyboardInterrupt


def test_a_block_that_another_process_makes_is_left_to_it(tmp_path: Path) -> None:
    blocks = Blocks.cut(tmp_path, "a1", 10, 4)
    assert blocks.ranges == [range(3), range(3, 6), range(6, 10)]
    made: list[range] = []

    def make(people: range) -> Iterator[dict[str, Any]]:
        assert not blocks.make(0, make)  # somebody else at this moment
        made.append(people)
        yield {"first": np.arange(3)}
        yield {"first": np.arange(4), "second": np.zeros(2)}

    assert blocks.make(0, make)
    assert not blocks.make(0, make)
    assert made == [range(3)]
    first, second = blocks.read(0)
    assert first["first"].tolist() == [0, 1, 2]
    assert [*second] == ["first", "second"]


def test_blocks_of_a_cell_that_is_written_are_not_made_again(tmp_path: Path) -> None:
    blocks = Blocks.cut(tmp_path, "a1", 4, 2)
    cell = tmp_path / "cells" / "a1"
    cell.mkdir(parents=True)
    for name in ("cell.json", "reconstructions.npz"):
        (cell / name).touch()

    def make(people: range) -> Iterator[dict[str, Any]]:
        raise AssertionError(people)

    assert not blocks.make(0, make)
    assert not [*(tmp_path / "blocks").iterdir()]


def test_blocks_of_a_cell_that_lost_a_file_are_made(tmp_path: Path) -> None:
    blocks = Blocks.cut(tmp_path, "a1", 4, 2)
    (tmp_path / "cells" / "a1").mkdir(parents=True)
    (tmp_path / "cells" / "a1" / "cell.json").touch()
    assert blocks.make(0, lambda people: [{"first": np.zeros(people.stop)}])


def test_a_damaged_block_is_made_again(tmp_path: Path) -> None:
    blocks = Blocks.cut(tmp_path, "a1", 4, 2)
    assert blocks.make(0, lambda people: [{"first": np.zeros(people.stop)}])
    blocks.files[0].write_bytes(b"")
    assert not blocks.made(0)
    assert blocks.make(0, lambda people: [{"first": np.ones(people.stop)}])
    assert [one["first"].tolist() for one in blocks.read(0)] == [[1, 1]]


def test_what_killed_processes_left_is_swept_and_what_others_make_is_not(tmp_path: Path) -> None:
    blocks = Blocks.cut(tmp_path, "a1", 6, 2)
    for number in range(3):
        blocks.make(number, lambda people: [{"first": np.zeros(people.stop)}])
    folder = tmp_path / "blocks"
    for name in ("a1.0-5.partial", "b2.0-3.npz", "b2.0-3.lease", "c3.0-3.partial"):
        (folder / name).touch()
    with leased(folder / "c3.0-3.lease"):
        sweep(tmp_path, blocks.files[:2])
        left = sorted(path.name for path in folder.iterdir())
    assert left == ["a1.0-2.npz", "a1.2-4.npz", "c3.0-3.lease", "c3.0-3.partial"]
    discard(tmp_path, "a1")
    assert [path.name for path in folder.iterdir()] == ["c3.0-3.partial"]


@pytest.mark.medium
def test_a_run_waits_for_blocks_that_others_make_and_makes_them_if_these_fail(
    plan_folder: Path, monkeypatch: pytest.MonkeyPatch, attacked: list[range]
) -> None:
    monkeypatch.setattr("darkroom.auditing.job.PAUSE", 0.01)
    cut(plan_folder, 3)
    job = job_of(plan_folder)
    keys = job.keys("1")
    blocks = job.blocks(keys[0], job.planned[0][1])
    assert blocks is not None
    blocks.folder.mkdir(parents=True)
    begun, ended = threading.Event(), threading.Event()

    def holding() -> None:
        with leased(blocks.files[1].with_suffix(".lease")):
            begun.set()
            ended.wait(60)

    other = threading.Thread(target=holding)
    other.start()
    begun.wait(60)
    threading.Timer(0.3, ended.set).start()
    Session(job, keys, Reporter(shown=False)).run(keys[0])
    other.join()
    assert attacked == [range(3), range(3, 6)]


def test_a_block_that_fails_leaves_nothing(tmp_path: Path) -> None:
    blocks = Blocks.cut(tmp_path, "a1", 4, 2)

    def failing(people: range) -> Iterator[dict[str, Any]]:
        yield {"first": np.zeros(people.stop)}
        raise ValueError("the model fails")

    for _ in range(2):
        with pytest.raises(ValueError, match="the model fails"):
            blocks.make(1, failing)
    assert not [*(tmp_path / "blocks").iterdir()]


@pytest.mark.medium
def test_a_worker_without_a_cell_takes_blocks_of_another_s(
    plan_folder: Path, attacked: list[range]
) -> None:
    cut(plan_folder)
    job = job_of(plan_folder)
    keys = job.keys("1")
    assisting = Session(job, keys, Reporter(shown=False))
    assert [assisting.assist(keys[0]) for _ in range(4)] == [True, True, True, False]
    assert attacked == [range(2), range(2, 4), range(4, 6)]
    Session(job, keys, Reporter(shown=False)).run(keys[0])
    assert len(attacked) == 3


@pytest.mark.medium
def test_two_processes_share_the_blocks_of_one_cell(
    plan_folder: Path, finished_folder: Path
) -> None:
    cut(plan_folder, 1)
    store = Store(plan_folder / "runs" / "tiny")
    context = multiprocessing.get_context("spawn")
    joined = context.Process(target=join, args=(plan_folder,))
    joined.start()
    found = run(plan_folder)
    joined.join(timeout=120)
    assert joined.exitcode == 0
    assert same(found, results_of(finished_folder))
    assert store.record() is not None


def join(folder: Path) -> None:
    """Works on a run once it has begun, in another process."""
    import os
    import time

    os.chdir(folder)
    store = Store(folder / "runs" / "tiny")
    for _ in range(2000):
        record = store.record()
        if record is not None:
            join_run(job_of(folder), record, Reporter(shown=False))
            return
        time.sleep(0.01)
    raise AssertionError("no run began")
