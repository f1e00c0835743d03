"""Tables from CSV files, and the data sets that audits of tables are shown on."""

from __future__ import annotations

import csv
import hashlib
import io
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from darkroom.errors import DataError, MissingExtraError
from darkroom.tables.columns import as_number
from darkroom.tables.schema import Rows, Schema, pandas_module, require_column

if TYPE_CHECKING:
    import pandas as pd

DIABETES = "diabetes"
"""The name of the table that is there without a file."""

MISSING = ("", "NA", "N/A", "n/a", "NaN", "nan", "NULL", "null", "None")
"""What a cell says when its value is missing, unless told otherwise."""

Missing = Literal["drop", "refuse"]

_WHOLE = re.compile(r"[+-]?[0-9]+")
_LARGEST = 2**53
"""Beyond this, not every whole number is a number as floating point has them."""


def read_table(
    path: Path,
    *,
    encoding: str = "utf-8-sig",
    separator: str = ",",
    header_rows: int = 1,
    missing: Iterable[str] = MISSING,
    text: Iterable[str] = (),
) -> pd.DataFrame:
    """Reads a CSV file with a header.

    A column whose values are all numbers becomes numbers, integers where all are whole and none is
    missing; one of nothing but true and false becomes truth values; any other is text. Columns
    without a name and without a value, which spreadsheets leave behind, are left out.

    What is not there is looked for by its name in the folder of the environment variable
    ``DARKROOM_DATA``.

    Args:
        path: The file.
        encoding: Of its text; the default takes UTF-8 with or without a byte-order mark.
        separator: What stands between values.
        header_rows: Lines of header; the names are in the first.
        missing: What a cell says when its value is missing, blanks around it aside.
        text: Columns to be kept as text although they look like numbers.

    Raises:
        DataError: If the file is absent, empty, in another encoding or ragged, or has a column
            twice.
    """
    path = _located(path)
    lines = _lines(path, encoding, separator)
    if not lines:
        raise DataError(f"{path}: an empty file: give a CSV with a header and rows")
    header, body = [name.strip() for name in lines[0]], lines[header_rows:]
    if not body:
        raise DataError(f"{path}: no rows under the header: give at least one")
    for number, line in enumerate(body, header_rows + 1):
        if len(line) != len(header):
            raise DataError(
                f"{path}: row {number} has {len(line)} values, but the header has {len(header)} "
                "columns: quote values that hold the separator, or set [private] separator"
            )
    empty = set(missing)
    columns = {
        place: [None if value.strip() in empty else value.strip() for value in values]
        for place, values in enumerate(zip(*body, strict=True))
    }
    kept = [place for place, values in columns.items() if header[place] or any(values)]
    _check_header([header[place] for place in kept], path)
    kept_text = set(text)
    for name in kept_text - set(header):
        require_column(pandas_module().DataFrame(columns=header), name, str(path))
    return pandas_module().DataFrame(
        {header[place]: _typed(header[place], columns[place], kept_text) for place in kept}
    )


def _located(path: Path) -> Path:
    """Looks for a file that is not there in the folder that ``DARKROOM_DATA`` names."""
    elsewhere = os.environ.get("DARKROOM_DATA")
    if not path.exists() and elsewhere and (Path(elsewhere) / path.name).exists():
        return Path(elsewhere) / path.name
    return path


