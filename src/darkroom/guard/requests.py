"""Requests as they come: what is not plain and unambiguous HTTP is refused before it is read."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

from darkroom.guard.waiting import within
from darkroom.guard.wire.base import Refused

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

HOST = re.compile(
    rb"(?:[A-Za-z0-9_](?:[A-Za-z0-9._-]{0,253})|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?"
)
PATH = re.compile(r"(?:/(?!\.\.?(?:/|\Z))[A-Za-z0-9._~!$&'()*+,=:@-]+)*/?")
LENGTH = re.compile(rb"[0-9]{1,18}")
SINGLE = (b"content-length", b"transfer-encoding", b"content-type", b"content-encoding", b"host")
METHODS = ("GET", "HEAD", "POST")


class ClientGone(Exception):  # noqa: N818 - nothing failed
    """The client hung up before its request was whole."""


class Request:
    """One request whose head is in order.

    Attributes:
        method: ``GET``, ``HEAD`` or ``POST``.
        path: Without anything that has to be decoded.
        headers: Names in lower case; of several with one name, the last.
        length: The length declared, in bytes.
        peer: Where the connection comes from.
    """

    def __init__(self, scope: Scope) -> None:
        """Checks the head.

        Raises:
            Refused: With 400, 405 or 415, if it is ambiguous, encoded or malformed.
        """
        self.scope = scope
        _require_version(scope)
        self.method = str(scope["method"])
        if self.method not in METHODS:
            raise Refused(405, "Method not allowed", f"use one of {', '.join(METHODS)}")
        self.path = _checked_path(scope)
        raw: list[tuple[bytes, bytes]] = list(scope["headers"])
        by_name = dict(raw)
        if len(by_name) != len(raw):
            _require_single(raw)
        self.length = _checked_length(by_name)
        if not HOST.fullmatch(by_name.get(b"host", b"")):
            raise Refused(400, "Malformed host", "the request needs one Host, a name or an address")
        if by_name.get(b"content-encoding", b"identity") != b"identity":
            raise Refused(415, "Compressed body", "send the body without Content-Encoding")
        self.raw_headers = raw
        self.headers = {
            name.decode("latin-1"): value.decode("latin-1") for name, value in by_name.items()
        }
        client = scope.get("client")
        self.peer = str(client[0]) if client else None

    @property
    def query(self) -> bytes:
        """What follows the question mark."""
        return bytes(self.scope.get("query_string") or b"")

    async def body(self, receive: Receive, limit: int, seconds: float) -> bytes:
        """Reads the body, as far as the limit.

        Args:
            receive: Of the connection.
            limit: The most bytes.
            seconds: How long it may take.

        Raises:
            Refused: With 413, 408 or 400, if it is too long, too slow, or not as long as declared.
            ClientGone: If it never came whole.
        """
        if self.length is not None and self.length > limit:
            raise Refused(413, "Body too large", f"at most {limit} bytes are read")
        message = await _within(receive, seconds)
        part, more = _part(message)
        if more:
            part = await self._rest(receive, bytearray(part), limit, seconds)
        if len(part) > limit:
            raise Refused(413, "Body too large", f"at most {limit} bytes are read")
        if self.length is not None and len(part) != self.length:
            raise Refused(
                400, "Ambiguous request", "the body is not as long as Content-Length says"
            )
        return bytes(part)

    async def _rest(
        self, receive: Receive, content: bytearray, limit: int, seconds: float
    ) -> bytes:
        try:
            async with asyncio.timeout(seconds):
                more = True
                while more and len(content) <= limit:
                    part, more = _part(await receive())
                    content += part
        except TimeoutError:
            raise _slow(seconds) from None
        return bytes(content)


async def _within(receive: Receive, seconds: float) -> Message:
    try:
        return await within(seconds, receive())
    except TimeoutError:
        raise _slow(seconds) from None


def _slow(seconds: float) -> Refused:
    return Refused(408, "Request too slow", f"it must be whole within {seconds:g} seconds")


def _part(message: Message) -> tuple[bytes, bool]:
    if message["type"] != "http.request":
        raise ClientGone
    return bytes(message.get("body", b"")), bool(message.get("more_body", False))


def _require_version(scope: Scope) -> None:
    """Refuses HTTP before 1.0, and in 1.0 the chunks that its readers do not know."""
    version = scope.get("http_version", "1.1")
    if version == "0.9" or (
        version == "1.0" and any(name == b"transfer-encoding" for name, _ in scope["headers"])
    ):
        raise Refused(400, "Ambiguous request", f"HTTP/{version} does not say where it ends")


def _require_single(raw: list[tuple[bytes, bytes]]) -> None:
    """Refuses what is given twice where two readers could take one or the other."""
    names = [name for name, _ in raw]
    for name in SINGLE:
        if names.count(name) > 1:
            raise Refused(400, "Ambiguous request", f"{name.decode()} is given twice")


def _checked_path(scope: Scope) -> str:
    path, raw = str(scope["path"]), scope.get("raw_path")
    plain = PATH.fullmatch(path) is not None
    if not plain or (raw is not None and bytes(raw).partition(b"?")[0] != path.encode("latin-1")):
        raise Refused(400, "Malformed path", "use a path without encoded or doubled parts")
    return path


def _checked_length(headers: Mapping[bytes, bytes]) -> int | None:
    length, coding = headers.get(b"content-length"), headers.get(b"transfer-encoding")
    if coding is not None:
        if length is not None:
            raise Refused(400, "Ambiguous request", "both Content-Length and Transfer-Encoding")
        if coding.lower() != b"chunked":
            raise Refused(400, "Ambiguous request", "Transfer-Encoding must be chunked")
        return None
    if length is None:
        return None
    if not LENGTH.fullmatch(length):
        raise Refused(400, "Ambiguous request", "Content-Length is no number")
    return int(length)
