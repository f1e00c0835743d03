"""What the benchmark of the house measures."""

from __future__ import annotations

import sys

import pytest
from benchmarks.house import reference
from benchmarks.house.claims import pytest_of
from benchmarks.house.reference import processor_seconds
from benchmarks.house.shipped import HEAVY, distributions


def test_a_guard_brings_none_of_what_it_has_no_use_for() -> None:
    guard = distributions("guard")
    assert {"aiohttp", "uvicorn", "pydantic"} <= guard
    assert not guard & HEAVY


def test_extras_name_others() -> None:
    assert distributions("guard") < distributions("redis")
    assert HEAVY & distributions("vision")


@pytest.mark.medium
def test_processor_time_counts_what_a_command_does_and_no_waiting() -> None:
    busy = processor_seconds([sys.executable, "-c", "sum(range(3_000_000))"])
    idle = processor_seconds([sys.executable, "-c", "import time; time.sleep(0.2)"])
    assert idle < busy


def test_tests_are_run_as_the_makefile_runs_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DARKROOM_CI", "1")  # where slow tests are run too
    *_, quick = pytest_of("quick")
    assert "pytest --numprocesses" in quick
    assert '-m "not slow and not medium"' in quick
    assert pytest_of("test")[-1].endswith('-m "not slow"')


def test_a_duration_at_the_pace_of_the_reference(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(reference, "reference_seconds", lambda: 1.25)
    reference.main(["1505"])
    assert capsys.readouterr().out == "25:05 here, 20:04 at the pace of the reference\n"
