"""What each column of a table is, read from its values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from darkroom.errors import DataError
from darkroom.tables.schema import (
    Column,
    Encoding,
    Schema,
    is_number,
    pandas_module,
    require_column,
)

if TYPE_CHECKING:
    import pandas as pd

SENSITIVE_AS_CATEGORIES = 10
"""A sensitive column of numbers with at most so many different ones is taken as categorical."""

RESPONSE_AS_CLASSES = 20
"""A response of whole numbers with at most so many different ones is taken as classes."""

FEW_STRAYS = 0.2
"""A column in which at most this share of values are no numbers is taken for spoiled numbers."""


def schema_of(
    frame: pd.DataFrame,
    response: str,
    sensitive: Iterable[str],
    *,
    inputs: Iterable[str] | None = None,
    unknown: Iterable[str] = (),
    derived: Iterable[str] = (),
    encoding: Encoding = "",
    declared: Mapping[str, Column] | None = None,
    where: str = "table",
) -> Schema:
    """Reads a schema from a table.

    Text, truth values and pandas categories are categorical, numbers are numeric, with two
    exceptions that are categorical: a sensitive column with at most
    :data:`SENSITIVE_AS_CATEGORIES` different numbers, and a response with at most
    :data:`RESPONSE_AS_CLASSES` different whole numbers.

    Args:
        frame: All rows that there are, so that no category is missed.
        response: The column that the model predicts.
        sensitive: The columns to infer.
        inputs: The model's inputs in its order; all columns but the response when left out.
        unknown: Further columns that the attacker does not know.
        derived: Columns that follow from the sensitive ones.
        encoding: How the sensitive columns are one attribute, if they are.
        declared: Columns whose kind or values are to be others than those found.
        where: What the table is, for messages.

    Raises:
        DataError: If a column is absent, repeated, empty or of mixed types.
    """
    sensitive, declared = tuple(sensitive), dict(declared or {})
    require_column(frame, response, where)
    names = [name for name in frame.columns if name != response] if inputs is None else list(inputs)
    for name in (*names, *sensitive, *declared):
        require_column(frame, str(name), where)

    def found(name: str, most: int, *, whole: bool = False) -> Column:
        return declared.get(name) or column_of(frame[name], most, whole=whole, where=where)

    return Schema(
        tuple(found(name, SENSITIVE_AS_CATEGORIES if name in sensitive else 0) for name in names),
        found(response, RESPONSE_AS_CLASSES, whole=True),
        sensitive,
        tuple(unknown),
        tuple(derived),
        encoding,
    )


def column_of(
    series: pd.Series, most: int = 0, *, whole: bool = False, where: str = "table"
) -> Column:
    """Reads the kind and the categories of a column from its values.

    Args:
        series: The values.
        most: Numbers count as categories where there are at most so many different ones.
        whole: Whether only whole numbers may.
        where: What the table is, for messages.

    Raises:
        DataError: If the column is empty, or mixes numbers and text.
    """
    pandas = pandas_module()
    name = str(series.name)
    if isinstance(series.dtype, pandas.CategoricalDtype):
        return Column(name, "categorical", _plain(series.cat.categories), category=True)
    dtype = str(series.dtype)
    present = series.dropna()
    if not len(present):
        raise DataError(f"{where}: column {name!r}: no value in any row: leave the column out")
    numbers = pandas.api.types.is_numeric_dtype(present.dtype)
    stray = None if numbers else _stray(present)
    if stray is not None:
        raise DataError(
            f"{where}: column {name!r}: numbers and text are mixed, such as {stray!r}: mend those "
            "values, say that they mean missing, or declare the column's kind"
        )
    distinct = _plain(sorted(present.unique()))
    if numbers and not pandas.api.types.is_bool_dtype(present.dtype):
        few = len(distinct) <= most
        if not few or (whole and not all(float(value).is_integer() for value in distinct)):
            return Column(name, "numeric", dtype=dtype)
    return Column(name, "categorical", distinct, dtype=dtype, missing_as_none=has_none(series))


def has_none(series: pd.Series) -> bool:
    """Tells whether the first missing value of a column is ``None``, and not NaN."""
    if series.dtype != object:
        return False
    missing = series[series.isna()]
    return bool(len(missing)) and missing.iloc[0] is None


def _stray(present: pd.Series) -> object:
    """Returns a value that does not belong with the others, or ``None``.

    A few words among many numbers are spoiled numbers. A handful of different values, such as 0, 1
    and unknown, are categories.
    """
    values = present.unique()
    kinds = {"number" if is_number(value) else type(value).__name__ for value in values}
    if len(kinds) > 1:
        return next(value for value in values if not is_number(value))
    if kinds != {"str"} or len(values) <= SENSITIVE_AS_CATEGORIES:
        return None
    words = present[[as_number(value) is None for value in present]]
    return words.iloc[0] if 0 < len(words) <= FEW_STRAYS * len(present) else None


def as_number(value: str) -> float | None:
    """Returns the number that a text is, or ``None``."""
    try:
        return float(value)
    except ValueError:
        return None


def _plain(values: Iterable[Any]) -> tuple[Any, ...]:
    """Turns NumPy scalars into Python's own."""
    return tuple(value.item() if isinstance(value, np.generic) else value for value in values)
