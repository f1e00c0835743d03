"""Records asked about in blocks: by any process, kept, and judged as if it had been one attack."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.support.blocks import interrupted_in_second, noted
from tests.tables.test_job import MODEL, PLAN, PRIVATE, people

from darkroom.auditing.job import Session
from darkroom.auditing.progress import Reporter
from darkroom.kinds import load_job
from darkroom.runs import audit_plan
from darkroom.tables import job as table_job
from darkroom.tables.attacks.errors import Errors
from darkroom.tables.course import is_cut
from darkroom.tables.job import TableJob
from darkroom.tables.targets.sklearn import SklearnTableTarget

EVERY = """
[[attack]]
name = "tree-confusion"
prior = "marginals"

[[attack]]
name = "csmia"
prior = "marginals"

[[attack]]
name = "lomia"
prior = "marginals"
model = "logistic"

[[attack]]
name = "score-map"
prior = "marginals"
budget = 1

[[attack]]
name = "auto"
prior = "marginals"

[[defense]]
name = "rounding"
decimals = 1
"""
NOISE = """
[[defense]]
name = "noise"
deviation = 0.05
"""
DRAWN = EVERY.replace("budget = 1", "draws = 2\nbudget = 3").replace(
    '"lomia"', '"lomia"\ndraws = 2'
)
"""Of unknown columns some values are drawn; and a budget ends between two draws."""

CUT = (*["none"] * 7, *["rounding(decimals=1)"] * 6)
"""Defences of the cells that are cut: what is drawn would be drawn otherwise."""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    people().to_csv(tmp_path / "people.csv", index=False)
    (tmp_path / "own_people_model.py").write_text(MODEL)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "own_people_model", raising=False)
    return tmp_path


def written(folder: Path, size: int, more: str = "", private: str = "") -> Path:
    """Writes a plan whose records are asked about in blocks."""
    text = PLAN.replace("[run]\n", f"[run]\nblock = {size}\n").replace(
        "[private]\n", f"[private]\n{private}"
    )
    (folder / "plan.toml").write_text(text + more)
    return folder / "plan.toml"


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[range]:
    """Which blocks are asked about."""
    return noted(monkeypatch, table_job)


def results(plan: Path, **options: Any) -> dict[str, Any]:
    """Audits, and returns what hangs neither on the time nor on the size of blocks."""
    found = audit_plan(plan, progress=False, **options).results
    return {"cells": [{**cell, "seconds": 0} for cell in found["cells"]]}


def arrays_of(folder: Path) -> dict[str, Any]:
    found = {}
    for path in sorted((folder / "runs/people/cells").glob("*/reconstructions.npz")):
        with np.load(path) as arrays:
            found[path.parent.name] = {name: arrays[name] for name in arrays.files}
    return found


@pytest.mark.medium
@pytest.mark.parametrize(
    ("private", "more"),
    [
        ("", EVERY),
        ('knows = "prediction"\nunknown = ["city"]\n', EVERY),
        ('unknown = ["city"]\n', DRAWN),
    ],
    ids=["response", "prediction", "draws and a budget"],
)
def test_results_are_those_of_records_asked_about_at_once(
    folder: Path, asked: list[range], private: str, more: str
) -> None:
    whole, shown = results(written(folder, 1000, more, private)), arrays_of(folder)
    assert not asked
    shutil.rmtree(folder / "runs")
    assert results(written(folder, 70, more, private)) == whole
    blocks = [range(60), range(60, 120), range(120, 180)]  # members alone, and others alone
    assert asked == blocks * len(CUT)
    assert arrays_of(folder).keys() == shown.keys()
    for key, arrays in arrays_of(folder).items():
        for name, array in arrays.items():
            np.testing.assert_array_equal(array, shown[key][name])
    assert not [*(folder / "runs/people/blocks").iterdir()]  # nothing is kept twice


@pytest.mark.medium
def test_a_block_may_hold_members_and_others(folder: Path, asked: list[range]) -> None:
    whole = results(written(folder, 1000))
    shutil.rmtree(folder / "runs")
    assert results(written(folder, 90)) == whole
    assert asked == [range(90), range(90, PRIVATE)] * 2


@pytest.mark.medium
def test_numbers_are_found_in_blocks_too(folder: Path, asked: list[range]) -> None:
    def swapped(size: int) -> Path:
        plan = written(folder, size)
        plan.write_text(
            plan.read_text()
            .replace('sensitive = "secret"', 'sensitive = "age"')
            .replace('given = ["age"]', 'given = ["city"]')
        )
        return plan

    whole = results(swapped(1000))
    shutil.rmtree(folder / "runs")
    assert results(swapped(50)) == whole
    assert len(asked) == 8


@pytest.mark.medium
def test_a_model_is_asked_once_for_what_the_attacker_knows(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows: list[int] = []
    asking = SklearnTableTarget.predict

    def counting(self: SklearnTableTarget, table: Any) -> Any:
        rows.append(len(table))
        return asking(self, table)

    monkeypatch.setattr(SklearnTableTarget, "predict", counting)
    found = []
    for size in (1000, 70):
        rows.clear()
        results(written(folder, size, private='knows = "prediction"\n'))
        shutil.rmtree(folder / "runs")
        assert min(rows) > 0
        found.append(sum(rows))
    assert found[0] == found[1]


@pytest.mark.medium
def test_errors_of_the_model_are_measured_once_for_all_processes(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = load_job(written(folder, 60), Reporter(shown=False))
    keys, made = job.keys("1"), []
    measure = Errors.of

    def noting(*arguments: Any) -> Errors:
        made.append(len(arguments[0]))
        return measure(*arguments)

    monkeypatch.setattr(Errors, "of", noting)
    for number in range(3):
        Session(job, keys, Reporter(shown=False)).make_block(keys[0], number)
    Session(job, keys, Reporter(shown=False)).run(keys[0])
    assert made == [120]


@pytest.mark.medium
def test_what_is_learned_from_all_answers_is_not_cut(folder: Path) -> None:
    learned = '\n[[defense]]\nchain = [{name = "purify"}, {name = "rounding"}]\n'
    job = load_job(written(folder, 1, learned), Reporter(shown=False))
    cut = {cell.defense.name: is_cut(cell, job.subject, 1) for _, cell in job.planned}
    assert len(cut) == 2
    assert cut.pop("none")
    assert not any(cut.values())


@pytest.mark.medium
def test_what_is_drawn_is_not_cut(folder: Path) -> None:
    job = load_job(written(folder, 1, EVERY + NOISE), Reporter(shown=False))
    assert isinstance(job, TableJob)
    cut = [cell.defense.name for _, cell in job.planned if is_cut(cell, job.subject, 1)]
    assert sorted(cut) == sorted(CUT)
    assert any("noise" in cell.defense.name for _, cell in job.planned)
    assert not any(is_cut(cell, job.subject, PRIVATE) for _, cell in job.planned)


@pytest.mark.medium
def test_an_audit_that_was_interrupted_keeps_its_blocks(folder: Path, asked: list[range]) -> None:
    whole = results(written(folder, 1000))
    shutil.rmtree(folder / "runs")
    plan = written(folder, 60)
    with pytest.MonkeyPatch.context() as patch:
        interrupted_in_second(patch, table_job, asked)
        with pytest.raises(KeyboardInterrupt):
            results(plan)
    asked.clear()
    assert results(plan, resume=True) == whole
    first, second, third = range(60), range(60, 120), range(120, 180)
    assert asked == [second, third, first, second, third]


@pytest.mark.medium
def test_a_worker_without_a_cell_takes_blocks_of_another_s(
    folder: Path, asked: list[range]
) -> None:
    job = load_job(written(folder, 60), Reporter(shown=False))
    keys = job.keys("1")
    assisting = Session(job, keys, Reporter(shown=False))
    assert [assisting.assist(keys[0]) for _ in range(4)] == [True, True, True, False]
    Session(job, keys, Reporter(shown=False)).run(keys[0])
    assert asked == [range(60), range(60, 120), range(120, 180)]
