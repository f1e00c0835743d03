"""What a table's columns are, and rows as numbers: the shape that table targets own."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from darkroom.errors import DataError, MissingExtraError, nearest

if TYPE_CHECKING:
    import pandas as pd

Kind = Literal["categorical", "numeric"]

Encoding = Literal["", "one-hot"]

Rows = NDArray[np.float64]
"""Rows as numbers, ``(n, columns)``: values of numeric columns, places in ``Column.values`` of
categorical ones, NaN where a value is unknown."""

MOST_VALUES = 1000
"""A column with more values than this is neither guessed nor predicted: it names rows."""

MOST_COLUMNS = 10_000
"""A model with more inputs than this is refused."""


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
        dtype: The type with which models get it otherwise, in pandas' words; as the values are when
            empty.
        missing_as_none: Whether models get ``None`` for a missing value, as the table has it, and
            not NaN.
    """

    name: str
    kind: Kind
    values: tuple[Any, ...] = ()
    category: bool = False
    dtype: str = ""
    missing_as_none: bool = False

    def __post_init__(self) -> None:
        """Refuses columns that make no sense.

        Raises:
            DataError: If a categorical column has no values or repeated ones, or a
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

    @property
    def whole(self) -> bool:
        """Whether it is a number that models get as an integer."""
        return self.kind == "numeric" and "int" in self.dtype.lower()

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
        """Returns the values that numbers stand for, of the column's own type.

        Args:
            encoded: ``(n,)``.

        Returns:
            An array of NumPy or pandas, ``(n,)``.
        """
        if self.kind == "numeric":
            known = encoded.round() if self.whole else encoded
            return self._typed(known, missing=bool(np.isnan(encoded).any()))
        missing = np.isnan(encoded)
        places = np.where(missing, 0, encoded).astype(np.int64)
        if self.category:
            codes = np.where(missing, -1, places)
            return pandas_module().Categorical.from_codes(codes, categories=list(self.values))
        values = _values_array(self.values)[places]
        if missing.any():
            numbers = values.dtype.kind in "iuf" and self.dtype != "object"
            values = values.astype(np.float64 if numbers else object)
            values[missing] = None if self.missing_as_none else np.nan
        return self._typed(values, missing=bool(missing.any()))

    def _typed(self, values: NDArray[Any], *, missing: bool) -> Any:
        """Gives values the column's type, unless it has none for missing ones."""
        if self.dtype == "object":
            # pandas would take objects that are all text, or missing, for text.
            return pandas_module().Series(values, dtype=object)
        unable = missing and self.dtype[:1].islower() and self.dtype != "str"
        plain = self.dtype in ("", "category") or unable
        return values if plain else pandas_module().Series(values).astype(self.dtype)

    def label(self, encoded: float) -> str:
        """Returns one value as text."""
        if self.kind == "numeric":
            return f"{encoded:.4g}"
        return str(self.values[int(encoded)])


def _values_array(values: tuple[Any, ...]) -> NDArray[Any]:
    """Returns categories as an array, of numbers where all are."""
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return np.asarray(values) if all(is_number(value) for value in values) else array


def is_number(value: object) -> bool:
    """Tells whether a value is a number, which a truth value is not."""
    return isinstance(value, int | float | np.number) and not isinstance(value, bool | np.bool_)


@dataclass(frozen=True)
class Schema:
    """What a table target takes, what it predicts, and what an attacker is after.

    Attributes:
        columns: The model's inputs, in its order.
        response: What the model predicts: categorical for a classifier, numeric for a regressor.
        sensitive: Names of the columns to infer; none where a class is to be inverted.
        unknown: Names of further columns that the attacker does not know.
        derived: Names of columns that follow from the sensitive ones, and change with them.
        encoding: ``one-hot`` where the sensitive columns are one attribute, of which one column at
            most is on; empty where each is an attribute of its own.
        possible: The joint values of sensitive and derived columns that there are, encoded; all
            there could be when empty.
    """

    columns: tuple[Column, ...]
    response: Column
    sensitive: tuple[str, ...]
    unknown: tuple[str, ...] = ()
    derived: tuple[str, ...] = ()
    encoding: Encoding = ""
    possible: tuple[tuple[float, ...], ...] = ()

    def __post_init__(self) -> None:
        """Refuses schemas in which nothing can be inferred.

        Raises:
            DataError: If names repeat or are absent, or a sensitive column has a single value.
        """
        names = self.names
        if len(set(names)) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise DataError(f"column {twice!r} is there twice: rename or remove one of them")
        if self.response.name in names:
            raise DataError(f"column {self.response.name!r} is the response and an input: pick one")
        for name in (*self.sensitive, *self.derived, *self.unknown):
            if name not in names:
                raise DataError(f"no input column is called {name!r}: {nearest(name, names)}")
        if len(set(self.sensitive)) != len(self.sensitive):
            raise DataError("a sensitive column is named twice: name each once")
        for name in {*self.sensitive, *self.derived} & set(self.unknown):
            raise DataError(f"column {name!r}: sensitive columns are unknown already: remove it")
        for name in set(self.sensitive) & set(self.derived):
            raise DataError(f"column {name!r}: it follows from itself: leave it out of derived")
        for column in (*map(self.column, (*self.sensitive, *self.unknown)), self.response):
            if len(column.values) > MOST_VALUES:
                raise DataError(
                    f"column {column.name!r}: {len(column.values)} different values, more than "
                    f"{MOST_VALUES}: leave out identifiers and free text, or declare it numeric"
                )
        for name in self.sensitive:
            column = self.column(name)
            if not self.encoding and column.kind == "categorical" and len(column.values) < 2:
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
        return self.positions((*self.sensitive, *self.derived, *self.unknown))

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