def _lines(path: Path, encoding: str, separator: str) -> list[list[str]]:
    """Reads the file and splits it, without blank lines."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}): check the path") from error
    try:
        words = content.decode(encoding)
    except LookupError as error:
        raise DataError(f"{path}: no encoding is called {encoding!r}") from error
    except UnicodeError as error:
        line = content[: getattr(error, "start", 0)].count(b"\n") + 1
        guess = "utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "cp1252"
        raise DataError(
            f"{path}: line {line} is not {encoding.removesuffix('-sig').upper()} text: set "
            f"encoding, perhaps to {guess!r}, or save the file as UTF-8"
        ) from error
    if "\0" in words:
        raise DataError(f"{path}: holds bytes that are no text: give a CSV, not a spreadsheet file")
    try:
        reader = csv.reader(io.StringIO(words, newline=""), delimiter=separator, strict=True)
        return [line for line in reader if any(value.strip() for value in line)]
    except (csv.Error, TypeError) as error:
        raise DataError(f"{path}: no CSV ({error}): check its quotes and its separator") from error


def _check_header(names: Sequence[str], path: Path) -> None:
    for place, name in enumerate(names, 1):
        if not name:
            raise DataError(f"{path}: column {place} has no name: add one to the header")
        if names.count(name) > 1:
            raise DataError(f"{path}: column {name!r} is there twice: rename or remove one of them")


def _typed(name: str, values: list[str | None], text: set[str]) -> Any:
    """Turns a column into numbers or truth values where all of it are, and leaves text alone.

    Types are those that pandas reads: integers stay integers where none is missing.
    """
    if name in text or None in values:
        whole = False
    elif {value.lower() for value in values if value is not None} <= {"true", "false"}:
        return np.array([value is not None and value.lower() == "true" for value in values])
    else:
        whole = all(value is not None and _WHOLE.fullmatch(value) for value in values)
    numbers = [None if value is None else as_number(value) for value in values]
    if name in text or any(
        number is None and value is not None for value, number in zip(values, numbers, strict=True)
    ):
        return np.array(values, dtype=object)
    found = np.array([np.nan if number is None else number for number in numbers])
    return found.astype(np.int64) if whole and np.abs(found).max() < _LARGEST else found


class Encoded(NamedTuple):
    """Rows as numbers with what the model shall predict.

    Attributes:
        rows: ``(n, columns)``.
        response: The true response, encoded as the schema's, ``(n,)``.
        numbers: The place of each row in the table it came from, ``(n,)``.
        dropped: How many rows were left out because a value was missing.
    """

    rows: Rows
    response: NDArray[np.float64]
    numbers: NDArray[np.int64]
    dropped: int


def encode_table(
    frame: pd.DataFrame,
    schema: Schema,
    *,
    missing: Missing = "drop",
    response: bool = True,
    where: str = "table",
) -> Encoded:
    """Encodes a table, and leaves out rows in which a value is missing.

    Args:
        frame: Has the schema's columns.
        schema: What they are.
        missing: ``drop`` leaves out rows with a missing value in a column that is used;
            ``refuse`` makes that an error.
        response: Whether the response is needed; without it the encoded response is NaN.
        where: What the table is, for messages.

    Raises:
        DataError: If a column is absent or holds what it may not, or no row is left.
    """
    rows = schema.encode(frame, where)
    truth = np.full(len(frame), np.nan)
    holes = np.isnan(rows)
    if response:
        require_column(frame, schema.response.name, where)
        truth = schema.response.encode(frame[schema.response.name], where)
        holes = np.column_stack([holes, np.isnan(truth)])
    names = [*schema.names, schema.response.name]
    worst = names[int(holes.sum(axis=0).argmax())] if holes.size else ""
    spoiled = holes.any(axis=1)
    if spoiled.any() and missing == "refuse":
        raise DataError(
            f"{where}: {int(spoiled.sum())} rows have missing values, most in column {worst!r}: "
            "fill them in, or set missing = 'drop'"
        )
    kept = np.flatnonzero(~spoiled)
    if not len(kept):
        raise DataError(
            f"{where}: no row is complete; column {worst!r} misses most: leave that column out"
        )
    return Encoded(rows[kept], truth[kept], kept, int(spoiled.sum()))


@dataclass(frozen=True)
class TableData:
    """A table with its split: who the model has seen, who not, and what is public.

    Attributes:
        schema: What the columns are.
        members: Rows that the model was trained on.
        others: Rows of the same kind that it was not trained on; maybe none.
        public: Rows that the attacker may have; disjoint from both.
    """

    schema: Schema
    members: Encoded
    others: Encoded
    public: Encoded

    def digest(self) -> str:
        """Returns a hash of all rows, as hexadecimal digits."""
        digest = hashlib.sha256(repr(self.schema).encode())
        for part in (self.members, self.others, self.public):
            digest.update(np.ascontiguousarray(part.rows).tobytes())
            digest.update(np.ascontiguousarray(part.response).tobytes())
        return digest.hexdigest()


def take(encoded: Encoded, chosen: NDArray[np.int64]) -> Encoded:
    """Returns some of the rows, by place."""
    return Encoded(
        encoded.rows[chosen], encoded.response[chosen], encoded.numbers[chosen], encoded.dropped
    )


def load_diabetes_table() -> pd.DataFrame:
    """Returns scikit-learn's diabetes data: 442 patients, nothing is downloaded.

    Columns are in their own units, ``sex`` is ``1`` or ``2`` as in the source (Efron et al. 2004,
    which does not say which is which), and ``progression`` is the disease's a year later.

    Raises:
        MissingExtraError: If scikit-learn is not installed.
    """
    try:
        from sklearn.datasets import load_diabetes
    except ImportError as error:
        raise MissingExtraError("scikit-learn", "tables") from error
    table = load_diabetes(as_frame=True, scaled=False)
    frame = table.data.rename(columns=DIABETES_NAMES)
    frame["sex"] = frame["sex"].astype(int).astype(str)
    return frame.assign(progression=table.target)


DIABETES_NAMES = {
    "bp": "pressure",
    "s1": "cholesterol",
    "s2": "ldl",
    "s3": "hdl",
    "s4": "ratio",
    "s5": "triglycerides",
    "s6": "glucose",
}
