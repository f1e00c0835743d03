"""Requests as they come: what is not plain and unambiguous HTTP is refused before it is read."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from typing import Any

from darkroom.guard.wire.base import Refused

Scope = MutableMapping[str, Any]
Pair = tuple[bytes, bytes]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

HOST = re.compile(
    rb"(?:[A-Za-z0-9_](?:[A-Za-z0-9._-]{0,253})|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?"
)
PATH = re.compile(r"(?:/(?!\.\.?(?:/|\Z))[A-Za-z0-9._~!$&'()*+,=:@-]+)*/?")
SINGLE = (b"transfer-encoding", b"content-type", b"content-encoding", b"host")
LENGTH = frozenset([b"content-length"])
METHODS = ("GET", "HEAD", "POST", "PUT")


class ClientGone(Exception):  # noqa: N818 - nothing failed
    """The client hung up before its request was whole."""


class Head:
    """The head of a request, in order; requests that differ in their length alone share it.

    Attributes:
        method: ``GET``, ``HEAD``, ``POST`` or ``PUT``.
        path: Within the application, without anything that has to be decoded.
        query: What follows the question mark.
        pairs: The headers as they came, without the length.
        headers: Names in lower case; of several with one name, the last.
        chunked: Whether the body comes in chunks.
        peer: Where the connection comes from.
    """

    __slots__ = ("chunked", "headers", "method", "pairs", "path", "peer", "query")

    def __init__(self, scope: Scope, pairs: Sequence[Pair], prefix: str = "") -> None:
        """Checks it.

        Args:
            scope: Of the request.
            pairs: Its headers, without the length.
            prefix: What every path begins with, and no route has.

        Raises:
            Refused: With 400, 404, 405 or 415, if it is ambiguous, encoded, malformed or elsewhere.
        """
        _require_version(scope, pairs)
        self.method = str(scope["method"])
        if self.method not in METHODS:
            raise Refused(405, "Method not allowed", f"use one of {', '.join(METHODS)}")
        self.path = _checked_path(scope, prefix)
        self.pairs = pairs
        by_name = dict(pairs)
        if len(by_name) != len(pairs):
            _require_single(pairs)
        coding = by_name.get(b"transfer-encoding")
        self.chunked = coding is not None
        if coding is not None and coding.lower() != b"chunked":
            raise Refused(400, "Ambiguous request", "Transfer-Encoding must be chunked")
        if not HOST.fullmatch(by_name.get(b"host", b"")):
            raise Refused(400, "Malformed host", "the request needs one Host, a name or an address")
        if by_name.get(b"content-encoding", b"identity") != b"identity":
            raise Refused(415, "Compressed body", "send the body without Content-Encoding")
        self.headers = {
            name.decode("latin-1"): value.decode("latin-1") for name, value in by_name.items()
        }
        self.query = bytes(scope.get("query_string") or b"")
        client = scope.get("client")
        self.peer = str(client[0]) if client else None


class Request:
    """One request.

    Attributes:
        scope: As the server gave it.
        pairs: Its headers, without the length and what is kept apart.
        apart: Headers that are others with each request, and say nothing that is checked.
        key: Whatever its head is checked by, in one value that can be looked up.
    """

    __slots__ = ("_lengths", "apart", "key", "pairs", "scope")

    def __init__(self, scope: Scope, apart: frozenset[bytes] = LENGTH) -> None:
        """Takes the length apart from the rest of the head.

        Args:
            scope: As the server gave it.
            apart: Names of headers that are kept apart, the length among them.
        """
        self.scope = scope
        client = scope.get("client")
        self.pairs: list[Pair] = []
        self.apart: list[Pair] = []
        self._lengths: list[bytes] = []
        for pair in scope["headers"]:
            if pair[0] not in apart:
                self.pairs.append(pair)
            elif pair[0] == b"content-length":
                self._lengths.append(pair[1])
            else:
                self.apart.append(pair)
        self.key = (
            scope["method"],
            scope["path"],
            scope.get("root_path"),
            scope.get("raw_path"),
            scope.get("query_string"),
            scope.get("http_version"),
            client[0] if client else None,
            tuple(self.pairs),
        )

    def length(self, head: Head) -> int | None:
        """Returns the length declared, in bytes.

        Args:
            head: The rest of its head.

        Raises:
            Refused: With 400, if there are several, it is no number, or the body is chunked too.
        """
        if not self._lengths:
            return None
        if len(self._lengths) > 1:
            raise _twice(b"content-length")
        if head.chunked:
            raise Refused(400, "Ambiguous request", "both Content-Length and Transfer-Encoding")
        told = self._lengths[0]
        if not told.isdigit() or len(told) > 18:
            raise Refused(400, "Ambiguous request", "Content-Length is no number")
        return int(told)

    async def body(self, receive: Receive, length: int | None, limit: int) -> bytes:
        """Reads the body, as far as the limit.

        Args:
            receive: Of the connection.
            length: The length declared.
            limit: The most bytes.

        Raises:
            Refused: With 413 or 400, if it is too long, or not as long as declared.
            ClientGone: If it never came whole.
        """
        if length is not None and length > limit:
            raise Refused(413, "Body too large", f"at most {limit} bytes are read")
        message = await receive()
        if message["type"] != "http.request":
            raise ClientGone
        part = bytes(message.get("body", b""))
        if message.get("more_body", False):
            part = await _rest(receive, part, limit)
        if len(part) > limit:
            raise Refused(413, "Body too large", f"at most {limit} bytes are read")
        if length is not None and len(part) != length:
            raise Refused(
                400, "Ambiguous request", "the body is not as long as Content-Length says"
            )
        return part


async def _rest(receive: Receive, begun: bytes, limit: int) -> bytes:
    content, more = bytearray(begun), True
    while more and len(content) <= limit:
        message = await receive()
        if message["type"] != "http.request":
            raise ClientGone
        content += message.get("body", b"")
        more = message.get("more_body", False)
    return bytes(content)


def too_slow(seconds: float) -> Refused:
    """Returns what a client is told whose request takes longer than it may."""
    return Refused(408, "Request too slow", f"it must be whole within {seconds:g} seconds")


def _require_version(scope: Scope, pairs: Sequence[Pair]) -> None:
    """Refuses HTTP before 1.0, and in 1.0 the chunks that its readers do not know."""
    version = scope.get("http_version", "1.1")
    if version == "0.9" or (
        version == "1.0" and any(name == b"transfer-encoding" for name, _ in pairs)
    ):
        raise Refused(400, "Ambiguous request", f"HTTP/{version} does not say where it ends")


def _require_single(pairs: Sequence[Pair]) -> None:
    """Refuses what is given twice where two readers could take one or the other."""
    names = [name for name, _ in pairs]
    for name in SINGLE:
        if names.count(name) > 1:
            raise _twice(name)


def _twice(name: bytes) -> Refused:
    return Refused(400, "Ambiguous request", f"{name.decode()} is given twice")


def _checked_path(scope: Scope, prefix: str) -> str:
    path, raw = str(scope["path"]), scope.get("raw_path")
    plain = PATH.fullmatch(path) is not None
    if not plain or (raw is not None and bytes(raw).partition(b"?")[0] != path.encode("latin-1")):
        raise Refused(400, "Malformed path", "use a path without encoded or doubled parts")
    within = route_path(scope, prefix)
    if within is None:
        raise no_route()
    return within


def route_path(scope: Scope, prefix: str) -> str | None:
    """Returns a request's path within the application; ``None`` if it lies outside.

    Where an application is mounted (``root_path``), ASGI has the whole path in ``path``.

    Args:
        scope: Of the request.
        prefix: What every path begins with besides, such as that which a proxy in front keeps.
    """
    path, mounted = str(scope["path"]), str(scope.get("root_path") or "").rstrip("/")
    within = path if not mounted else _below(path, mounted) or path
    return within if not prefix else _below(within, prefix)


def _below(path: str, prefix: str) -> str | None:
    """Returns what follows a prefix; ``None`` if a path does not begin with it."""
    if path == prefix:
        return "/"
    return path[len(prefix) :] if path.startswith(prefix + "/") else None


def no_route() -> Refused:
    """Returns what a client is told of a route that no format has."""
    return Refused(404, "No such route", "this service answers predictions alone")
