"""Several formats on one route: the first that understands a request has it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from darkroom.guard.wire.base import Answered, Asked, Refused, Wire


class Either(Wire):
    """Formats that share a route, in the order of the policy."""

    def __init__(self, wires: Sequence[Wire]) -> None:
        """Takes at least two."""
        self._wires = wires
        self.name = " or ".join(wire.name for wire in wires)  # type: ignore[misc]

    def matches(self, method: str, path: str) -> bool:
        """Tells whether this is inference in any of them."""
        return any(wire.matches(method, path) for wire in self._wires)

    def passes(self, method: str, path: str) -> bool:  # noqa: ARG002
        """Passes nothing: these are formats of an inference route."""
        return False

    def read(self, path: str, headers: Mapping[str, str], body: bytes) -> Asked:
        """Understands a request in the first format that does; see :meth:`Wire.read`."""
        refusals: list[Refused] = []
        for wire in self._wires:
            try:
                asked = wire.read(path, headers, body)
            except Refused as refused:
                refusals.append(refused)
                continue
            inner, asked = asked, replace(asked)
            inner.inputs, asked.memo = None, (wire, inner)
            return asked
        # What says most is about a body of the right media type.
        raise min(refusals, key=lambda one: one.status == 415)

    def answer(
        self, asked: Asked, status: int, headers: Mapping[str, str], body: bytes
    ) -> Answered:
        """Understands an answer in the format of its request; see :meth:`Wire.answer`."""
        wire, told = _told(asked)
        return wire.answer(told, status, headers, body)

    def answer_stream(self, asked: Asked, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """Rewrites a stream in the format of its request; see :meth:`Wire.answer_stream`."""
        wire, told = _told(asked)
        return wire.answer_stream(told, chunks)

    def error(self, problem: dict[str, Any]) -> bytes:
        """Returns a problem as the first format has it."""
        return self._wires[0].error(problem)


def _told(asked: Asked) -> tuple[Wire, Asked]:
    """Returns whose format a request has, and the request as that one understood it."""
    wire, inner = asked.memo
    return wire, inner
