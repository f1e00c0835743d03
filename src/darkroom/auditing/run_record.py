"""What a run says of itself beside its cells, in ``run.json`` and ``results.json``."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import Field, SerializeAsAny, field_validator, model_validator

from darkroom.auditing.record import Amount, Cell, Check, Count, Key, Rate, Record, Words


class Machine(Record):
    """Where a run ran.

    ``threads`` is how many each process took, on which results hang; ``None`` in runs that were
    written before it was kept.
    """

    processor: str
    cores: Annotated[int, Field(ge=1)]
    system: str
    threads: Annotated[int, Field(ge=1)] | None = None


class About(Record):
    """The identity of a run, with the version of each library that decides a result."""

    name: Words
    seed: Count
    versions: dict[str, str]
    machine: Machine


class Limit(Record):
    """What the plan accepts: more is a leak.

    Attributes:
        advantage: The advantage of a cell, in [0, 1].
        bits: How far an attack may narrow down the truth; ``None`` for no limit of its own.
        worst_off: Whether a person, group or secret that stands out is a leak.
    """

    advantage: Rate = 0.0
    bits: Amount | None = None
    worst_off: bool = True


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
        cache: Where judges, priors and trained models are kept for other runs; ``None`` for the
            run's own folder.
        plan: Where the plan is, for other processes that work on the run; ``None`` for one that
            was made in Python.
        started: When it was begun, or gone on with.
        limit: The plan's, if it has one.
        target: The model.
        tested: Terms with what the report says beside them, such as ``Input``.
        checks: What was found of the subject before any attack.
        checked: A hash of all that decides that, so that a run that is resumed need not ask again.
        cells: The keys of the cells, in the plan's order; none where a check failed.
    """

    schema_name: Literal["darkroom/run/2"] = Field(alias="schema")
    run: About
    authorized_by: str | None
    command: str
    plan: str | None = None
    cache: str | None = None
    started: datetime
    limit: Limit | None
    target: TargetRecord
    tested: tuple[tuple[str, str], ...]
    checks: tuple[Check, ...] = ()
    checked: str = ""
    cells: tuple[Key, ...]

    @model_validator(mode="after")
    def _cells_or_a_reason(self) -> Self:
        if not self.cells and all(check.outcome != "failed" for check in self.checks):
            raise ValueError("no cell is named, though no check failed")
        return self

    @field_validator("cells")
    @classmethod
    def _names_each_once(cls, cells: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(cells)) != len(cells):
            raise ValueError("a cell is named twice")
        return cells


class VerdictRecord(Record):
    """What an audit comes to, by one rule for page, console, JSON and exit status.

    Attributes:
        outcome: ``leak``, ``none shown`` or ``cannot tell``.
        sentence: That in a sentence.
        reasons: Why, in sentences.
        smallest_detectable: The smallest advantage above the plan's limit that this audit would
            have found with a chance of 80%; ``None`` where it could have found none.
        checks: What was found of the subject before any attack.
    """

    outcome: Literal["leak", "none shown", "cannot tell"]
    sentence: Words
    reasons: tuple[str, ...]
    smallest_detectable: Amount | None
    checks: tuple[Check, ...]


class Results(Record):
    """``results.json``: the run, its verdict, and its cells in the plan's order."""

    schema_name: Literal["darkroom/results/2"] = Field(alias="schema")
    run: About
    verdict: VerdictRecord
    cells: tuple[SerializeAsAny[Cell], ...]
