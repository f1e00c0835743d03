"""What the page says of a model of tables, and what it does not say without being asked."""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.linear_model import LinearRegression
from tests.support.records import cells_of

from darkroom.api import audit_table
from darkroom.commands.main import main
from darkroom.errors import RunError
from darkroom.report import write_report
from darkroom.runs import Run, open_run
from darkroom.tables.data import load_diabetes_table
from darkroom.tables.record import TableCell

# What no byte of a page may tell, no chart may either.
pytestmark = pytest.mark.drawn


def _audit(folder: Path, model: Any, **options: Any) -> Run:
    frame = load_diabetes_table()
    inputs = frame.drop(columns="progression")
    model.fit(inputs[:150], frame["progression"][:150])
    return audit_table(
        model,
        frame[:250],
        frame[250:],
        response="progression",
        trained_on="0:150",
        imputer="logistic",
        out=folder,
        progress=False,
        **options,
    )


@pytest.fixture(scope="module")
def leak(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A model that has learned its patients by heart."""
    model = ExtraTreesRegressor(10, random_state=0)
    attacks = ["map", {"name": "tree-counts", "prior": "marginals"}]
    return _audit(tmp_path_factory.mktemp("runs"), model, sensitive="sex", attacks=attacks)


def _text(page: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<style.*?</style>|<[^>]*>", " ", page, flags=re.DOTALL))


@pytest.mark.medium
def test_the_verdict_is_the_advantage_over_imputation(leak: Run) -> None:
    text = _text(leak.report.read_text())
    assert "This model leaks: an attacker" in text
    assert "infers the sensitive value of 150 of 150 records" in text
    success = leak.cells[0].baseline.estimate
    assert f"without the model the same attacker gets {100 * success:.0f}%" in text
    assert "Worst-off group:" in text


@pytest.mark.medium
def test_members_stand_beside_others(leak: Run) -> None:
    text = _text(leak.report.read_text())
    for words in (
        "Members: the model was trained on them (150)",
        "Others: the model never saw them (100)",
        "Imputation from public rows",
        "The most frequent value",
        "G-mean",
        "Confusion matrix, members",
        "Success by group, members",
        "Fredrikson et al. 2014",
    ):
        assert words in text


@pytest.mark.medium
def test_words_about_faces_are_for_faces(leak: Run) -> None:
    text = _text(leak.report.read_text())
    for words in ("lausibility", "SSIM", "Worst-off person", "photo", "reconstructs"):
        assert words not in text
    assert "Worst-off group" in text


@pytest.mark.medium
def test_no_record_is_named_unless_asked(leak: Run) -> None:
    without = leak.report.read_text()
    assert "Single records" not in without
    assert "Personal data" not in without
    for cell in leak.results["cells"]:
        assert "rows" not in cell["details"]
        assert "posterior" not in json.dumps(cell)
    revealed = write_report(leak.folder, reveal=True).read_text()
    assert "Single records, those of whom the attacker is surest first" in _text(revealed)
    assert "Personal data" in revealed
    assert revealed.count('<th scope="row">149</th>') >= 1
    assert open_run(leak.folder).report.read_text() == without


@pytest.mark.medium
def test_small_groups_are_never_shown(leak: Run) -> None:
    for cell in cells_of(leak, TableCell):
        assert cell.details.members.groups
        assert all(group.n >= 10 for group in cell.details.members.groups)


@pytest.mark.medium
def test_a_number_has_errors_instead_of_a_matrix(tmp_path: Path) -> None:
    attacks = [{"name": "map", "prior": "marginals"}]
    run = _audit(tmp_path, LinearRegression(), sensitive="bmi", attacks=attacks)
    text = _text(run.report.read_text())
    assert "Mean error" in text
    assert "Counts as right" in text
    assert "Confusion matrix" not in text


@pytest.mark.medium
def test_an_attacker_that_is_not_always_sure_has_a_calibration(tmp_path: Path) -> None:
    attacks = [{"name": "map", "prior": "marginals"}]
    run = _audit(tmp_path, LinearRegression(), sensitive="sex", attacks=attacks)
    page = run.report.read_text()
    assert "Calibration of the attacker" in _text(page)
    assert 'id="calibration-1-wide-' in page


@pytest.mark.medium
def test_values_of_strangers_tables_are_escaped(tmp_path: Path) -> None:
    frame = load_diabetes_table()[:120]
    frame["sex"] = frame["sex"].map({"1": "<b>one</b>", "2": "two"})

    def halves(table: pd.DataFrame) -> Any:
        return table["bmi"] * 5

    run = audit_table(
        halves,
        frame[:80],
        frame[80:],
        response="progression",
        sensitive="sex",
        attacks=[{"name": "map", "prior": "marginals"}],
        imputer="logistic",
        out=tmp_path,
        progress=False,
    )
    page = run.report.read_text()
    assert "&lt;b&gt;one&lt;/b&gt;" in page
    assert "<b>one</b>" not in page


@pytest.mark.parametrize(
    ("spoil", "expected"),
    [
        (lambda details: details.pop("members"), "details.members: Field required"),
        (lambda details: details["members"].update(n=-1), "details.members.n"),
        (lambda details: details.update(worst_off=3), "details.worst_off"),
    ],
)
def test_a_damaged_cell_is_one_clear_line(
    leak: Run, tmp_path: Path, spoil: Callable[[dict[str, Any]], object], expected: str
) -> None:
    run = tmp_path / "run"
    shutil.copytree(leak.folder, run)
    path = run / "cells" / leak.cells[0].key / "cell.json"
    cell = json.loads(path.read_text())
    spoil(cell["details"])
    path.write_text(json.dumps(cell))
    with pytest.raises(RunError) as caught:
        write_report(run)
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


def test_records_that_are_not_there_cannot_be_revealed(leak: Run, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(leak.folder, run)
    (run / "cells" / leak.cells[0].key / "reconstructions.npz").write_bytes(b"nothing")
    write_report(run)
    with pytest.raises(RunError, match="is damaged"):
        write_report(run, reveal=True)


def test_the_command_line(
    leak: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def call(*arguments: str) -> int:
        monkeypatch.setattr(sys, "argv", ["darkroom", *arguments])
        with pytest.raises(SystemExit) as exit_of:
            main()
        assert isinstance(exit_of.value.code, int)
        return exit_of.value.code

    assert call("report", str(leak.folder), "--reveal") == 0
    assert "Single records" in leak.report.read_text()
    assert call("report", str(leak.folder)) == 0
    assert "Single records" not in leak.report.read_text()
    assert "tree-counts" in capsys.readouterr().out
    plan = tmp_path / "plan.toml"
    plan.write_text(
        '[run]\nname = "x"\n[target]\nload = "m:f"\nresponse = "y"\n'
        '[private]\ntable = "absent.csv"\nsensitive = "s"\n[public]\ntable = "p.csv"\n'
        '[[attack]]\nname = "map"\n'
    )
    assert call("audit", str(plan)) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "absent.csv: cannot be read" in error
