"""Other ways to read the same table, one of which may be the model's own."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from darkroom.tables.schema import Column, Rows, Schema, is_number

UNITS = (12.0, 7.0, 10.0, 100.0, 1000.0, 24.0, 60.0, 2.54, 0.4536, 365.25)
"""By what units of the same thing differ: months, weeks, grams, hours, inches, pounds, days."""

MOST_SWAPS = 190


class Reading(NamedTuple):
    """Rows as the model would get them otherwise.

    Attributes:
        cause: What would be wrong with the audit's own reading, in words that stay the same.
        said: What was done, after "with".
        schema: What the columns are.
        rows: As this schema encodes them, ``(n, columns)``.
    """

    cause: str
    said: str
    schema: Schema
    rows: Rows


def readings(schema: Schema, rows: Rows) -> Iterator[Reading]:
    """Yields other readings, the likeliest mistakes first.

    Args:
        schema: The audit's own reading.
        rows: Rows that the model was trained on, ``(n, columns)``, two or more.
    """
    yield from _types(schema, rows)
    yield from _scales(schema, rows)
    yield from _orders(schema, rows)
    yield from _units(schema, rows)


def moved(schema: Schema, rows: Rows, order: NDArray[np.int64]) -> tuple[Schema, Rows]:
    """Returns a table with its values under other headings; ``order`` says which column's."""
    columns = tuple(
        replace(schema.columns[place], name=schema.columns[heading].name)
        for heading, place in enumerate(order)
    )
    return _with(schema, columns), rows[:, order]


def _orders(schema: Schema, rows: Rows) -> Iterator[Reading]:
    names, width = schema.names, len(schema.names)
    backwards = np.arange(width)[::-1]
    alphabet = np.argsort(np.array(names, dtype=str), kind="stable")
    for said, order in (("reversed", backwards), ("sorted by name", alphabet)):
        yield Reading("column order", f"columns {said}", *moved(schema, rows, order))
    back = np.argsort(alphabet)
    yield Reading("column order", "columns as if sorted by name", *moved(schema, rows, back))
    for one, other in itertools.islice(itertools.combinations(range(width), 2), MOST_SWAPS):
        order = np.arange(width)
        order[[one, other]] = other, one
        said = f"columns {names[one]!r} and {names[other]!r} swapped"
        yield Reading("column order", said, *moved(schema, rows, order))


def _types(schema: Schema, rows: Rows) -> Iterator[Reading]:
    """Yields columns in other types, all of a kind at once."""
    changes: tuple[tuple[str, Callable[[Column], Column | None]], ...] = (
        ("whole numbers as decimals", lambda one: _typed(one, "float64", whole=True)),
        ("decimals as whole numbers", lambda one: _typed(one, "int64", whole=False)),
        ("numbers as text", _as_text),
        ("text as numbers", _as_numbers),
        ("truth values as numbers", _as_zero_and_one),
        ("truth values as text", lambda one: _as_text(one) if _is_truth(one) else None),
    )
    for said, change in changes:
        changed = [change(column) for column in schema.columns]
        if any(column is not None for column in changed):
            columns = tuple(
                own if other is None else other
                for own, other in zip(schema.columns, changed, strict=True)
            )
            yield Reading("dtype", said, _with(schema, columns), rows)


def _typed(column: Column, dtype: str, *, whole: bool) -> Column | None:
    numbers = column.kind == "numeric" or all(map(is_number, column.values))
    is_whole = "int" in column.dtype.lower()
    return replace(column, dtype=dtype) if numbers and is_whole == whole else None


def _is_truth(column: Column) -> bool:
    return bool(column.values) and all(isinstance(one, bool) for one in column.values)


def _as_text(column: Column) -> Column | None:
    if column.kind == "numeric" or isinstance(column.values[0], str):
        return None
    return replace(column, values=tuple(map(str, column.values)), dtype="", category=False)


def _as_numbers(column: Column) -> Column | None:
    try:
        # A comma is what many write for the decimal point.
        values = tuple(float(str(one).replace(",", ".")) for one in column.values)
    except ValueError:
        return None
    if column.kind == "numeric" or not isinstance(column.values[0], str):
        return None
    whole = all(value.is_integer() for value in values)
    typed = tuple(map(int, values)) if whole else values
    if len(set(typed)) < len(typed):
        return None
    return replace(column, values=typed, dtype="int64" if whole else "", category=False)


def _as_zero_and_one(column: Column) -> Column | None:
    if not _is_truth(column):
        return None
    return replace(column, values=tuple(map(int, column.values)), dtype="int64")


def _scales(schema: Schema, rows: Rows) -> Iterator[Reading]:
    """Yields all numbers scaled in the usual ways, by these very rows."""
    for told, also in (("numbers", False), ("numbers and codes", True)):
        plain, places, numbers = _numbers(schema, rows, also=also)
        if not places:
            continue
        found = numbers[:, places]
        low, width = found.min(axis=0), np.ptp(found, axis=0)
        spread = found.std(axis=0)
        ways: dict[str, Any] = {
            "scaled to mean 0 and deviation 1": (found - found.mean(axis=0)) / _positive(spread),
            "scaled to between 0 and 1": (found - low) / _positive(width),
            "divided by the largest": found / _positive(np.abs(found).max(axis=0)),
        }
        if (found > -1).all():
            ways["as logarithms"] = np.log1p(found)
        for said, scaled in ways.items():
            changed = numbers.copy()
            changed[:, places] = scaled
            yield Reading("scaling", f"{told} {said}", plain, changed)


def _units(schema: Schema, rows: Rows) -> Iterator[Reading]:
    """Yields single numbers in other units."""
    plain, places, numbers = _numbers(schema, rows, also=False)
    for place, unit in itertools.product(places, UNITS):
        for said, factor in (("multiplied", unit), ("divided", 1 / unit)):
            changed = numbers.copy()
            changed[:, place] *= factor
            words = f"column {schema.names[place]!r} {said} by {unit:g}"
            yield Reading("scaling", words, plain, changed)


def _numbers(schema: Schema, rows: Rows, *, also: bool) -> tuple[Schema, list[int], Rows]:
    """Returns a schema and rows in which numbers are decimals, and where those stand.

    Args:
        schema: The audit's own.
        rows: ``(n, columns)``.
        also: Whether categories that are numbers count.
    """
    columns, numbers, places = list(schema.columns), rows.copy(), []
    for place, column in enumerate(schema.columns):
        coded = also and column.kind == "categorical" and all(map(is_number, column.values))
        if coded:
            numbers[:, place] = np.array(column.values, np.float64)[rows[:, place].astype(int)]
        if coded or column.kind == "numeric":
            columns[place] = Column(column.name, "numeric", dtype="float64")
            places.append(place)
    return _with(schema, tuple(columns)), places, numbers


def _positive(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(values > 0, values, 1.0)


def _with(schema: Schema, columns: tuple[Column, ...]) -> Schema:
    """Returns a schema of other columns, in which nothing is to be inferred."""
    return Schema(columns, schema.response, ())
