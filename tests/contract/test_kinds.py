"""What every kind of audit owes, and that a new one is a package, an entry and a folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped,unused-ignore]
import pytest
from pydantic import BaseModel
from tests.support.toy_kind import LOCKS, PLAN, LockCell, LockJob

from darkroom.auditing.plan import BasePlan
from darkroom.auditing.progress import Reporter
from darkroom.auditing.record import Cell
from darkroom.errors import PlanError
from darkroom.kinds import KINDS, Kind, imported, load_job, read_plan
from darkroom.report import load_schema
from darkroom.report.kind_page import KindPage
from darkroom.runs import audit_plan, check_plan


@pytest.fixture
def locks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A plan of the toy kind, which is known for as long as the test runs."""
    monkeypatch.setitem(KINDS, "locks", LOCKS)
    monkeypatch.chdir(tmp_path)
    plan = tmp_path / "plan.toml"
    plan.write_text(PLAN.format(out="runs"))
    return plan


@pytest.mark.parametrize("kind", [*KINDS.values(), LOCKS], ids=lambda kind: kind.name)
def test_a_kind_brings_all_its_parts(kind: Kind) -> None:
    plan, record, page = imported(kind.plan), imported(kind.record), imported(kind.page)
    assert issubclass(plan, BasePlan)
    assert kind.mark in plan.model_fields["private"].annotation.model_fields
    assert issubclass(record, Cell)
    assert record.model_fields["kind"].default == kind.name
    assert isinstance(page, KindPage)
    assert callable(imported(kind.load))
    assert callable(imported(kind.demo))
    assert all(word and word == word.strip() for word in kind.nouns)


@pytest.mark.parametrize("kind", [*KINDS.values(), LOCKS], ids=lambda kind: kind.name)
def test_its_record_forgets_nothing_when_it_is_written(kind: Kind) -> None:
    record: type[BaseModel] = imported(kind.record)
    assert record.model_config.get("frozen")
    assert record.model_config.get("extra") == "forbid"


@pytest.mark.medium
def test_a_new_kind_goes_from_plan_to_report(locks: Path) -> None:
    run = audit_plan(locks, progress=False)
    whole, few = [cell for cell in run.cells if cell.defense == "none"]
    assert isinstance(whole, LockCell)
    assert (whole.success.estimate, whole.details.tried[0]) == (1.0, 4)
    assert few.success.estimate == pytest.approx(3 / 12)
    assert [cell.defense for cell in run.cells].count("label-only") == 2
    document: dict[str, Any] = json.loads((run.folder / "results.json").read_text())
    jsonschema.validate(document, load_schema())
    assert {cell["kind"] for cell in document["cells"]} == {"locks"}
    page = run.report.read_text()
    assert "an attacker who sees the label alone opens 12 of 12 locks" in page
    assert "Opened" in page


@pytest.mark.medium
def test_a_subject_that_fails_its_check_is_not_attacked(locks: Path) -> None:
    locks.write_text(PLAN.format(out="runs").replace("locks = [3", "locks = [13"))
    (check,) = check_plan(locks, progress=False)
    assert (check.outcome, check.cause) == ("failed", "counting")
    run = audit_plan(locks, progress=False)
    assert run.cells == ()
    assert run.verdict.outcome == "cannot tell"
    assert run.verdict.reasons == ("A lock opens at 13. Count from 0.",)
    jsonschema.validate(run.results, load_schema())
    assert "the check of the subject failed. A lock opens at 13." in run.report.read_text()


@pytest.mark.medium
def test_a_plan_may_put_up_with_a_failure(locks: Path) -> None:
    text = PLAN.format(out="runs").replace("locks = [3", "locks = [13")
    locks.write_text(text + '\n[check]\nignore = ["digits"]\n')
    run = audit_plan(locks, progress=False)
    assert [check.outcome for check in run.verdict.checks] == ["ignored"]
    assert run.verdict.outcome == "leak"
    locks.write_text(text + '\n[check]\nignore = ["digit"]\n')
    with pytest.raises(PlanError, match="no check is called 'digit': did you mean 'digits'"):
        check_plan(locks, progress=False)


@pytest.mark.medium
def test_a_run_that_is_resumed_remembers_its_check(locks: Path, monkeypatch: Any) -> None:
    first = audit_plan(locks, progress=False)
    monkeypatch.setattr(LockJob, "check", lambda *_: pytest.fail("asked again"))
    assert audit_plan(locks, resume=True, progress=False).verdict == first.verdict


@pytest.mark.medium
def test_it_resumes_and_ends_the_same(locks: Path) -> None:
    before = (audit_plan(locks, progress=False).folder / "results.json").read_bytes()
    keys = load_job(locks, Reporter(shown=False)).keys("1")
    assert len(set(keys)) == 4
    again = audit_plan(locks, resume=True, progress=False)
    assert (again.folder / "results.json").read_bytes() == before


def test_its_plan_is_told_by_its_mark(locks: Path) -> None:
    assert type(read_plan(locks)) is imported(LOCKS.plan)
    locks.write_text(PLAN.format(out="runs").replace("locks = [", 'images = "x"\nlocks = ['))
    with pytest.raises(PlanError, match="one plan audits one kind of data"):
        read_plan(locks)


def test_its_mistakes_are_named(locks: Path) -> None:
    locks.write_text(PLAN.format(out="runs").replace('"turning"\nfirst', '"turning"\nfrist'))
    with pytest.raises(PlanError, match="frist"):
        load_job(locks, Reporter(shown=False)).keys("1")


def test_its_demo_runs(locks: Path, tmp_path: Path) -> None:
    run = imported(LOCKS.demo)(tmp_path / "demo", progress=False)
    assert run.report.exists()
