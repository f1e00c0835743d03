"""Data frames of other libraries, and the files that they write."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from darkroom.errors import DataError, one_line
from darkroom.tables.schema import pandas_module

if TYPE_CHECKING:
    import pandas as pd

_READERS: dict[str, tuple[str, Callable[[Any, Path], Any]]] = {
    ".parquet": ("pyarrow", lambda pandas, path: pandas.read_parquet(path)),
    ".pq": ("pyarrow", lambda pandas, path: pandas.read_parquet(path)),
    ".feather": ("pyarrow", lambda pandas, path: pandas.read_feather(path)),
    ".arrow": ("pyarrow", lambda pandas, path: pandas.read_feather(path)),
    ".xlsx": ("openpyxl", lambda pandas, path: pandas.read_excel(path)),
    ".xlsm": ("openpyxl", lambda pandas, path: pandas.read_excel(path)),
}
"""What reads a file, by its ending: the library that pandas needs, and how."""

_OTHERS = (".xls", ".ods", ".sav", ".dta", ".sas7bdat", ".rds", ".h5", ".db", ".sqlite", ".pkl")


def is_binary(path: Path) -> bool:
    """Tells whether a file is no text, by its ending."""
    return path.suffix.lower() in (*_READERS, *_OTHERS)


def read_binary(path: Path) -> pd.DataFrame:
    """Reads Parquet, Feather, Arrow, or the first sheet of an Excel workbook.

    Raises:
        DataError: If it is another file, damaged, or what reads it is not installed.
    """
    known = _READERS.get(path.suffix.lower())
    if known is None:
        raise DataError(
            f"{path}: {path.suffix} files are not read: save the table as CSV or Parquet"
        )
    if not path.is_file():
        raise DataError(f"{path}: no such file: check the path")
    library, read = known
    try:
        frame = read(pandas_module(), path)
    except ImportError as error:
        raise DataError(f"{path}: {library} is not installed: run pip install {library}") from error
    except Exception as error:
        raise DataError(f"{path}: not readable ({one_line(error)}): write it anew") from error
    if not len(frame):
        raise DataError(f"{path}: no rows: give at least one")
    return as_frame(frame, str(path))


def as_frame(table: Any, where: str) -> pd.DataFrame:
    """Returns a table of pandas, polars or pyarrow as pandas has it, its columns named by text.

    Args:
        table: The table.
        where: What it is, for messages.

    Raises:
        DataError: If it is no table.
    """
    pandas = pandas_module()
    if not isinstance(table, pandas.DataFrame):
        table = _converted(table, where)
    for name in table.columns:
        if not isinstance(name, str):
            raise DataError(
                f"{where}: column {name!r} is called by no text: name columns by text, as in "
                "frame.columns = frame.columns.astype(str)"
            )
    return table


def _converted(table: Any, where: str) -> Any:
    pandas = pandas_module()
    home = type(table).__module__.partition(".")[0]
    if home == "polars" and hasattr(table, "collect"):
        table = table.collect()
    if home == "polars":
        # Its own to_pandas needs pyarrow.
        return pandas.DataFrame({name: table[name].to_list() for name in table.columns})
    if hasattr(table, "to_pandas"):
        return table.to_pandas()
    raise DataError(
        f"{where}: {type(table).__name__} is no table: give a data frame of pandas or polars, or a "
        "table of pyarrow"
    )


def located(path: Path) -> Path:
    """Looks for a file that is not there in the folder that ``DARKROOM_DATA`` names."""
    elsewhere = os.environ.get("DARKROOM_DATA")
    if not path.exists() and elsewhere and (Path(elsewhere) / path.name).exists():
        return Path(elsewhere) / path.name
    return path
