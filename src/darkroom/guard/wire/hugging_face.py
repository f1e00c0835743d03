"""Hugging Face inference: classification pipelines, hosted or in a container."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from darkroom.guard.wire.base import Answered, Asked
from darkroom.guard.wire.rows import Classes, Shape, read_rows
from darkroom.guard.wire.strict_json import (
    Unclear,
    as_count,
    as_list,
    as_object,
    media_type,
    numeric,
    only,
)
from darkroom.guard.wire.strict_wire import NAME, StrictWire
from darkroom.wire.base import dumped

_INFER = re.compile(rf"/|/(?:hf-inference/)?models/{NAME}(?:/{NAME})?")
_OPAQUE = ("application/octet-stream",)
_SWITCHES = ("use_cache", "wait_for_model")


@dataclass(frozen=True)
class HuggingFace(StrictWire):
    """``POST /`` or ``/models/[OWNER/]MODEL`` with ``{"inputs", "parameters", "options"}``.

    An input is a string (text, or a picture in base64), a list of strings, or numbers where
    ``row_shape`` tells one row from many; a body that is a picture is one row. Only softmax may
    be asked for: anything else gives logits away. Of the answer, the best come first, by what
    leaves and not by what came, and classes left without a score are not named.

    Attributes:
        top_k: The most classes that a request may ask for; ``None`` for all.
        row_shape: What a row of numbers has; numbers are refused without.
        classes: The names of the classes in order; needed where the server tells the best alone.
    """

    name: ClassVar[str] = "hugging-face"

    top_k: int | None = None
    row_shape: Shape = None
    classes: Classes = None

    def matches(self, method: str, path: str) -> bool:
        """Tells whether this is inference."""
        return method == "POST" and _INFER.fullmatch(path) is not None

    def passes(self, method: str, path: str) -> bool:
        """Lets health through."""
        return method == "GET" and path == "/health"

    def _read(self, path: str, headers: Mapping[str, str], body: bytes) -> Asked:  # noqa: ARG002
        kind = media_type(headers)
        if kind in _OPAQUE or kind.startswith("image/"):
            if not body:
                raise Unclear("the body is empty")
            return Asked(1, None, memo=self.top_k)
        request = self._json(headers, body)
        only(request, ("inputs", "parameters", "options"), "the request")
        wanted = self._parameters(request.get("parameters"))
        options = as_object(request.get("options") or {}, "options")
        only(options, _SWITCHES, "options")
        if not set(map(type, options.values())) <= {bool}:
            raise Unclear("an option should be true or false")
        asked = self._inputs(request.get("inputs"))
        asked.memo = wanted
        return asked

    def _parameters(self, told: object) -> int | None:
        """Returns how many classes are asked for at most."""
        parameters = as_object(told or {}, "parameters")
        only(parameters, ("function_to_apply", "top_k", "truncation"), "parameters")
        if parameters.get("function_to_apply") not in (None, "softmax"):
            raise Unclear("function_to_apply may be softmax alone", 422)
        if type(parameters.get("truncation")) not in (bool, type(None)):
            raise Unclear("truncation should be true or false")
        wanted = parameters.get("top_k")
        if wanted is None:
            return self.top_k
        count = as_count(wanted, "top_k", 1, 2**31)
        if self.top_k is not None and count > self.top_k:
            raise Unclear(f"top_k may be {self.top_k} at most", 422)
        return count

    def _inputs(self, inputs: object) -> Asked:
        if isinstance(inputs, str):
            return Asked(1, None)
        if isinstance(inputs, list) and inputs and isinstance(inputs[0], str):
            return read_rows(inputs, None, "inputs")
        if self.row_shape is None or not isinstance(inputs, list) or not inputs:
            raise Unclear("inputs should be a string or a list of strings")
        found = numeric(inputs, "inputs")
        if found is not None and found.shape == tuple(self.row_shape):
            return Asked(1, found.row)
        return read_rows(inputs, self.row_shape, "inputs")

    def _answer(self, asked: Asked, body: Any) -> Answered:
        nested = isinstance(body, list) and bool(body) and isinstance(body[0], list)
        entries = as_list(body if nested else [body], "the answer")
        for entry in entries:
            as_object(as_list(entry, "a row of the answer")[0], "an entry")
        scores, write = self._understood(entries, asked.rows, self.classes)

        def rebuild(changed: Any) -> bytes:
            rows = [row[: asked.memo] for row in write(changed)]
            return dumped(rows if nested else rows[0])

        return self._answered(scores, rebuild)
