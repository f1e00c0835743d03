"""CSV files as people have them."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from darkroom.errors import DataError
from darkroom.files import is_special
from darkroom.tables.columns import as_number
from darkroom.tables.schema import MOST_COLUMNS, pandas_module, require_column

if TYPE_CHECKING:
    import pandas as pd

MISSING = ("", "NA", "N/A", "n/a", "NaN", "nan", "NULL", "null", "None")
"""What a cell says when its value is missing, unless told otherwise."""

_WHOLE = re.compile(r"[+-]?[0-9]+")
_COMMA = re.compile(r"[+-]?[0-9.,]*[0-9][0-9.,]*([eE][+-]?[0-9]+)?")
_THOUSANDS = re.compile(r"[+-]?[0-9]{1,3}(,[0-9]{3})+(\.[0-9]*)?")

Decimal = Literal[".", ","]

_LARGEST = 2**53
"""Beyond this, not every whole number is a number as floating point has them."""


def read_csv(
    path: Path,
    *,
    encoding: str = "utf-8-sig",
    separator: str = ",",
    header_rows: int = 1,
    missing: Iterable[str] = MISSING,
    text: Iterable[str] = (),
    decimal: Decimal | None = None,
    only: Collection[str] | None = None,
) -> pd.DataFrame:
    """Reads a CSV file with a header.

    A column whose values are all numbers becomes numbers, integers where all are whole and none is
    missing; one of nothing but true and false becomes truth values; any other is text. Columns
    without a name and without a value, which spreadsheets leave behind, are left out.

    Args:
        path: The file.
        encoding: Of its text; the default takes UTF-8 with or without a byte-order mark.
        separator: What stands between values.
        header_rows: Lines of header; the names are in the first.
        missing: What a cell says when its value is missing, blanks around it aside.
        text: Columns to be kept as text although they look like numbers.
        decimal: What stands before the fraction of a number. Left out, a column of numbers with
            commas is read where it can mean one thing only, and refused where it can mean
            thousands too.
        only: The columns to read; all, if they are not too many, when left out.

    Raises:
        DataError: If the file is absent, empty, in another encoding or ragged, or has a column
            twice.
    """
    lines = _lines(path, encoding, separator)
    if not lines:
        raise DataError(f"{path}: an empty file: give a CSV with a header and rows")
    header, body = [name.strip() for name in lines[0]], lines[header_rows:]
    if not body:
        raise DataError(f"{path}: no rows under the header: give at least one")
    _check_width(header if only is None else header[:2], separator, path)
    _check_lengths(header, body, header_rows, path)
    empty = set(missing)
    columns = {
        place: [None if value.strip() in empty else value.strip() for value in values]
        for place, values in enumerate(zip(*body, strict=True))
        if only is None or header[place] in only
    }
    kept = [place for place, values in columns.items() if header[place] or any(values)]
    _check_header([header[place] for place in kept], path)
    kept_text = set(text)
    for name in kept_text - set(header):
        require_column(pandas_module().DataFrame(columns=header), name, str(path))

    def read(name: str, values: list[str | None]) -> Any:
        if name in kept_text:
            return np.array(values, dtype=object)
        return _typed(_with_points(values, decimal, f"{path}: column {name!r}"))

    return pandas_module().DataFrame(
        {header[place]: read(header[place], columns[place]) for place in kept}
    )


def _lines(path: Path, encoding: str, separator: str) -> list[list[str]]:
    """Reads the file and splits it, without blank lines."""
    try:
        if is_special(path):
            raise DataError(f"{path}: no file, but a pipe or a device: save it as a file")
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


def _check_lengths(
    header: Sequence[str], body: Sequence[Sequence[str]], header_rows: int, path: Path
) -> None:
    for number, line in enumerate(body, header_rows + 1):
        if len(line) != len(header):
            raise DataError(
                f"{path}: row {number} has {len(line)} values, but the header has {len(header)} "
                "columns: quote values that hold the separator, or set [private] separator"
            )


def _check_header(names: Sequence[str], path: Path) -> None:
    for place, name in enumerate(names, 1):
        if not name:
            raise DataError(f"{path}: column {place} has no name: add one to the header")
    (name, times), *_ = Counter(names).most_common(1)
    if times > 1:
        raise DataError(f"{path}: column {name!r} is there twice: rename or remove one of them")


def _check_width(header: Sequence[str], separator: str, path: Path) -> None:
    """Refuses a header of very many names, and of a single one that another separator would cut.

    Raises:
        DataError: As above.
    """
    if len(header) > MOST_COLUMNS:
        raise DataError(
            f"{path}: {len(header):,} columns, more than {MOST_COLUMNS:,}: name those that the "
            "model takes in [target] inputs"
        )
    for other, written in ((";", ";"), ("\t", "\\t"), ("|", "|")):
        if len(header) == 1 and separator != other and other in header[0]:
            raise DataError(
                f"{path}: the header has no {separator!r} but {written!r}: set [private] and "
                f'[public] separator = "{written}"'
            )


def _with_points(values: list[str | None], decimal: Decimal | None, where: str) -> list[str | None]:
    """Returns numbers with a point before their fraction, where all of a column are numbers.

    Raises:
        DataError: If their commas may stand before fractions or between thousands.
    """
    present = [value for value in values if value is not None]
    commas = [value for value in present if "," in value]
    if not commas or not all(_COMMA.fullmatch(value) for value in present):
        return values
    thousands = all(_THOUSANDS.fullmatch(value) for value in commas)
    fractions = all(value.count(",") == 1 and "." not in value for value in commas)
    if decimal is None and thousands and fractions:
        raise DataError(
            f"{where}: the comma in {commas[0]!r} may stand before a fraction or between "
            'thousands: set [private] and [public] decimal = "," or "."'
        )
    if decimal != "." and fractions:
        return [None if value is None else value.replace(",", ".") for value in values]
    if decimal != "," and thousands:
        return [None if value is None else value.replace(",", "") for value in values]
    return values


def _typed(values: list[str | None]) -> Any:
    """Turns a column into numbers or truth values where all of it are, and leaves text alone.

    Types are those that pandas reads: integers stay integers where none is missing.
    """
    present = [value for value in values if value is not None]
    if present and {value.lower() for value in present} <= {"true", "false"}:
        truths = [None if value is None else value.lower() == "true" for value in values]
        return np.array(truths, dtype=object if None in values else bool)
    numbers = [None if value is None else as_number(value) for value in values]
    if any(
        number is None and value is not None for value, number in zip(values, numbers, strict=True)
    ):
        return np.array(values, dtype=object)
    found = np.array([np.nan if number is None else number for number in numbers])
    whole = None not in values and all(_WHOLE.fullmatch(value) for value in present)
    return found.astype(np.int64) if whole and np.abs(found).max() < _LARGEST else found
