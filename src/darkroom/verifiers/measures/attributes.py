"""Attributes of people, as tables have them."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from darkroom.errors import DataError, one_line
from darkroom.verifiers.measures.leaked import Values

ID = "id"


def read_attributes(path: Path, names: Sequence[str]) -> dict[str, Values]:
    """Reads a table of attributes.

    Args:
        path: A ``.csv`` file with a column ``id`` and one for each attribute.
        names: Of people, by number; others in the table are left out.

    Returns:
        For each attribute the value of everybody, ``None`` where the table has none.

    Raises:
        DataError: If it cannot be read, has no such column, or none of the people.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: it cannot be read ({one_line(error)}): give a .csv") from error
    if not rows or ID not in rows[0] or len(rows[0]) < 2:
        raise DataError(f"{path}: it has no column id, or no attribute: give both")
    by_name = {row[ID]: row for row in rows}
    if by_name.keys().isdisjoint(names):
        raise DataError(
            f"{path}: it has nobody of these people: ids are the names of the folders of photos, "
            f"such as {names[0]!r}"
        )
    attributes = [name for name in rows[0] if name and name != ID]
    return {one: [by_name.get(name, {}).get(one) or None for name in names] for one in attributes}
