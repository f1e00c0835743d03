"""One row of a table: what is known of it, what the model says to each value, and what follows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from pydantic import BaseModel, ConfigDict

from darkroom.errors import PlanError
from darkroom.lab.attributes.model import Attacked, Attributes
from darkroom.ledger import QueryLedger
from darkroom.tables.targets.view import TableView

if TYPE_CHECKING:
    from darkroom.tables.schema import Column, Rows
    from darkroom.tables.subject import Who


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True)


class Entry(_Part):
    """A column of the row, which the attacker knows.

    Attributes:
        column: Its name.
        value: What stands there.
    """

    column: str
    value: str


class Value(_Part):
    """A value that the sensitive column may have.

    Attributes:
        value: It.
        answer: What the model predicts of the row with this value.
        off: By how much that misses what truly happened; ``None`` where it is a class.
        usual: How probable it is by frequency alone.
        imputed: How probable it is by all that is known of the row, without the model.
        posterior: How probable it is to the attacker, who asked the model.
    """

    value: str
    answer: str
    off: float | None
    usual: float
    imputed: float
    posterior: float


class Patient(_Part):
    """A row as the page shows it; the truth is told to whoever asks for it.

    Attributes:
        row: Its number in the table.
        known: What the attacker knows.
        response: What truly happened, which the attacker knows too.
        sensitive: What it is after.
        values: What that may be.
        queries: Rows that the attack asked about this one.
    """

    row: int
    known: tuple[Entry, ...]
    response: Entry
    sensitive: str
    values: tuple[Value, ...]
    queries: int


def patient_of(table: Attributes, attack: str, who: Who, place: int) -> Patient:
    """Returns a row with all that an attack makes of it.

    Args:
        table: The table.
        attack: The attack's name.
        who: Whether the model was trained on the row.
        place: Which of those it is.

    Raises:
        PlanError: If there is no such attack or row.
    """
    subject, found = table.job.subject, _attacked(table, attack)
    part, schema = subject.part(who), subject.data.schema
    _require(place, len(part.rows))
    row, response = part.rows[place], schema.response
    known = [(schema.columns[at], row[at]) for at in schema.visible]
    return Patient(
        row=int(part.numbers[place]),
        known=tuple(Entry(column=one.name, value=_written(one, held)) for one, held in known),
        response=Entry(column=response.name, value=_written(response, part.response[place])),
        sensitive=", ".join(schema.sensitive),
        values=tuple(_values(table, attack, who, place)),
        queries=round(found.cell.queries.per_goal_median),
    )


def _values(table: Attributes, attack: str, who: Who, place: int) -> Iterator[Value]:
    """Yields each value of the sensitive column, with what the model and guesses say to it."""
    subject, bench = table.job.subject, table.bench
    response = subject.data.schema.response
    happened = float(subject.part(who).response[place])
    beliefs = (bench.usual[who].chances, bench.imputed[who].chances)
    chances = [one[place] for one in (*beliefs, table.attacks[attack].posterior[who])]
    answers = _answers(table, attack, subject.part(who).rows[place])
    for number, label in enumerate(subject.candidates.labels):
        usual, imputed, posterior = (float(one[number]) for one in chances)
        yield Value(
            value=label,
            answer=_written(response, answers[number]),
            off=abs(answers[number] - happened) if response.kind == "numeric" else None,
            usual=usual,
            imputed=imputed,
            posterior=posterior,
        )


def truth_of(table: Attributes, who: Who, place: int) -> str:
    """Returns what the sensitive columns of a row truly hold.

    Raises:
        PlanError: If there is no such row.
    """
    subject = table.job.subject
    _require(place, len(subject.part(who).rows))
    return subject.candidates.labels[int(subject.truth(who)[place])]


def _attacked(table: Attributes, attack: str) -> Attacked:
    if attack not in table.attacks:
        raise PlanError(f"attack: there are {', '.join(table.attacks)}")
    return table.attacks[attack]


def _require(place: int, rows: int) -> None:
    if not 0 <= place < rows:
        raise PlanError(f"patient: there are {rows}, from 0 on")


def _answers(table: Attributes, attack: str, row: Rows) -> list[float]:
    """Asks the model what it predicts of a row with each value, as the attack did."""
    subject, plan = table.job.subject, table.attacks[attack].plan
    view = TableView(subject.target, plan.access, QueryLedger(1))
    rows = subject.candidates.fill(row[None])
    answers = view.predict(rows, np.zeros(len(rows), np.int64))
    return [float(one) for one in answers]


def _written(column: Column, value: float) -> str:
    return "missing" if np.isnan(value) else column.label(float(value))
