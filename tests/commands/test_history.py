"""``darkroom runs``, ``compare`` and ``work``: what they print, and how they end."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from tests.report.conftest import RunFolder, image_cell

from darkroom.commands.main import main


def call(*arguments: str) -> int:
    """Calls the command line in this process, and returns its status."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["darkroom", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
    assert isinstance(ended.value.code, int)
    return ended.value.code


@pytest.fixture
def before(tmp_path: Path) -> Path:
    return RunFolder(tmp_path / "before").write()


@pytest.fixture
def after(tmp_path: Path) -> Path:
    return RunFolder(tmp_path / "after", [image_cell("other1", hits=1)]).write()


def test_runs_are_listed(
    before: Path, after: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("runs", str(tmp_path), "--json") == 0
    listed = json.loads(capsys.readouterr().out)
    assert {one["folder"] for one in listed} == {str(before), str(after)}
    (tmp_path / "odd").mkdir()
    (tmp_path / "odd" / "run.json").write_text("{}")
    assert call("runs", str(tmp_path)) == 0
    assert "damaged" in capsys.readouterr().out
    assert call("runs", str(before)) == 0
    shown = capsys.readouterr().out
    assert "1 of 1" in shown
    assert "gradient with generator" in shown
    assert "1.5 seconds" in shown


def test_two_runs_are_compared(
    before: Path, after: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("compare", str(before), str(after)) == 0
    shown = capsys.readouterr().out
    assert "1 have less of an advantage than before" in shown
    assert (after / "compared-with-before.html").exists()
    assert call("compare", str(before), str(after), "--json") == 0
    assert json.loads(capsys.readouterr().out)["cells"][0]["direction"] == "less"


@pytest.mark.parametrize("command", ["runs", "work"])
def test_where_nothing_ran_is_a_mistake_on_one_line(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(command, str(tmp_path / "nowhere")) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "no run" in said
