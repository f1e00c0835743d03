"""Azure Machine Learning's online endpoints: ``POST /score``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from darkroom.guard.wire.base import Answered, Asked
from darkroom.guard.wire.bodies.frames import read_split
from darkroom.guard.wire.rows import Classes, Shape, read_rows
from darkroom.guard.wire.strict_json import Unclear, as_object, only
from darkroom.guard.wire.strict_wire import StrictWire
from darkroom.wire.base import dumped


@dataclass(frozen=True)
class Azure(StrictWire):
    """``POST /score`` with ``{"input_data": ...}``, or ``{"data": [...]}`` of older scripts.

    ``input_data`` is a list of rows, or a table with ``columns``, ``index`` and ``data``;
    ``params`` are refused. Answers are a list of rows, or one under ``Results`` or ``predictions``.

    Attributes:
        route: The path, which a script may change.
        row_shape: What every row of numbers must have.
        classes: The names of the classes in order.
    """

    name: ClassVar[str] = "azure"

    route: str = "/score"
    row_shape: Shape = None
    classes: Classes = None

    def matches(self, method: str, path: str) -> bool:
        """Tells whether this is inference."""
        return method == "POST" and path == self.route

    def passes(self, method: str, path: str) -> bool:
        """Lets health through."""
        return method == "GET" and path == "/"

    def _read(self, path: str, headers: Mapping[str, str], body: bytes) -> Asked:  # noqa: ARG002
        request = self._json(headers, body)
        only(request, ("input_data", "data"), "the request")
        if len(request) != 1:
            raise Unclear("the request should have input_data, or data")
        ((form, value),) = request.items()
        if isinstance(value, dict):
            return read_split(value, self.row_shape, form)
        return read_rows(value, self.row_shape, form)

    def _answer(self, asked: Asked, body: Any) -> Answered:
        name = None
        if isinstance(body, dict):
            name = next((one for one in ("Results", "predictions") if one in body), None)
            body = as_object(body, "the answer").get(name or "")
        scores, write = self._understood(body, asked.rows, self.classes)

        def rebuild(changed: Any) -> bytes:
            rows = write(changed)
            return dumped(rows if name is None else {name: rows})

        return self._answered(scores, rebuild)
