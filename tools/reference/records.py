"""The page of ``results.json``: what each record of a run says."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, get_args

from pydantic import BaseModel

from darkroom.auditing.run_record import Results, RunRecord
from darkroom.kinds import KINDS, imported
from tools.reference.markup import page, table
from tools.reference.meanings import meaning_of, summary_of
from tools.reference.values import words_for

WORDS = (
    "Every audit writes `results.json` into its run folder. `darkroom audit --json` prints the "
    "same. Below is every record in it; a field that holds a record has a link to that record. "
    "`results.schema.json` beside it says the same as JSON Schema."
)


def page_of_records() -> str:
    """Returns the page."""
    roots: list[Any] = [Results, *(imported(one.record) for one in KINDS.values()), RunRecord]
    found: dict[type[BaseModel], None] = {}
    for root in roots:
        _gather(root, found)
    return page("results.json and run.json", WORDS, *(block for one in found for block in _of(one)))


def _gather(record: type[BaseModel], found: dict[type[BaseModel], None]) -> None:
    if record in found:
        return
    found[record] = None
    for field in record.model_fields.values():
        for inner in _records_in(field.annotation):
            _gather(inner, found)


def _of(record: type[BaseModel]) -> Iterator[str]:
    yield f"## {record.__name__}"
    yield summary_of(record)
    rows = []
    for name, field in record.model_fields.items():
        inner = _records_in(field.annotation)
        links = ", ".join(f"[{one.__name__}](#{_anchor(one)})" for one in inner)
        rows.append(
            (
                f"`{field.alias or name}`",
                links or words_for(field.annotation),
                meaning_of(record, name),
            )
        )
    yield table(("field", "values", "meaning"), rows)


def _anchor(record: type[BaseModel]) -> str:
    return re.sub(r"\W", "", record.__name__.lower())


def _records_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [one for part in get_args(annotation) for one in _records_in(part)]
