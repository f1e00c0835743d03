"""Tables in JSON as pandas writes them, with their columns named once."""

from __future__ import annotations

from typing import Any

from darkroom.guard.wire.base import Asked
from darkroom.guard.wire.rows import Shape, read_rows
from darkroom.guard.wire.strict_json import Unclear, as_list, as_object, only


def read_split(value: object, shape: Shape, what: str) -> Asked:
    """Reads ``{"columns": [...], "index": [...], "data": [[...], ...]}``, an entry of data a row.

    Args:
        value: The object.
        shape: What every row of numbers must have.
        what: Its place, for the message.

    Raises:
        Unclear: If it has another form, or its lengths do not agree.
    """
    frame = as_object(value, what)
    only(frame, ("columns", "index", "data"), what)
    data: list[Any] = as_list(frame.get("data"), f"{what}: data")
    if "columns" in frame:
        columns = as_list(frame["columns"], f"{what}: columns")
        if not set(map(type, columns)) <= {str, int}:
            raise Unclear(f"{what}: columns should be names")
        if len(set(columns)) != len(columns):
            raise Unclear(f"{what}: columns names one twice")
        if any(not isinstance(row, list) or len(row) != len(columns) for row in data):
            raise Unclear(f"{what}: a row has more or fewer values than there are columns")
    if frame.get("index") is not None and len(as_list(frame["index"], "index")) != len(data):
        raise Unclear(f"{what}: index and data differ in length")
    return read_rows(data, shape, f"{what}: data")
