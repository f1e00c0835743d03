"""Whether the numbers of public rows are in the units of the private ones."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from darkroom.auditing.record import Check
from darkroom.tables.checks.fitting import some
from darkroom.tables.checks.knowledge import Said, surely, surely_better
from darkroom.tables.checks.readings import UNITS
from darkroom.tables.data import Encoded, TableData
from darkroom.tables.subject import TableSubject

NAME = "public numbers"

LEAST = 20
"""So many rows of both tables can be compared."""

CHANGES = tuple(
    (f"{done} by {unit:g}", factor)
    for unit in UNITS
    for done, factor in (("multiplied", unit), ("divided", 1 / unit))
)
"""How a number gets another unit."""

Values = NDArray[np.float64]


class Number(NamedTuple):
    """A number of the tables, where it is known.

    Attributes:
        name: Of its column.
        place: Of its column; ``None`` for the response.
        public: What it is in public rows, ``(m,)``.
        private: What it is in private rows, ``(n,)``.
    """

    name: str
    place: int | None
    public: Values
    private: Values

    def meets(self, factor: float = 1.0) -> bool:
        """Tells whether the middle halves have values in common, once public ones are changed."""
        halves = (np.quantile(some, (0.25, 0.75)) for some in (self.public * factor, self.private))
        (low, high), (from_, to) = halves
        return bool(low <= to and from_ <= high)

    def __str__(self) -> str:
        """Says where the middle halves lie."""
        public, private = _half(self.public), _half(self.private)
        return f"{self.name!r}: {public} in public rows, {private} in private ones"


def check_units(subject: TableSubject) -> Check | None:
    """Asks of each number whether the middle halves of public and private rows meet.

    Where they do not, baselines learn little from public rows, so that an attack would seem to be
    better than it is. Other people differ so too, which is noted. It is a mistake where another
    unit makes the halves meet and the model surely explains the public rows far better in it.

    Args:
        subject: The model and its rows.

    Returns:
        ``None`` where there are no numbers, or too few rows, to compare.
    """
    numbers = [
        one for one in _numbers(subject.data) if min(len(one.public), len(one.private)) >= LEAST
    ]
    if not numbers:
        return None
    apart = [one for one in numbers if not one.meets()]
    if not apart:
        told = "The numbers of public rows lie where those of private rows do."
        return Check(name=NAME, outcome="passed", found=told)
    told = f"Middle halves lie apart, of column {'; of '.join(map(str, apart))}."
    mended = [f"{one.name!r} {unit}" for one in apart if (unit := _unit(subject, one))]
    if mended:
        return Check(
            name=NAME,
            outcome="failed",
            found=f"{told} The model explains public rows far better with {' or '.join(mended)}.",
            cause="scaling",
            remedy="Give the public rows in the units of the private ones.",
        )
    told += " Baselines learn little about private rows from such public ones."
    return Check(name=NAME, outcome="noted", found=told)


def _numbers(data: TableData) -> Iterator[Number]:
    """Yields the numbers among the inputs, then the response where it is one."""
    schema, tables = data.schema, (data.members, data.others)
    for place, column in enumerate(schema.columns):
        if column.kind == "numeric":
            private = np.concatenate([one.rows[:, place] for one in tables])
            yield Number(column.name, place, _known(data.public.rows[:, place]), _known(private))
    if schema.response.kind == "numeric":
        private = np.concatenate([one.response for one in tables])
        yield Number(schema.response.name, None, _known(data.public.response), _known(private))


def _known(values: Values) -> Values:
    return values[np.isfinite(values)]


def _unit(subject: TableSubject, number: Number) -> str:
    """Returns the unit in which the model explains public rows best; empty where none helps."""
    target = subject.target
    if target.served:
        return ""
    public = some(subject.data.public)
    said, drawn = Said.of(target, public.rows, public.response), None
    ways = [(way, factor) for way, factor in CHANGES if number.meets(factor)]
    if number.place is None:
        # Answers are in the unit of private rows.
        tried = {way: said._replace(answers=said.answers / by) for way, by in ways}
    else:
        column = public.rows[:, number.place]
        # Where it helps only to be among private numbers, any of these does as well.
        any_of_them = np.random.default_rng(0).choice(number.private, len(column))
        drawn = _with(subject, public, number.place, any_of_them)
        tried = {way: _with(subject, public, number.place, column * by) for way, by in ways}
    better = {
        way: other
        for way, other in tried.items()
        if surely_better(other, said) and (drawn is None or surely(drawn.losses - other.losses))
    }
    return max(better, key=lambda way: better[way].explained) if better else ""


def _with(subject: TableSubject, public: Encoded, place: int, column: Values) -> Said:
    """Returns what the model says of public rows with another column."""
    rows = public.rows.copy()
    rows[:, place] = column
    return Said.of(subject.target, rows, public.response)


def _half(values: Values) -> str:
    low, high = np.quantile(values, (0.25, 0.75))
    return f"{low:.4g} to {high:.4g}"
