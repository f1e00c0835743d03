"""A plan of verifiers from folder to report, and what is said where it does not do."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema  # type: ignore[import-untyped,unused-ignore]
import numpy as np
import pytest
from tests.report.test_every_field import ALIKE, Field, asked, read, unread
from tests.verifiers.conftest import Projection, photos_of, write_photos

from darkroom.api import audit_verifier
from darkroom.auditing.progress import Reporter
from darkroom.errors import DataError, PlanError
from darkroom.kinds import load_job, read_plan
from darkroom.report import load_schema, write_report
from darkroom.runs import Run, audit_plan, check_plan
from darkroom.verifiers.plan import VerifierPlan
from darkroom.verifiers.record import EnrolledPerson, VerifierCell

__all__ = ["read"]  # a fixture

PLAN = """\
[run]
name = "gate"
out = "{out}"
[target]
load = "tests.verifiers.conftest:Projection"
false_accepts = 0.01
[private]
enrolled = "enrolled.npz"
attributes = "private.csv"
[public]
images = "strangers.npz"
attributes = "public.csv"
[judges]
steps = 5
[leak]
templates = 3
[[attack]]
name = "evolution"
rows = 120
[[attack]]
name = "fixed"
[[attack]]
name = "template"
steps = 5
[[defense]]
name = "match-rounding"
"""


def write_attributes(folder: Path) -> None:
    for name, people in (("private", 6), ("public", 60)):
        rows = [f"person-{number},{'yes' if number % 3 else 'no'}" for number in range(people)]
        (folder / f"{name}.csv").write_text("\n".join(["id,wide", *rows]))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("gate")
    write_photos(folder)
    write_attributes(folder)
    (folder / "plan.toml").write_text(PLAN.format(out=(folder / "runs").as_posix()))
    return folder


@pytest.fixture(scope="module")
def run(folder: Path) -> Run:
    return audit_plan(folder / "plan.toml", progress=False)


def changed(folder: Path, old: str, new: str) -> Path:
    text = (folder / "plan.toml").read_text()
    assert old in text
    path = folder / "changed.toml"
    path.write_text(text.replace(old, new))
    return path


def test_the_kind_is_told_by_who_is_enrolled(folder: Path) -> None:
    assert isinstance(read_plan(folder / "plan.toml"), VerifierPlan)


@pytest.mark.medium
def test_impersonation_and_likeness_stand_side_by_side(run: Run) -> None:
    evolution, rounded, fixed, template = run.cells
    assert [cell.defense for cell in run.cells] == [
        "none",
        "match-rounding(decimals=2)",
        "none",
        "none",
    ]
    assert isinstance(template, VerifierCell)
    store = template.details.store
    assert store is not None
    assert (store.renewed.estimate, store.candidates) == (1, 21)
    assert [one.name for one in store.attributes] == ["wide"]
    assert store.many is not None
    assert (store.many.one.templates, store.many.together.templates) == (1, 3)
    assert store.many.together.shown == template.details.likeness.shown
    assert isinstance(evolution, VerifierCell)
    details = evolution.details
    assert details.operating.unit == "similarity"
    read = details.reading
    assert evolution.baseline.estimate == pytest.approx(
        1 - (1 - details.operating.false_accepts.estimate) ** read.queries
    )
    assert [step.queries for step in details.course] == [one.queries for one in evolution.curve]
    (then,) = [step for step in details.course if step.queries == read.queries]
    assert evolution.success.estimate == then.accepted
    assert details.happened.startswith(("Impersonation", "Likeness", "Neither"))
    assert rounded.queries == evolution.queries
    assert fixed.success.estimate <= evolution.success.estimate


@pytest.mark.medium
def test_the_run_and_its_page_are_whole(run: Run) -> None:
    document = json.loads((run.folder / "results.json").read_text())
    jsonschema.validate(document, load_schema())
    page = run.report.read_text()
    for words in (
        *("Impersonation and likeness, side by side", "type II", "person-5"),
        "One leaked template against 3",
    ):
        assert words in page
    with np.load(run.folder / "cells" / run.cells[0].key / "reconstructions.npz") as arrays:
        assert arrays["images"].shape == (6, 1, 28, 24)
        assert arrays["photos"].dtype == np.uint8


@pytest.mark.medium
def test_every_field_of_the_record_is_shown(run: Run, read: set[Field]) -> None:
    write_report(run.folder)
    asked(run.folder)
    assert unread(VerifierCell, read, *ALIKE, (EnrolledPerson, "confidence")) == set()


def test_every_check_passes_on_a_verifier_that_knows_its_people(folder: Path) -> None:
    found = check_plan(folder / "plan.toml", progress=False)
    assert [check.name for check in found] == [
        *("recognition", "faces", "answers", "strangers", "duplicates", "leak")
    ]
    assert {check.outcome for check in found} <= {"passed", "noted"}


def test_a_verifier_that_does_not_know_its_people_is_not_attacked(folder: Path) -> None:
    plan = changed(folder, "false_accepts = 0.01", "threshold = 0.99999")
    found = check_plan(plan, progress=False)
    assert found[0].outcome == "failed"
    assert "accepts 0.0% of 18 other photos" in found[0].found


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("false_accepts = 0.01", "false_accepts = 0.00001", "cannot be set from"),
        ("false_accepts = 0.01", "false_accepts = 0.01\nthreshold = 0.5", "not both"),
        ('enrolled = "enrolled.npz"', 'enrolled = "nowhere"', "no such file or folder"),
        ('name = "fixed"', 'name = "gradient"\naccess = "score"', "needs weights"),
        ('name = "fixed"', 'name = "fixd"', "did you mean 'fixed'"),
        ('name = "match-rounding"', 'name = "rounding"', "match-rounding"),
        ("templates = 3", "templates = 1", "templates"),
        ("templates = 3", "templates = 5", "has 3: enrol more"),
        ('name = "template"\nsteps = 5', 'name = "fixed"', "none is planned"),
    ],
)
def test_mistakes_are_named(folder: Path, old: str, new: str, said: str) -> None:
    with pytest.raises((PlanError, DataError), match=said):
        load_job(changed(folder, old, new), Reporter(shown=False)).keys("1")


@pytest.mark.medium
def test_the_same_from_python(tmp_path: Path) -> None:
    private, public = photos_of(5, 4, 1), photos_of(44, 2, 2)
    encoder = Projection().train()
    run = audit_verifier(
        encoder,
        (private.images, private.people),
        public=(public.images, public.people),
        false_accepts=0.02,
        attacks=[{"name": "template", "photos": 30, "steps": 2}],
        leak={"templates": 2},
        judges={"steps": 2},
        ignore_checks=["recognition"],
        out=tmp_path,
        progress=False,
    )
    (cell,) = run.cells
    assert (cell.kind, cell.target, cell.goals) == ("verifiers", "Projection", 5)
    assert isinstance(cell, VerifierCell)
    assert cell.details.store is not None
    assert cell.details.store.many is not None
    assert encoder.training
    assert all(weight.requires_grad for weight in encoder.parameters())
