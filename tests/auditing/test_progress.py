"""Bars on standard error, one line for each stage where nobody is looking."""

from __future__ import annotations

import pytest

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
