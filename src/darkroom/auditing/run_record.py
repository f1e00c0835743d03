"""What a run says of itself beside its cells, in ``run.json`` and ``results.json``."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field, SerializeAsAny, field_validator

from darkroom.auditing.record import Cell, Count, Key, Rate, Record, Words


class Machine(Record):
    """Where a run ran."""

    processor: str
    cores: Annotated[int, Field(ge=1)]
    system: str


class About(Record):
    """The identity of a run, with the version of each library that decides a result."""

    name: Words
    seed: Count
    versions: dict[str, str]
    machine: Machine


class Limit(Record):
    """The advantage, in [0, 1], above which the plan calls a cell a leak."""

    advantage: Rate


class TargetRecord(Record):
    """What was attacked.

    ``range`` holds the values of black and of white, of images; ``key_file`` says where the
    canaries of a language model are, for reports that reveal them.
    """

    name: str
    kind: str
    range: tuple[float, float] | None = None
    key_file: str | None = None


class RunRecord(Record):
    """``run.json``: written before the first cell, read by every report.

    Attributes:
        schema_name: Tells the file's format.
        run: Which run.
        authorized_by: Who allowed it, if the plan names anybody.
        command: How to repeat it.
        started: When it was begun, or gone on with.
        limit: The plan's, if it has one.
        target: The model.
        tested: Terms with what the report says beside them, such as ``Input``.
        cells: The keys of the cells, in the plan's order.
    """

    schema_name: Literal["darkroom/run/2"] = Field(alias="schema")
    run: About
    authorized_by: str | None
    command: str
    started: datetime
    limit: Limit | None
    target: TargetRecord
    tested: tuple[tuple[str, str], ...]
    cells: Annotated[tuple[Key, ...], Field(min_length=1)]

    @field_validator("cells")
    @classmethod
    def _names_each_once(cls, cells: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(cells)) != len(cells):
            raise ValueError("a cell is named twice")
        return cells


class Results(Record):
    """``results.json``: the run, and its cells in the plan's order."""

    schema_name: Literal["darkroom/results/2"] = Field(alias="schema")
    run: About
    cells: Annotated[tuple[SerializeAsAny[Cell], ...], Field(min_length=1)]
