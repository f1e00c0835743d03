"""Whether the numbers of public rows are in the units of the private ones."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import ks_2samp

from darkroom.auditing.record import Check
from darkroom.tables.checks.readings import UNITS
from darkroom.tables.data import TableData

NAME = "public numbers"

LEAST, VARIED = 20, 10
"""So many rows of both tables, with so many different numbers, can be compared."""

ALIKE = 0.01
"""The p-value of a Kolmogorov-Smirnov test from which two samples may be of one distribution."""

CHANGES = tuple(
    (f"{done} by {unit:g}", factor)
    for unit in UNITS
    for done, factor in (("multiplied", unit), ("divided", 1 / unit))
)
"""How a number gets another unit."""

Values = NDArray[np.float64]


class Apart(NamedTuple):
    """A number of which public and private rows have little in common.

    Attributes:
        words: Its name, and where its middle halves lie.
        unit: What makes public rows like private ones; empty where no unit does.
    """

    words: str
    unit: str


def check_units(data: TableData) -> Check | None:
    """Asks of each number whether the middle halves of public and private rows meet.

    Where they do not, other units are tried. Baselines learn nothing from such public rows, so that
    an attack would seem to be better than it is. Rows of other people differ so too, mostly in
    several numbers and not by a unit, which is noted.

    Args:
        data: All rows.

    Returns:
        ``None`` where there are no numbers, or too few rows, to compare.
    """
    compared = [one for one in _numbers(data) if _comparable(one[1]) and _comparable(one[2])]
    if not compared:
        return None
    found = [_apart(*one) for one in compared if not _meet(*one[1:])]
    if not found:
        told = "The numbers of public rows lie where those of private rows do."
        return Check(name=NAME, outcome="passed", found=told)
    told = f"Middle halves lie apart, of column {'; of '.join(one.words for one in found)}."
    if all(one.unit for one in found) and (len(found) < len(compared) or len(compared) == 1):
        return Check(
            name=NAME,
            outcome="failed",
            found=told,
            cause="scaling",
            remedy="Give the public rows in the units of the private ones.",
        )
    told += " Baselines learn little about private rows from such public ones."
    return Check(name=NAME, outcome="noted", found=told)


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


def _comparable(values: Values) -> bool:
    """Tells whether there are enough numbers that differ, and not the numbers of rows."""
    if len(values) < LEAST or len(np.unique(values)) < VARIED:
        return False
    return not (np.diff(values) > 0).all()


def _apart(name: str, public: Values, private: Values) -> Apart:
    words = f"{name!r}: {_half(public)} in public rows, {_half(private)} in private ones"
    alike = {said: float(ks_2samp(public * by, private).pvalue) for said, by in CHANGES}
    best = max(alike, key=lambda said: alike[said])
    if alike[best] < ALIKE:
        return Apart(words, "")
    return Apart(f"{words} (which public rows {best} are like)", best)


def _meet(one: Values, other: Values) -> bool:
    (low, high), (from_, to) = (np.quantile(values, (0.25, 0.75)) for values in (one, other))
    return bool(low <= to and from_ <= high)


def _half(values: Values) -> str:
    low, high = np.quantile(values, (0.25, 0.75))
    return f"{low:.4g} to {high:.4g}"
