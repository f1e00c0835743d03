"""The files of a run as typed, frozen records; a file that does not fit is a ``RunError``."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from darkroom.auditing.record import Cell, Rate, Record
from darkroom.report.files import damaged, read_json


class About(Record):
    """The identity of a run: name, seed, library versions, machine."""

    name: str
    seed: int
    versions: dict[str, str]
    machine: dict[str, Any]


class Limit(Record):
    """The advantage, in [0, 1], above which the plan calls a cell a leak."""

    advantage: Rate


class TargetRecord(Record):
    """What was attacked.

    ``range`` holds the values of black and of white, for images alone; ``key_file`` says where the
    canaries of a language model are, for reports that reveal them.
    """

    name: str
    kind: str
    range: tuple[float, float] = (0.0, 1.0)
    key_file: str | None = None


class RunRecord(Record):
    """``run.json``."""

    run: About
    authorized_by: str | None
    command: str
    started: datetime
    limit: Limit | None
    target: TargetRecord
    tested: tuple[tuple[str, str], ...]


_Model = TypeVar("_Model", bound=Record)


def read_run(run: Path) -> RunRecord:
    """Reads ``run.json``.

    Raises:
        RunError: If it is missing or damaged.
    """
    path = run / "run.json"
    return _parse(RunRecord, read_json(path), path)


def parse_cells(run: Path, document: Mapping[str, Any]) -> tuple[Cell, ...]:
    """Reads the cells of a results document.

    Args:
        run: The run folder, for messages.
        document: What ``collect`` returned.

    Raises:
        RunError: If a cell does not fit, which the schema should have caught.
    """
    return tuple(_parse(Cell, cell, cell_path(run, cell["key"])) for cell in document["cells"])


def parse_details(run: Path, cell: Cell, kind: type[_Model]) -> _Model:
    """Reads the ``details`` of a cell.

    Args:
        run: The run folder, for messages.
        cell: The cell.
        kind: What the details of its kind are.

    Raises:
        RunError: If a part is missing or out of range.
    """
    return _parse(kind, cell.details, cell_path(run, cell.key), "details.")


def cell_path(run: Path, key: str) -> Path:
    """Returns where the figures of a cell are."""
    return run / "cells" / key / "cell.json"


def _parse(model: type[_Model], data: object, path: Path, prefix: str = "") -> _Model:
    try:
        return model.model_validate(data)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        place = ".".join(str(step) for step in first["loc"])
        raise damaged(path, f"{prefix}{place}: {first['msg']}") from error
