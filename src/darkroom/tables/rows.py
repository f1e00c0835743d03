"""The rows that a plan names: read, described and divided."""

from __future__ import annotations

from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from darkroom.auditing.plan import parse_slice
from darkroom.errors import DataError
from darkroom.tables.candidates import is_on
from darkroom.tables.columns import has_none, schema_of
from darkroom.tables.data import (
    DIABETES,
    Encoded,
    Missing,
    TableData,
    encode_table,
    load_diabetes_table,
    take,
)
from darkroom.tables.plan import RowsSection, TablePlan
from darkroom.tables.reading.csv_files import read_csv
from darkroom.tables.reading.frames import is_binary, located, read_binary
from darkroom.tables.schema import MOST_COLUMNS, Column, Rows, Schema, pandas_module, require_column
from darkroom.tables.targets.base import TableTarget
from darkroom.tables.targets.sections import TableHttpSection

if TYPE_CHECKING:
    import pandas as pd

ASKED = 20
"""Rows with missing values of each table that a model is tried on."""


def read_frames(plan: TablePlan) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Reads the private and the public rows that a plan names, numbered as in their files.

    Raises:
        DataError: If a file cannot be read, or none of its rows is selected.
    """
    private, public = plan.private, plan.public
    only = None
    if plan.target.inputs is not None:
        named = (plan.target.inputs, private.sensitive.columns, private.columns)
        only = frozenset([plan.target.response, *chain(*named)])
    whole = _read(private, only)
    other = whole if _how(private) == _how(public) else _read(public, only)
    return _selected(private, whole), _selected(public, other)


def _how(section: RowsSection) -> tuple[object, ...]:
    """Returns what decides what is read."""
    return tuple(
        getattr(section, name)
        for name in RowsSection.model_fields
        if name not in ("rows", "missing")
    )


def _read(section: RowsSection, only: frozenset[str] | None) -> pd.DataFrame:
    if str(section.table) == DIABETES:
        return load_diabetes_table()
    path = located(section.table)
    if is_binary(path):
        return read_binary(path)
    return read_csv(
        path,
        encoding=section.encoding,
        separator=section.separator,
        header_rows=section.header_rows,
        missing=section.na,
        text=section.text,
        decimal=section.decimal,
        only=only,
    )


def _selected(section: RowsSection, frame: pd.DataFrame) -> pd.DataFrame:
    chosen = frame.iloc[parse_slice(section.rows)]
    if not len(chosen):
        raise DataError(
            f"{section.table}: rows = {section.rows!r} selects none of {len(frame)} rows"
        )
    return chosen


def refuse_overlap(plan: TablePlan) -> None:
    """Refuses public rows that are private: baselines would know the answers."""
    private, public = plan.private, plan.public
    if private.table != public.table:
        return
    far = 1 << 62
    ours, theirs = (slice_range(one.rows, far) for one in (private, public))
    if max(ours.start, theirs.start) < min(ours.stop, theirs.stop):
        raise DataError(
            f"{private.table}: private rows {private.rows!r} and public rows {public.rows!r} "
            "overlap: give [private] rows and [public] rows that do not"
        )


def slice_range(text: str, n: int) -> range:
    """Returns the places that a slice selects of ``n``."""
    return range(*parse_slice(text).indices(n))


def plan_schema(plan: TablePlan, private: pd.DataFrame, public: pd.DataFrame) -> Schema:
    """Reads the schema from all rows, private and public, and the plan's declarations.

    Raises:
        DataError: If a column is absent, repeated or of mixed types; the message names it.
    """
    where, response = str(plan.private.table), plan.target.response
    inputs = plan.target.inputs
    names = [name for name in private.columns if name != response] if inputs is None else inputs
    if len(names) > MOST_COLUMNS:
        raise DataError(
            f"{where}: {len(names):,} input columns, more than {MOST_COLUMNS:,}: name those that "
            "the model takes in [target] inputs"
        )
    for name in (*names, *plan.private.sensitive.columns, *plan.private.columns, response):
        require_column(private, name, where)
        require_column(public, name, str(plan.public.table))
    everything = pandas_module().concat(
        [private[[*names, response]], public[[*names, response]]], ignore_index=True
    )
    declared = {
        name: Column(name, section.kind, tuple(section.values))
        if section.kind == "numeric" or section.values
        else Column(name, "categorical", _found_values(everything[name]))
        for name, section in plan.private.columns.items()
    }
    schema = schema_of(
        everything,
        response,
        plan.private.sensitive.columns,
        inputs=names,
        unknown=plan.private.unknown,
        derived=plan.private.derived,
        encoding=plan.private.sensitive.encoding,
        declared=declared,
        where=where,
    )
    # The model was trained on private rows: what those are is what it knows.
    columns = tuple(_as_in(column, private[column.name]) for column in schema.columns)
    return replace(schema, columns=columns, possible=possible_values(schema, everything, where))


def _as_in(column: Column, series: pd.Series) -> Column:
    """Returns a column with the type, and the kind of missing value, that a table has there."""
    return replace(column, dtype=str(series.dtype), missing_as_none=has_none(series))


def possible_values(
    schema: Schema, frame: pd.DataFrame, where: str = "table"
) -> tuple[tuple[float, ...], ...]:
    """Returns the joint values of sensitive and derived columns that are in some row, encoded.

    Nothing where one column is sensitive and none follows from it, or a sensitive one is a number.

    Args:
        schema: The table's.
        frame: All rows that there are.
        where: What the table is, for messages.

    Raises:
        DataError: If columns of a one-hot encoding are none, or a derived column does not follow.
    """
    sensitive = [schema.column(name) for name in schema.sensitive]
    numbers = [column.name for column in sensitive if column.kind == "numeric"]
    if len(sensitive) + len(schema.derived) == 1 or (numbers and not schema.derived):
        return ()
    if numbers:
        raise DataError(
            f"column {numbers[0]!r}: columns can follow from categories alone: declare it "
            "categorical, or leave out derived"
        )
    columns = [*sensitive, *(schema.column(name) for name in schema.derived)]
    rows = np.stack([column.encode(frame[column.name], where) for column in columns], axis=1)
    found = np.unique(rows[~np.isnan(rows).any(axis=1)], axis=0)
    if schema.encoding:
        _require_one_hot(sensitive, found, where)
    same = (np.diff(found[:, : len(sensitive)], axis=0) == 0).all(axis=1)
    if same.any():
        row = int(same.argmax())
        place = int((found[row] != found[row + 1]).argmax())
        raise DataError(
            f"{where}: column {columns[place].name!r} does not follow from "
            f"{', '.join(schema.sensitive)}: the same value stands beside several of it: leave it "
            "out of derived, or name it in unknown"
        )
    # In the order of the columns, and none of them last.
    return tuple(map(tuple, (found[::-1] if schema.encoding else found).tolist()))


def _require_one_hot(columns: list[Column], found: Rows, where: str) -> None:
    """Refuses columns that are no one-hot encoding.

    Raises:
        DataError: The message names the columns that are on together, or one that is neither.
    """
    on = np.zeros((len(found), len(columns)), dtype=bool)
    for place, column in enumerate(columns):
        if len(column.values) > 2:
            raise DataError(
                f"{where}: column {column.name!r} has {len(column.values)} values: columns of a "
                "one-hot encoding hold 0 and 1, or truth values"
            )
        on[:, place] = [is_on(column, value) for value in found[:, place]]
    several = on.sum(axis=1) > 1
    if several.any():
        names = [columns[place].name for place in np.flatnonzero(on[several][0])]
        raise DataError(
            f"{where}: columns {' and '.join(names[:2])} are on in the same row, which a one-hot "
            "encoding has not: name them as sensitive columns of their own"
        )


def _found_values(series: pd.Series) -> tuple[object, ...]:
    found = series.dropna().unique().tolist()
    return tuple(sorted(found, key=lambda value: (isinstance(value, str), value)))


def split_tables(
    plan: TablePlan, target: TableTarget, private: pd.DataFrame, public: pd.DataFrame
) -> TableData:
    """Encodes both tables and divides the private one into members and others.

    Where the plan leaves it open, rows with missing values are kept if the model takes them. A
    served model is not asked: that would cost queries.

    Raises:
        DataError: If a column holds what it may not, or no row is complete.
    """
    schema = target.schema
    left_open = "auto" in (plan.private.missing, plan.public.missing)
    asked = left_open and not isinstance(plan.target, TableHttpSection)
    usual: Missing = "keep" if asked and takes_missing(target, private, public) else "drop"

    def encoded_of(frame: pd.DataFrame, section: RowsSection) -> Encoded:
        missing = usual if section.missing == "auto" else section.missing
        return encode_table(frame, schema, missing=missing, where=str(section.table))

    encoded = encoded_of(private, plan.private)
    told = plan.private.trained_on
    last = parse_slice(told).stop
    if last is not None and last > len(private):
        raise DataError(
            f"{plan.private.table}: [private] trained_on {told!r} ends at row {last:,}, of "
            f"{len(private):,}: name the rows that the model was trained on"
        )
    member = _chosen(len(private), told)[encoded.numbers]
    return TableData(
        schema,
        take(encoded, np.flatnonzero(member)),
        take(encoded, np.flatnonzero(~member)),
        encoded_of(public, plan.public),
    )


def takes_missing(target: TableTarget, *tables: pd.DataFrame) -> bool:
    """Tells whether a model predicts rows in which values are missing that an attacker knows.

    Args:
        target: Is asked about a few such rows; ``False`` if there are none.
        tables: With the columns of its schema.
    """
    schema = target.schema
    hidden = [schema.names[place] for place in schema.hidden]
    known = [schema.names[place] for place in schema.visible]
    some = [
        one[one[known].isna().any(axis=1) & ~one[hidden].isna().any(axis=1)][:ASKED]
        for one in tables
        if set(schema.names) <= set(one.columns)
    ]
    rows = [schema.encode(one) for one in some if len(one)]
    try:
        return bool(rows) and not np.isnan(target.predict(np.concatenate(rows))).any()
    except Exception:  # whatever a model that takes none raises
        return False


def _chosen(n: int, text: str) -> NDArray[np.bool_]:
    chosen = np.zeros(n, dtype=bool)
    chosen[parse_slice(text)] = True
    return chosen
