"""The rows that a plan names: read, described and divided."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from darkroom.auditing.plan import parse_slice
from darkroom.errors import DataError
from darkroom.tables.columns import schema_of
from darkroom.tables.data import (
    DIABETES,
    TableData,
    encode_table,
    load_diabetes_table,
    read_table,
    take,
)
from darkroom.tables.plan import RowsSection, TablePlan
from darkroom.tables.schema import Column, Schema, pandas_module, require_column

if TYPE_CHECKING:
    import pandas as pd


def read_frame(section: RowsSection) -> pd.DataFrame:
    """Reads the rows that a plan names, numbered as in the file."""
    if str(section.table) == DIABETES:
        frame = load_diabetes_table()
    else:
        frame = read_table(
            section.table,
            encoding=section.encoding,
            separator=section.separator,
            header_rows=section.header_rows,
            missing=section.na,
            text=section.text,
        )
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
    for name in (*names, *plan.private.sensitive, *plan.private.columns, response):
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
        plan.private.sensitive,
        inputs=names,
        unknown=plan.private.unknown,
        declared=declared,
        where=where,
    )
    return replace(
        schema,
        # The model was trained on private rows: what those are is what it knows.
        columns=tuple(
            replace(column, dtype=str(private[column.name].dtype)) for column in schema.columns
        ),
    )


def _found_values(series: pd.Series) -> tuple[object, ...]:
    found = series.dropna().unique().tolist()
    return tuple(sorted(found, key=lambda value: (isinstance(value, str), value)))


def split_tables(
    plan: TablePlan, schema: Schema, private: pd.DataFrame, public: pd.DataFrame
) -> TableData:
    """Encodes both tables and divides the private one into members and others.

    Raises:
        DataError: If a column holds what it may not, or no row is complete.
    """
    encoded = encode_table(
        private, schema, missing=plan.private.missing, where=str(plan.private.table)
    )
    member = _chosen(len(private), plan.private.trained_on)[encoded.numbers]
    return TableData(
        schema,
        take(encoded, np.flatnonzero(member)),
        take(encoded, np.flatnonzero(~member)),
        encode_table(public, schema, missing=plan.public.missing, where=str(plan.public.table)),
    )


def _chosen(n: int, text: str) -> NDArray[np.bool_]:
    chosen = np.zeros(n, dtype=bool)
    chosen[parse_slice(text)] = True
    return chosen
