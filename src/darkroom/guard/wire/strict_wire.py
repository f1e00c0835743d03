"""A wire format that reads strictly, and answers a refusal in its own words."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, final

import orjson

from darkroom.guard.wire.base import Answered, Asked, Refused, Wire
from darkroom.guard.wire.rows import Classes, Reply, Scores, predicted, understand
from darkroom.guard.wire.strict_json import (
    Limits,
    Unclear,
    as_object,
    read_json,
    require_json,
)
from darkroom.wire.answers import AnswerError

Rebuild = Callable[[Any], bytes]
TITLES = {
    400: "Request not understood",
    413: "Request too large",
    415: "Media type not supported",
    422: "Request not allowed",
}
UPSTREAM = "Upstream answer not understood"
NAME = "[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}"
"""A model's name or version in a path: no slash, and nothing that walks up."""


@dataclass(frozen=True)
class StrictWire(Wire):
    """A wire format whose bodies are read by :mod:`darkroom.guard.wire.strict_json`.

    Attributes:
        limits: Of requests and answers.
        numbers: Whether the model predicts a number for each row, such as a dose or a price, and no
            probabilities.
    """

    limits: Limits = field(default_factory=Limits, kw_only=True)
    numbers: bool = field(default=False, kw_only=True)

    @final
    def read(self, path: str, headers: Mapping[str, str], body: bytes) -> Asked:
        """Understands a request; see :meth:`Wire.read`."""
        try:
            if _compressed(headers):
                raise Unclear("the body is compressed: send it as it is", 415)
            if len(body) > self.limits.body:
                raise Unclear(f"the body is larger than {self.limits.body} bytes", 413)
            asked = self._read(path, headers, body)
            if asked.rows > self.limits.rows:
                raise Unclear(f"it holds more than {self.limits.rows} rows", 413)
        except Unclear as unclear:
            title = TITLES[unclear.status]
            raise Refused(unclear.status, title, unclear.detail) from None
        return asked

    @final
    def answer(
        self, asked: Asked, status: int, headers: Mapping[str, str], body: bytes
    ) -> Answered:
        """Understands an answer; see :meth:`Wire.answer`."""
        try:
            if not 200 <= status < 300:
                raise Unclear("its status is no success")
            if "inference-header-content-length" in headers:
                raise Unclear("it is in binary form")
            if _compressed(headers):
                raise Unclear("it is compressed")
            return self._answer(asked, self._parsed(headers, body))
        except (Unclear, AnswerError) as unclear:
            # An AnswerError may quote the answer, so only its kind is told.
            reason = unclear.detail if isinstance(unclear, Unclear) else "its rows are unusable"
            raise Refused(502, UPSTREAM, f"the model's answer is refused: {reason}") from None

    def _parsed(self, headers: Mapping[str, str], body: bytes) -> Any:  # noqa: ARG002
        """Reads an answer's body; JSON, unless a format has others too.

        Raises:
            Unclear: If it is not that.
        """
        return read_json(body, self.limits)

    def _understood(self, entries: object, rows: int, classes: Classes) -> Reply:
        """Understands the rows of an answer; see :func:`understand` and :func:`predicted`."""
        return predicted(entries, rows) if self.numbers else understand(entries, rows, classes)

    def _answered(self, scores: Scores | None, rebuild: Rebuild) -> Answered:
        """Returns an answer that is understood."""
        return Answered(scores, rebuild, numbers=self.numbers)

    @abstractmethod
    def _read(self, path: str, headers: Mapping[str, str], body: bytes) -> Asked:
        """Does the work of :meth:`read`.

        Raises:
            Unclear: If anything is not understood.
        """

    @abstractmethod
    def _answer(self, asked: Asked, body: Any) -> Answered:
        """Does the work of :meth:`answer`, with the JSON read.

        Raises:
            Unclear: If anything is not understood.
            AnswerError: Likewise.
        """

    def _json(self, headers: Mapping[str, str], body: bytes) -> dict[str, Any]:
        """Returns the object that a request is.

        Raises:
            Unclear: If it is none, or of another media type.
        """
        require_json(headers)
        return as_object(read_json(body, self.limits), "the request")

    def error(self, problem: dict[str, Any]) -> bytes:
        """Returns the problem with ``error``, a sentence, as most formats have it."""
        return orjson.dumps({**problem, "error": sentence(problem)})


def sentence(problem: Mapping[str, Any]) -> str:
    """Returns what a problem says, for a format's own error member."""
    return str(problem.get("detail") or problem.get("title") or "refused")


def _compressed(headers: Mapping[str, str]) -> bool:
    coding = headers.get("content-encoding")
    return coding is not None and coding.strip().lower() != "identity"
