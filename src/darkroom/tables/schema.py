"""What a table's columns are, and rows as numbers: the shape that table targets own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from darkroom.errors import DataError, MissingExtraError, nearest

if TYPE_CHECKING:
    import pandas as pd

Kind = Literal["categorical", "numeric"]

Rows = NDArray[np.float64]
"""Rows as numbers, ``(n, columns)``: values of numeric columns, places in ``Column.values`` of
categorical ones, NaN where a value is unknown."""

MOST_VALUES = 1000
"""A categorical column with more values than this is refused: it names rows, not groups."""

SENSITIVE_AS_CATEGORIES = 10
"""A sensitive column of numbers with at most so many different ones is taken as categorical."""

RESPONSE_AS_CLASSES = 20
"""A response of whole numbers with at most so many different ones is taken as classes."""

FEW_STRAYS = 0.2
"""A column in which at most this share of values are no numbers is taken for spoiled numbers."""


def pandas_module() -> Any:
    """Returns pandas.

    Raises:
        MissingExtraError: If it is not installed.
    """
    try:
        import pandas
    except ImportError as error:
        raise MissingExtraError("pandas", "tables") from error
    return pandas


@dataclass(frozen=True)
class Column:
    """One column of a table.

    Attributes:
        name: As in the table's header.
        kind: ``categorical`` or ``numeric``.
        values: The categories in order: text, numbers or truth values; empty for numeric columns.
        category: Whether models get the column with pandas' ``category`` type.
    """

    name: str
    kind: Kind
    values: tuple[Any, ...] = ()
    category: bool = False

    def __post_init__(self) -> None:
        """Refuses columns that make no sense.

        Raises:
            DataError: If a categorical column has no values, too many or repeated ones, or a
                numeric one has any.
        """
        if self.kind == "numeric":
            if self.values:
                raise DataError(f"column {self.name!r}: numeric columns take no values")
            return
        if not self.values:
            raise DataError(f"column {self.name!r}: no value in any row: leave the column out")
        if len(set(self.values)) != len(self.values):
            raise DataError(f"column {self.name!r}: a value is listed twice")
        if len(self.values) > MOST_VALUES:
            raise DataError(
                f"column {self.name!r}: {len(self.values)} different values, more than "
                f"{MOST_VALUES}: leave out identifiers and free text, or declare it numeric"
            )

    def encode(self, series: pd.Series, where: str = "table") -> Rows:
        """Turns a column's values into numbers.

        Args:
            series: The values; missing ones become NaN.
            where: What the table is, for messages.

        Raises:
            DataError: If a value is no number or no known category; the message names it.
        """
        missing = series.isna().to_numpy()
        if self.kind == "numeric":
            return self._numbers(series, missing, where)
        found = pandas_module().Index(self.values).get_indexer(series.astype(object))
        unseen = (found < 0) & ~missing
        if unseen.any():
            value = series[unseen].iloc[0]
            raise DataError(
                f"{where}: column {self.name!r}: value {value!r} in {int(unseen.sum())} rows is "
                f"none of the {len(self.values)} declared: declare it, or leave out those rows"
            )
        return np.where(missing, np.nan, found).astype(np.float64)

    def _numbers(self, series: pd.Series, missing: NDArray[np.bool_], where: str) -> Rows:
        numbers = pandas_module().to_numeric(series, errors="coerce").to_numpy(np.float64)
        wrong = np.isnan(numbers) & ~missing
        if wrong.any():
            raise DataError(
                f"{where}: column {self.name!r}: {int(wrong.sum())} of {len(series)} values are "
                f"no numbers, such as {series[wrong].iloc[0]!r}: mend them, or declare the "
                "column categorical"
            )
        if np.isinf(numbers).any():
            raise DataError(f"{where}: column {self.name!r}: a value is infinite: mend that row")
        return np.asarray(numbers)

    def decode(self, encoded: NDArray[np.float64]) -> Any:
        """Returns the values that numbers stand for, as an array or a pandas ``Categorical``.

        Args:
            encoded: ``(n,)``.
        """
        if self.kind == "numeric":
            return encoded
        missing = np.isnan(encoded)
        places = np.where(missing, 0, encoded).astype(np.int64)
        if self.category:
            codes = np.where(missing, -1, places)
            return pandas_module().Categorical.from_codes(codes, categories=list(self.values))
        values = _values_array(self.values)[places]
        if missing.any():
            values = values.astype(object)
            values[missing] = None
        return values

    def label(self, encoded: float) -> str:
        """Returns one value as text."""
        if self.kind == "numeric":
            return f"{encoded:.4g}"
        return str(self.values[int(encoded)])


def _values_array(values: tuple[Any, ...]) -> NDArray[Any]:
    """Returns categories as an array, of numbers where all are."""
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return np.asarray(values) if all(_is_number(value) for value in values) else array


def _is_number(value: object) -> bool:
    return isinstance(value, int | float | np.number) and not isinstance(value, bool | np.bool_)


@dataclass(frozen=True)
class Schema:
    """What a table target takes, what it predicts, and what an attacker is after.

    Attributes:
        columns: The model's inputs, in its order.
        response: What the model predicts: categorical for a classifier, numeric for a regressor.
        sensitive: Names of the columns to infer; none where a class is to be inverted.
        unknown: Names of further columns that the attacker does not know.
    """

    columns: tuple[Column, ...]
    response: Column
    sensitive: tuple[str, ...]
    unknown: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuses schemas in which nothing can be inferred.

        Raises:
            DataError: If names repeat or are absent, or a sensitive column has a single value.
        """
        names = self.names
        for name in names:
            if names.count(name) > 1:
                raise DataError(f"column {name!r} is there twice: rename or remove one of them")
        if self.response.name in names:
            raise DataError(f"column {self.response.name!r} is the response and an input: pick one")
        for name in (*self.sensitive, *self.unknown):
            if name not in names:
                raise DataError(f"no input column is called {name!r}: {nearest(name, names)}")
        if len(set(self.sensitive)) != len(self.sensitive):
            raise DataError("a sensitive column is named twice: name each once")
        for name in set(self.sensitive) & set(self.unknown):
            raise DataError(f"column {name!r}: sensitive columns are unknown already: remove it")
        for name in self.sensitive:
            column = self.column(name)
            if column.kind == "categorical" and len(column.values) < 2:
                raise DataError(
                    f"column {name!r}: always {column.values[0]!r}: there is nothing to infer"
                )

    @property
    def names(self) -> tuple[str, ...]:
        """The inputs' names, in order."""
        return tuple(column.name for column in self.columns)

    def column(self, name: str) -> Column:
        """Returns an input by name."""
        return self.columns[self.names.index(name)]

    def positions(self, names: Iterable[str]) -> NDArray[np.int64]:
        """Returns where inputs stand.

        Raises:
            DataError: If there is no such input; the message names the nearest.
        """
        found = []
        for name in names:
            if name not in self.names:
                raise DataError(f"no input column is called {name!r}: {nearest(name, self.names)}")
            found.append(self.names.index(name))
        return np.array(found, dtype=np.int64)

    @property
    def hidden(self) -> NDArray[np.int64]:
        """Positions of all columns that the attacker does not know."""
        return self.positions((*self.sensitive, *self.unknown))

    @property
    def visible(self) -> NDArray[np.int64]:
        """Positions of the columns that the attacker knows."""
        return np.setdiff1d(np.arange(len(self.columns)), self.hidden)

    def encode(self, frame: pd.DataFrame, where: str = "table") -> Rows:
        """Turns a table's inputs into numbers.

        Args:
            frame: Has all inputs; further columns are left alone.
            where: What the table is, for messages.

        Returns:
            ``(n, columns)``.

        Raises:
            DataError: If a column is absent or holds what it may not.
        """
        for name in self.names:
            require_column(frame, name, where)
        return np.stack(
            [column.encode(frame[column.name], where) for column in self.columns], axis=1
        )

    def decode(self, rows: Rows) -> pd.DataFrame:
        """Returns rows as the table that models take."""
        return pandas_module().DataFrame(
            {
                column.name: column.decode(rows[:, place])
                for place, column in enumerate(self.columns)
            }
        )


def require_column(frame: pd.DataFrame, name: str, where: str) -> None:
    """Refuses a table without a column, or with two of that name.

    Raises:
        DataError: The message names the nearest column that is there.
    """
    found = int((frame.columns == name).sum())
    if found > 1:
        raise DataError(f"{where}: column {name!r} is there twice: rename or remove one of them")
    if found == 0:
        known = [str(column) for column in frame.columns]
        raise DataError(f"{where}: no column is called {name!r}: {nearest(name, known)}")


def schema_of(
    frame: pd.DataFrame,
    response: str,
    sensitive: Iterable[str],
    *,
    inputs: Iterable[str] | None = None,
    unknown: Iterable[str] = (),
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
            return Column(name, "numeric")
    return Column(name, "categorical", distinct)


def _stray(present: pd.Series) -> object:
    """Returns a value that does not belong with the others, or ``None``.

    A few words among many numbers are spoiled numbers. A handful of different values, such as 0, 1
    and unknown, are categories.
    """
    values = present.unique()
    kinds = {"number" if _is_number(value) else type(value).__name__ for value in values}
    if len(kinds) > 1:
        return next(value for value in values if not _is_number(value))
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
