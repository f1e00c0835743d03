"""Templates that are stored already: arrays, tables, and folders of arrays."""

from __future__ import annotations

import json
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from darkroom.errors import DataError, MissingExtraError, one_line
from darkroom.verifiers.targets.base import Floats
from darkroom.verifiers.targets.embedding import Store

IDS, TEMPLATES = "ids", "templates"
"""What the arrays of an ``.npz`` are called."""

ID, TEMPLATE = "id", "template"
"""The columns of a table: whose a template is, and it as a list, unless all others are numbers."""

_UNREADABLE = (zipfile.BadZipFile, zlib.error, ValueError, OSError, EOFError, KeyError)


def read_store(path: Path, names: Sequence[str]) -> Store:
    """Reads stored templates of people.

    Args:
        path: ``.npz`` with ``templates`` and ``ids``; ``.npy``, one row a person in the order of
            their names; ``.csv`` or ``.parquet`` with a column ``id``; or a folder of
            ``ID.npy``, each a template or several.
        names: Of the people, whose numbers become 0, 1 and so on. Others in the store are left
            out.

    Returns:
        Their templates.

    Raises:
        DataError: If it cannot be read, or somebody is not in it; the message says who.
        MissingExtraError: If tables need a library that is not installed.
    """
    try:
        ids, templates = _read(path, names)
    except _UNREADABLE as error:
        raise DataError(
            f"{path}: no stored templates ({one_line(error)}): give .npz with templates and ids, "
            ".npy with one row a person, .csv or .parquet with a column id, or a folder of ID.npy"
        ) from error
    found = np.asarray(templates, np.float64)
    if found.ndim != 2 or len(found) != len(ids) or found.shape[1] < 2:
        raise DataError(
            f"{path}: templates of shape {list(found.shape)} for {len(ids)} ids: give one row of "
            "two numbers or more for each id"
        )
    if not np.isfinite(found).all():
        raise DataError(f"{path}: a template holds NaN or infinite values: leave such rows out")
    numbers = {name: number for number, name in enumerate(names)}
    missing = sorted(numbers.keys() - set(ids))
    if missing:
        raise DataError(
            f"{path}: no template of {missing[0]!r}, who is enrolled: ids are the names of the "
            f"folders of photos; it has {', '.join(repr(one) for one in list(ids)[:3])}"
        )
    rows = [row for row, one in enumerate(ids) if one in numbers]
    people = np.array([numbers[ids[row]] for row in rows], np.int64)
    order = np.argsort(people, kind="stable")
    return Store(found[rows][order], people[order])


def _read(path: Path, names: Sequence[str]) -> tuple[list[str], Any]:
    if path.is_dir():
        return _folder(path)
    match path.suffix:
        case ".npz":
            with np.load(path) as arrays:
                return [str(one) for one in arrays[IDS]], arrays[TEMPLATES]
        case ".npy":
            return list(names), np.load(path)
        case ".csv" | ".parquet":
            return _table(path)
    raise ValueError("its name has another ending")


def _folder(path: Path) -> tuple[list[str], Floats]:
    files = sorted(path.glob("*.npy"))
    rows = [np.atleast_2d(np.load(one)) for one in files]
    ids = [file.stem for file, some in zip(files, rows, strict=True) for _ in some]
    return ids, np.concatenate(rows)


def _table(path: Path) -> tuple[list[str], Floats]:
    try:
        import pandas as pd

        # An identifier such as 007 stays as it is written.
        table = (
            pd.read_parquet(path)
            if path.suffix == ".parquet"
            else pd.read_csv(path, dtype={ID: str})
        )
    except ImportError as error:
        raise MissingExtraError(str(error.name or "pandas"), "tables") from error
    ids = [str(one) for one in table[ID]]
    if TEMPLATE not in table:
        return ids, table.drop(columns=ID).to_numpy(np.float64)
    rows = [json.loads(one) if isinstance(one, str) else one for one in table[TEMPLATE]]
    return ids, np.array([np.asarray(one, np.float64) for one in rows])
