"""Whether the numbers of public rows are in the units of the private ones."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from darkroom.auditing.record import Check
from darkroom.tables.checks.readings import UNITS
from darkroom.tables.data import TableData

NAME = "public numbers"

LEAST = 20
"""So many rows of both tables have a middle half that says something."""

CHANGES = tuple(
    (f"{done} by {unit:g}", factor)
    for unit in UNITS
    for done, factor in (("multiplied", unit), ("divided", 1 / unit))
)
"""How a number gets another unit."""

Values = NDArray[np.float64]


def check_units(data: TableData) -> Check | None:
    """Asks of each number whether the middle halves of public and private rows meet.

    Where they do not, other units are tried. Baselines learn nothing from such public rows, so that
    an attack would seem to be better than it is.

    Args:
        data: All rows.

    Returns:
        ``None`` where there are no numbers, or too few rows, to compare.
    """
    compared, apart = 0, []
    for name, public, private in _numbers(data):
        if min(len(public), len(private)) < LEAST:
            continue
        compared += 1
        if _meet(public, private):
            continue
        words = f"{name!r}: {_half(public)} in public rows, {_half(private)} in private ones"
        unit = next((said for said, by in CHANGES if _alike(public * by, private)), None)
        if unit is not None:
            return Check(
                name=NAME,
                outcome="failed",
                found=f"Middle halves of column {words}. Public rows {unit} are like private ones.",
                cause="scaling",
                remedy="Give the public rows in the units of the private ones.",
            )
        apart.append(words)
    if apart:
        found = f"Middle halves that do not meet, of column {'; of '.join(apart)}. "
        found += "Baselines learn little about private rows from such public ones."
        return Check(name=NAME, outcome="noted", found=found)
    if not compared:
        return None
    found = "The numbers of public rows lie where those of private rows do."
    return Check(name=NAME, outcome="passed", found=found)


def _numbers(data: TableData) -> Iterator[tuple[str, Values, Values]]:
    """Yields each number by name, as it is in public and in private rows where it is known."""
    schema, tables = data.schema, (data.members, data.others)
    for place, column in enumerate(schema.columns):
        if column.kind == "numeric":
            private = np.concatenate([one.rows[:, place] for one in tables])
            yield column.name, _known(data.public.rows[:, place]), _known(private)
    if schema.response.kind == "numeric":
        private = np.concatenate([one.response for one in tables])
        yield schema.response.name, _known(data.public.response), _known(private)


def _known(values: Values) -> Values:
    return values[np.isfinite(values)]


def _meet(one: Values, other: Values) -> bool:
    (low, high), (from_, to) = (np.quantile(values, (0.25, 0.75)) for values in (one, other))
    return bool(low <= to and from_ <= high)


def _alike(one: Values, other: Values) -> bool:
    """Tells whether the median of each is in the middle half of the other."""
    halves = (np.quantile(values, (0.25, 0.5, 0.75)) for values in (one, other))
    (low, middle, high), (from_, between, to) = halves
    return bool(low <= between <= high and from_ <= middle <= to)


def _half(values: Values) -> str:
    low, high = np.quantile(values, (0.25, 0.75))
    return f"{low:.4g} to {high:.4g}"
