"""Bars on standard error, one line for each stage where nobody is looking."""

from __future__ import annotations

import io
import sys
from types import ModuleType, SimpleNamespace

import pytest
from rich.console import Console

from darkroom.auditing.progress import Reporter


def test_each_finished_stage_is_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    reporter = Reporter()
    for title in ("Reading", "Attacking"):
        with reporter.stage(title) as advance:
            advance(1, 4)
            advance(9, 4)
    written = capsys.readouterr()
    lines = [line for line in written.err.splitlines() if line.strip()]
    assert len(lines) == 2
    assert "Reading" in lines[0]
    assert "100%" in lines[1]
    assert written.out == ""


def test_a_stage_that_never_says_how_far_it_is_ends_full(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with Reporter().stage("Thinking"):
        pass
    assert "100%" in capsys.readouterr().err


def test_a_stage_that_fails_writes_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    def fail() -> None:
        with Reporter().stage("Reading") as advance:
            advance(1, 4)
            raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        fail()
    assert capsys.readouterr().err == ""


def test_nothing_is_written_unless_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    with Reporter(shown=False).stage("Reading") as advance:
        advance(1, 4)
    assert capsys.readouterr().err == ""


def run_for(reporter: Reporter, now: list[float]) -> None:
    """Works for a hundred seconds, as the clock has it."""
    with reporter.stage("Attacking") as advance:
        for step in range(1, 101):
            now[0] += 1
            advance(step, 100)


def test_a_log_has_a_line_every_half_minute() -> None:
    now, log = [0.0], io.StringIO()
    run_for(Reporter(console=Console(file=log), clock=lambda: now[0]), now)
    assert log.getvalue().splitlines() == [
        "Attacking: 30%, 0:30, 1:10 left",
        "Attacking: 60%, 1:00, 0:40 left",
        "Attacking: 90%, 1:30, 0:10 left",
        "Attacking: 100%, 1:40",
    ]


def test_a_notebook_has_one_line_and_needs_no_widgets(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[str] = []
    updated: list[str] = []

    def display(data: dict[str, str], *, raw: bool, display_id: bool) -> SimpleNamespace:
        assert raw
        assert display_id
        shown.append(data["text/plain"])
        return SimpleNamespace(update=lambda data, raw: updated.append(data["text/plain"]))

    module = ModuleType("IPython.display")
    module.display = display  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "IPython", ModuleType("IPython"))
    monkeypatch.setitem(sys.modules, "IPython.display", module)
    monkeypatch.setitem(sys.modules, "ipywidgets", None)
    now = [0.0]
    run_for(Reporter(console=Console(force_jupyter=True), clock=lambda: now[0]), now)
    assert shown == ["Attacking: 1%, 0:01, 1:39 left"]
    assert updated[-1] == "Attacking: 100%, 1:40"
