"""TorchServe: one row a request."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import orjson

from darkroom.guard.wire.base import Answered, Asked
from darkroom.guard.wire.rows import Classes, Shape
from darkroom.guard.wire.strict_json import Unclear, media_type, numeric, read_json, require_json
from darkroom.guard.wire.strict_wire import NAME, StrictWire, sentence
from darkroom.wire.base import dumped

_PREDICT = re.compile(f"/predictions/{NAME}(?:/{NAME})?")
_OPAQUE = ("", "application/octet-stream", "text/plain")
"""Bodies that are not looked into; ``curl -T`` says nothing of what it sends."""


@dataclass(frozen=True)
class TorchServe(StrictWire):
    """``POST`` or ``PUT /predictions/MODEL[/VERSION]``; a request is one row.

    A row is nested lists of numbers in JSON, or a body that is not looked into: a picture, text
    or octets. Forms are refused. ``/explanations``, which answers gradients, does not match.

    Attributes:
        row_shape: What a row of numbers must have.
        classes: The names of the classes in order; needed where the handler tells the best alone.
    """

    name: ClassVar[str] = "torchserve"

    row_shape: Shape = None
    classes: Classes = None

    def matches(self, method: str, path: str) -> bool:
        """Tells whether this is inference."""
        return method in ("POST", "PUT") and _PREDICT.fullmatch(path) is not None

    def passes(self, method: str, path: str) -> bool:
        """Lets health through."""
        return method == "GET" and path == "/ping"

    def _read(self, path: str, headers: Mapping[str, str], body: bytes) -> Asked:  # noqa: ARG002
        if not body:
            raise Unclear("the body is empty")
        kind = media_type(headers)
        if kind in _OPAQUE or kind.startswith("image/"):
            return Asked(1, None)
        require_json(headers)
        value = read_json(body, self.limits)
        if not isinstance(value, list):
            raise Unclear("the request should be one row: nested lists of numbers")
        found = numeric(value, "the request")
        if found is None:
            raise Unclear("the request holds something else than numbers")
        if self.row_shape is not None and found.shape != tuple(self.row_shape):
            raise Unclear(f"the request should have shape {list(self.row_shape)}")
        return Asked(1, found.row)

    def _answer(self, asked: Asked, body: Any) -> Answered:  # noqa: ARG002
        # A handler that does not take its batch apart answers a list of one row.
        inside = (
            isinstance(body, list)
            and len(body) == 1
            and (self.numbers or isinstance(body[0], list | dict))
        )
        scores, write = self._understood(body if inside else [body], 1, self.classes)

        def rebuild(changed: Any) -> bytes:
            rows = write(changed)
            return dumped(rows if inside else rows[0])

        return self._answered(scores, rebuild)

    def error(self, problem: dict[str, Any]) -> bytes:
        """Returns the problem with the ``code``, ``type`` and ``message`` of TorchServe."""
        own = {
            "code": problem.get("status"),
            "message": sentence(problem),
        }
        return orjson.dumps({"type": "about:blank", **problem, **own})
