"""``POST /invocations``: MLflow's scoring server and SageMaker's containers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from darkroom.guard.wire.base import Answered, Asked
from darkroom.guard.wire.bodies.frames import read_split
from darkroom.guard.wire.rows import Classes, Shape, read_rows
from darkroom.guard.wire.strict_json import Unclear, as_object, media_type, only, read_json
from darkroom.guard.wire.strict_wire import StrictWire
from darkroom.wire.base import dumped

_FORMS = ("dataframe_split", "dataframe_records", "instances", "inputs")
_CSV = "text/csv"


@dataclass(frozen=True)
class Invocations(StrictWire):
    """``POST /invocations`` with JSON as MLflow takes it, or with CSV.

    JSON holds exactly one of ``dataframe_split``, ``dataframe_records``, ``instances`` and
    ``inputs``; ``params`` are refused, since models may answer more to them. CSV is plain: no
    quotes, one line a row. Answers are ``{"predictions": [...]}``, a list, or CSV without names.

    Attributes:
        csv_header: Whether the first line of CSV names the columns, as MLflow has it; SageMaker
            has none.
        row_shape: What every row of numbers must have.
        classes: The names of the classes in order.
    """

    name: ClassVar[str] = "invocations"

    csv_header: bool = False
    row_shape: Shape = None
    classes: Classes = None

    def matches(self, method: str, path: str) -> bool:
        """Tells whether this is inference."""
        return method == "POST" and path == "/invocations"

    def passes(self, method: str, path: str) -> bool:
        """Lets health and the version through."""
        return method == "GET" and path in ("/ping", "/health", "/version")

    def _read(self, path: str, headers: Mapping[str, str], body: bytes) -> Asked:  # noqa: ARG002
        if media_type(headers) == _CSV:
            return self._lines(body)
        request = self._json(headers, body)
        only(request, _FORMS, "the request")
        if len(request) != 1:
            raise Unclear(f"the request should have one of {', '.join(_FORMS)}")
        ((form, value),) = request.items()
        if form == "dataframe_split":
            return read_split(value, self.row_shape, form)
        return read_rows(value, self.row_shape, form)

    def _lines(self, body: bytes) -> Asked:
        rows = csv_rows(body)
        if self.csv_header:
            rows = rows[1:]
        if not rows:
            raise Unclear("the body has no row")
        if self.row_shape is not None and (len(rows[0]),) != tuple(self.row_shape):
            raise Unclear(f"rows should have shape {list(self.row_shape)}")
        try:
            values = [[float(one) for one in row] for row in rows]
        except ValueError:
            return Asked(len(rows), None)
        return Asked(len(rows), lambda: np.array(values, np.float64))

    def _parsed(self, headers: Mapping[str, str], body: bytes) -> Any:
        if media_type(headers) != _CSV:
            return read_json(body, self.limits)
        try:
            values = [[float(one) for one in row] for row in csv_rows(body)]
        except ValueError:
            raise Unclear("it is CSV of something else than numbers") from None
        if not all(math.isfinite(one) for row in values for one in row):
            raise Unclear("it holds no numbers")
        return _Lines(values)

    def _answer(self, asked: Asked, body: Any) -> Answered:
        if isinstance(body, _Lines):
            scores, write = self._understood(body.rows, asked.rows, self.classes)
            answered = self._answered(
                scores, lambda changed: _written(write(changed)).encode("ascii")
            )
            answered.content_type = _CSV
            return answered
        named = isinstance(body, dict)
        entries = as_object(body, "the answer").get("predictions") if named else body
        scores, write = self._understood(entries, asked.rows, self.classes)
        return self._answered(
            scores,
            lambda changed: dumped({"predictions": write(changed)} if named else write(changed)),
        )


@dataclass
class _Lines:
    rows: list[list[float]]


def csv_rows(body: bytes) -> list[list[str]]:
    """Reads CSV that every reader understands alike: no quotes, no empty lines, equal widths.

    Raises:
        Unclear: If it is something else.
    """
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        raise Unclear("the body is no UTF-8") from None
    lines = text.replace("\r\n", "\n").removesuffix("\n").split("\n")
    if '"' in text or "'" in text or any(not line or not line.isprintable() for line in lines):
        raise Unclear("CSV should have no quotes, no empty lines and no control characters")
    rows = [[one.strip() for one in line.split(",")] for line in lines]
    if len(set(map(len, rows))) != 1:
        raise Unclear("its lines differ in how many values they hold")
    return rows


def _written(rows: list[Any]) -> str:
    lines = [row if isinstance(row, list) else [row] for row in rows]
    return "".join(",".join(map(repr, line)) + "\n" for line in lines)
