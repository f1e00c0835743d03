"""Reads the files of a run, and gathers its cells into one document, ``results.json``."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Annotated, Any, TypeVar, Union

from pydantic import Field, TypeAdapter, ValidationError, create_model

from darkroom.auditing.record import Cell
from darkroom.auditing.run_record import Results, RunRecord
from darkroom.files import write_private
from darkroom.kinds import KINDS, imported
from darkroom.report.files import damaged, read_text
from darkroom.report.verdict.decision import decide

T = TypeVar("T")


def load_schema() -> dict[str, Any]:
    """Returns the JSON Schema (2020-12) that every ``results.json`` meets."""
    cells: Any = tuple[_any_of(_records()), ...]  # type: ignore[misc]
    document = create_model("Results", __base__=Results, cells=(cells, Field()))
    schema = document.model_json_schema(mode="serialization")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def read_run(run: Path) -> RunRecord:
    """Reads ``run.json``.

    Raises:
        RunError: If it is missing or damaged; one line says what is wrong in it.
    """
    return _read(TypeAdapter(RunRecord), run / "run.json")


def collect(run: Path) -> Results:
    """Reads a run and its cells.

    Args:
        run: The run folder, such as ``runs/demo``.

    Raises:
        RunError: If the run or one of its cells is missing or damaged; one line says which and
            what is wrong in it.
    """
    record = read_run(run)
    cells = [read_cell(run, key) for key in record.cells]
    verdict = decide(cells, record.limit, record.checks)
    return Results(
        schema="darkroom/results/2",
        run=record.run,
        verdict=verdict.record(record.checks),
        cells=tuple(cells),
    )


def read_cell(run: Path, key: str) -> Cell:
    """Reads a finished cell of a run.

    Raises:
        RunError: If it is missing or damaged.
    """
    path = run / "cells" / key / "cell.json"
    cell = _read(_cells(), path)
    if cell.key != key:
        raise damaged(path, f"its key is not {key!r}")
    return cell


def write_results(run: Path) -> Path:
    """Writes ``results.json`` into the run folder, whole or not at all, for its owner alone.

    Args:
        run: The run folder.

    Returns:
        The path of the file.

    Raises:
        RunError: If the run or one of its cells is missing or damaged, or cannot be written.
    """
    text = collect(run).model_dump_json(by_alias=True, indent=2)
    return write_private(run / "results.json", f"{text}\n".encode())


def _cells() -> TypeAdapter[Cell]:
    return _adapter(_records())


@functools.cache  # making one takes longer than reading a cell with it
def _adapter(records: tuple[type[Cell], ...]) -> TypeAdapter[Cell]:
    return TypeAdapter(_any_of(records))


def _records() -> tuple[type[Cell], ...]:
    return tuple(imported(kind.record) for kind in KINDS.values())


def _any_of(records: tuple[type[Cell], ...]) -> Any:
    """Returns the type of a cell of any of these kinds, which its ``kind`` tells."""
    return Annotated[Union[records], Field(discriminator="kind")]  # noqa: UP007 - known at run time


def _read(kind: TypeAdapter[T], path: Path) -> T:
    try:
        return kind.validate_json(read_text(path), strict=True)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        steps = [str(step) for step in first["loc"]]
        # The kind of a cell, which pydantic puts first, is no field of it.
        place = ".".join(steps[1:] if steps and steps[0] in KINDS else steps)
        message = first["msg"].removeprefix("Value error, ")
        raise damaged(path, f"{place}: {message}".removeprefix(": ")) from error
