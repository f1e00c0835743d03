"""Every field of every record is shown, or used by what is shown, or has a reason to be there."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pandas as pd
import pytest
from pydantic import BaseModel
from sklearn.linear_model import LinearRegression
from sklearn.tree import DecisionTreeClassifier
from tests.report.conftest import RunFolder, training
from tests.report.text.cells import text_cell

from darkroom.api import audit_table
from darkroom.auditing.record import (
    Bits,
    Bound,
    Cell,
    Chance,
    Cost,
    CurvePoint,
    GuardLimit,
    GuardRecord,
    Privacy,
    Record,
    Training,
    Utility,
)
from darkroom.auditing.run_record import Results, RunRecord, TargetRecord, VerdictRecord
from darkroom.images.record import ImageCell, JudgeRates
from darkroom.report import write_report
from darkroom.report.budget import Policy, holdings
from darkroom.report.results import collect
from darkroom.tables.data import load_diabetes_table
from darkroom.tables.record import TableCell
from darkroom.text.canaries import make_canaries, save_key
from darkroom.text.formats.secrets import make_format
from darkroom.text.record import TextCell

Field = tuple[type[BaseModel], str]

UNSHOWN: dict[Field, str] = {
    (RunRecord, "schema_name"): "tells programs how to read the file",
    (Results, "schema_name"): "tells programs how to read the file",
    (RunRecord, "plan"): "tells other processes that work on the run where the plan is",
    (RunRecord, "cache"): "tells other processes that work on the run where judges are kept",
    (RunRecord, "checked"): "tells a run that is resumed whether to check again",
    (Results, "verdict"): "what the page says, for programs and the command line",
    (Results, "run"): "the same as in run.json, from where the page has it",
    (ImageCell, "judges"): "the judges' rates in short, of which the page has more",
    **{
        (JudgeRates, name): "in short what the page has more of" for name in JudgeRates.model_fields
    },
}
"""Fields that only machines read, each with the reason."""


def fields(record: type[BaseModel]) -> Iterator[Field]:
    """All fields of a record and of those in it."""
    for name, field in record.model_fields.items():
        yield record, name
        for part in parts(field.annotation):
            yield from fields(part)


def parts(annotation: Any) -> Iterator[type[BaseModel]]:
    """The records in a type, however deep in unions and tuples."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from parts(inner)


CHECKS = ("_holds_its_estimate",)
"""What reads fields when a record is made."""

ALIKE: tuple[type[BaseModel] | Field, ...] = (
    (CurvePoint, "bits"),
    Bits,
    Training,
    Privacy,
    Bound,
    Chance,
    GuardRecord,
    GuardLimit,
    Cost,
    Utility,
)
"""Records that are shown alike for all kinds: one is enough to test them."""


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> set[Field]:
    """Collects which fields of which records are read; writing and checking them is no reading."""
    seen: set[Field] = set()
    usual = Record.__getattribute__

    def watching(self: Record, name: str) -> Any:
        kind = type(self)
        if name in kind.model_fields and sys._getframe(1).f_code.co_name not in CHECKS:
            seen.add((kind, name))
        return usual(self, name)

    monkeypatch.setattr(Record, "__getattribute__", watching)
    return seen


def unread(
    record: type[BaseModel], read: set[Field], *besides: type[BaseModel] | Field
) -> set[str]:
    """The fields of a record, and of those in it, that were not read."""
    return {
        f"{kind.__name__}.{name}"
        for kind, name in fields(record)
        if (kind, name) not in read.union(UNSHOWN)
        and kind not in besides
        and (kind, name) not in besides
    }


def guarded(cell: dict[str, Any]) -> dict[str, Any]:
    limit = {"name": "daily", "rows": 100, "seconds": 86_400}
    guard = {"rows": 98, "refusals": 3, "opened": 2, "limits": [limit]}
    return {
        **cell,
        "defense": "guard",
        "access": "scores",
        "details": {**cell["details"], "guard": guard},
    }


def asked(folder: Path) -> None:
    """Does what the commands do with a run."""
    cells = collect(folder).cells
    for held in holdings(cells, Policy(10)):
        held.record()


@pytest.mark.medium
def test_images(run: RunFolder, read: set[Field]) -> None:
    private = {**run.image_cell("d"), "defense": "dp-sgd", "access": "scores"}
    private["details"]["training"] = training()
    private["utility"] = {"accuracy": 0.9, "calibration_error": 0.1, "label_changes": 0.2}
    private["cost"] = {"microseconds": 3.0, "of_forward": 0.1}
    plain = {**run.image_cell("c"), "access": "scores"}
    run.record["limit"] = {"advantage": 0.05, "bits": 3.0}
    run.record["checks"] = [
        {"name": "accuracy", "outcome": "noted", "found": "It knows half.", "cause": "dark"}
    ]
    run.cells = [run.cell, plain, private, guarded(run.image_cell("g"))]
    run.report()
    asked(run.path)
    of_others = [(Utility, "mean_absolute_error"), (Utility, "perplexity")]
    assert unread(ImageCell, read, *of_others) == set()
    assert unread(RunRecord, read, (TargetRecord, "key_file")) == set()
    elsewhere: list[type[BaseModel]] = [*(kind for kind, _ in fields(Cell)), VerdictRecord]
    assert unread(Results, read, *elsewhere) == set()


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """A run in which a category is inferred, and one in which a number is."""
    frame = load_diabetes_table()
    high = frame.assign(progression=(frame["progression"] > 140).map(str))
    return [
        table_run(tmp_path_factory.mktemp("runs"), high, DecisionTreeClassifier(), "sex"),
        table_run(tmp_path_factory.mktemp("runs"), frame, LinearRegression(), "bmi"),
    ]


def table_run(folder: Path, frame: pd.DataFrame, model: Any, sensitive: str) -> Path:
    model.fit(frame.drop(columns="progression")[:150], frame["progression"][:150])
    return audit_table(
        model,
        frame[:250],
        frame[250:],
        response="progression",
        sensitive=sensitive,
        trained_on="0:150",
        imputer="logistic",
        attacks=["map"],
        out=folder,
        progress=False,
    ).folder


@pytest.mark.medium
def test_tables(tables: list[Path], read: set[Field]) -> None:
    for folder in tables:
        write_report(folder, reveal=True)
        asked(folder)
    assert unread(TableCell, read, *ALIKE) == set()
    assert (Utility, "mean_absolute_error") in read


def test_text(run: RunFolder, read: set[Field], tmp_path: Path) -> None:
    canaries = make_canaries(make_format(r"\d{4}"), repetitions=[1], each=1)
    save_key(tmp_path / "key.json", canaries)
    run.record["target"]["key_file"] = str(tmp_path / "key.json")
    cell = {**text_cell(4, formats=2), "access": "logprobs", "utility": {"perplexity": 3.5}}
    cell["details"]["canaries"][4]["exposure"].update(method="sampled", extrapolated=3.0, fit=0.4)
    run.cells = [cell]
    write_report(run.write(), reveal=True)
    asked(run.path)
    assert unread(TextCell, read, *ALIKE) == set()
    assert {(Utility, "perplexity"), (TargetRecord, "key_file")} <= read
