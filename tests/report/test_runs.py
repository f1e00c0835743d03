"""Several runs: what ran and runs, and one against another."""

from __future__ import annotations

import copy
import fcntl
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.report.conftest import Page, RunFolder, image_cell, interval, run_record

from darkroom.auditing.blocks import Blocks
from darkroom.auditing.claims import ASKED, Claims
from darkroom.auditing.store import Store
from darkroom.errors import RunError
from darkroom.files import mark
from darkroom.report.runs.comparison import Comparison, compare, write_comparison
from darkroom.report.runs.history import runs_in, state_of


@pytest.fixture
def later(tmp_path: Path) -> RunFolder:
    """The same attack on the model after it was mended, with a run of its own."""
    cell = image_cell("later1", hits=1)
    cell["success"] = interval(0.25, 0.15, 0.35)
    cell["advantage"] = interval(0.23, 0.13, 0.33)
    cell["bits"] = {"estimate": 2.0, "low": 1.2, "high": 2.8, "most": 11.0}
    return RunFolder(tmp_path / "later", [cell], record=run_record([]))


def with_another(cell: dict[str, Any], key: str, **changes: Any) -> dict[str, Any]:
    return {**copy.deepcopy(cell), "key": key, **changes}


def test_a_run_says_how_far_it_is(run: RunFolder) -> None:
    run.cells.append(with_another(run.cell, "cell2", seconds=2.0))
    folder = run.write()
    state = state_of(folder)
    assert (state.state, state.done, state.seconds, state.rows) == ("done", 2, 3.5, None)
    assert state.outcome is not None
    (folder / "cells" / "cell2" / "cell.json").unlink()
    state = state_of(folder)
    assert (state.state, state.done, state.outcome) == ("stopped", 1, None)
    assert [cell.state for cell in state.cells] == ["done", "waiting"]
    assert state.cells[0].title == "gradient with generator, undefended"
    (folder / "claims").mkdir()
    (folder / "claims" / ASKED).write_text('{"rows": 1200}')
    with Claims(Store(folder)).claimed("cell2"):
        state = state_of(folder)
        assert (state.state, state.cells[1].state, state.rows) == ("running", "running", 1200)
        assert state.cells[1].holder is not None
    assert state_of(folder).state == "stopped"
    made: list[int] = []

    def looking(goals: range) -> list[dict[str, Any]]:
        made.append(goals.start)
        state = state_of(folder)
        assert (state.state, state.cells[1].state) == ("running", "running")
        assert [one.process for one in state.cells[1].helpers] == [os.getpid()]
        with Claims(Store(folder)).claimed("cell2"):  # who has the cell helps nobody
            assert state_of(folder).cells[1].helpers == ()
        return []

    Blocks.cut(folder, "cell2", 4, 2).make(1, looking)
    assert made == [2]
    assert state_of(folder).state == "stopped"
    mark(folder)
    with (folder / ".darkroom").open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert state_of(folder).state == "running"  # between two cells


def test_a_run_whose_subject_failed_its_check_has_no_verdict(run: RunFolder) -> None:
    run.cells.clear()
    run.record["checks"] = [{"name": "accuracy", "outcome": "failed", "found": "It knows none."}]
    state = state_of(run.write())
    assert (state.state, state.done, state.cells) == ("no verdict", 0, ())


def test_runs_are_listed_the_latest_first(run: RunFolder, later: RunFolder, tmp_path: Path) -> None:
    later.record["started"] = "2026-12-24T18:00:00+00:00"
    run.write()
    later.write()
    assert [Path(one.folder).name for one in runs_in(tmp_path)] == ["later", "demo"]
    assert [Path(one.folder).name for one in runs_in(tmp_path / "demo")] == ["demo"]
    with pytest.raises(RunError, match="no run there"):
        runs_in(tmp_path / "nowhere")


def test_a_damaged_run_is_listed_with_what_is_wrong_and_hides_no_other(
    run: RunFolder, later: RunFolder, tmp_path: Path
) -> None:
    whole, cut, odd = run.write(), later.write(), tmp_path / "odd"
    (cell,) = (cut / "cells").glob("*/cell.json")
    cell.write_text(cell.read_text()[:80])
    odd.mkdir()
    (odd / "run.json").write_text("{}")
    found = {Path(one.folder).name: one for one in runs_in(tmp_path)}
    assert {name: one.state for name, one in found.items()} == {
        whole.name: "done",
        "later": "damaged",
        "odd": "damaged",
    }
    assert "cell.json" in (found["later"].damage or "")
    assert "run.json" in (found["odd"].damage or "")
    with pytest.raises(RunError, match=r"run\.json"):
        runs_in(odd)


def test_what_is_less_than_before_is_shown_with_its_interval(
    run: RunFolder, later: RunFolder
) -> None:
    found, page = write_comparison(run.write(), later.write())
    (cell,) = found.cells
    assert cell.direction == "less"
    change = cell.advantage
    assert change.difference.estimate == pytest.approx(0.23 - 0.73)
    # Zou and Donner by hand, from (0.73, 0.63, 0.83) and (0.23, 0.13, 0.33).
    assert change.difference.high == pytest.approx(-0.5 + (0.1**2 + 0.1**2) ** 0.5)
    assert cell.bits is not None
    assert cell.bits.difference.estimate == pytest.approx(-6.2)
    assert "1 have less of an advantage than before, 0 have more" in found.sentence
    shown = Page(page.read_text())
    assert found.sentence in shown.text
    assert "75% → 25%" in shown.text
    assert page.stat().st_mode & 0o777 == 0o600
    again = Comparison.model_validate_json(page.with_suffix(".json").read_bytes())
    assert again == found


def test_the_same_run_twice_shows_no_change(run: RunFolder, later: RunFolder) -> None:
    same = replace(later, cells=[with_another(run.cell, "again1")])
    (cell,) = compare(run.write(), same.write()).cells
    assert cell.direction == "no change shown"
    assert cell.advantage.difference.estimate == 0
    assert cell.advantage.difference.low < 0 < cell.advantage.difference.high


def test_a_model_that_got_worse_is_told(run: RunFolder, later: RunFolder) -> None:
    (cell,) = compare(later.write(), run.write()).cells
    assert cell.direction == "more"


def test_cells_belong_together_by_what_was_tried(run: RunFolder, later: RunFolder) -> None:
    other = copy.deepcopy(run.cell["details"])
    other["attack"]["parameters"]["steps"] = 50
    run.cells.append(with_another(run.cell, "short", details=other))
    bigger = copy.deepcopy(later.cell["details"])
    bigger["attack"]["parameters"]["memory"] = 7
    later.cells[0]["details"] = bigger
    later.cells.append(with_another(later.cell, "rounded", defense="rounding(decimals=1)"))
    found = compare(run.write(), later.write())
    assert [cell.title for cell in found.cells] == ["gradient with generator, undefended"]
    assert found.gone == ("gradient with generator, undefended",)
    assert found.new == ("gradient with generator against rounding(decimals=1)",)


def test_runs_with_nothing_in_common_are_refused(run: RunFolder, later: RunFolder) -> None:
    later.cell["attack"] = later.cell["details"]["attack"]["name"] = "cma"
    with pytest.raises(RunError, match="no attack in common"):
        compare(run.write(), later.write())


def test_names_in_a_run_are_no_markup(run: RunFolder, later: RunFolder) -> None:
    for folder in (run, later):
        folder.cell["prior"] = "<script>"
    _, page = write_comparison(run.write(), later.write())
    assert "<script>" not in page.read_text()
    assert json.loads(page.with_suffix(".json").read_text())["cells"]
