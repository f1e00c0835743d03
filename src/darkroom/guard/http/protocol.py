"""Uvicorn's protocol of HTTP/1.1 with a bound on what a request may hold beside its body."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from darkroom.guard.http.responses import PROBLEM, problem, problem_body
from darkroom.guard.wire.base import Refused

MOST_OVERHEAD = 64 * 1024
"""Bytes without any of a body, after which a connection is ended."""
HEAD_SECONDS = 30.0
"""How long a head may take, and the first byte of a new connection."""

UNREAD = 256 * 1024
"""Bytes that the system keeps for a client that does not read: without a bound it takes megabytes,
and a stream that nobody reads is made far ahead."""

HTTP2 = b"PRI * HTTP/2"
"""What connections of HTTP/2 begin with, and so all of gRPC."""
NO_HTTP2 = Refused(
    505,
    "HTTP/2 is not spoken",
    "this guard speaks HTTP/1.1: ask the model over REST; it guards no gRPC",
)
TOO_LARGE = Refused(431, "Head too large", f"at most {MOST_OVERHEAD} bytes")

logger = logging.getLogger("darkroom.guard")


class BoundedProtocol(HttpToolsProtocol):
    """Ends connections whose heads, extensions of chunks or trailers do not come to an end in time.

    The parser keeps all of a field until it ends, however long that takes. Trailers are dropped:
    what comes after a head was checked must not add to it.
    """

    _overhead = 0
    _in_head = False
    _timer: asyncio.TimerHandle | None = None
    _unread: asyncio.TimerHandle | None = None

    def __init__(self, *arguments: Any, send_seconds: float = 30.0, **named: Any) -> None:
        """Begins a connection.

        Args:
            arguments: Of uvicorn.
            send_seconds: How long a client may leave what was sent to it unread.
            named: Of uvicorn.
        """
        super().__init__(*arguments, **named)
        self._send_seconds = send_seconds

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begins to wait for a head."""
        super().connection_made(transport)
        line = transport.get_extra_info("socket")
        if line is not None:
            line.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, UNREAD)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Ends."""
        self._stop_waiting()
        self._was_read()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """Notes that the client reads more slowly than it is answered, and waits so long."""
        super().pause_writing()
        self._was_read()
        # Closing would wait for the client to read: such a connection is cut off.
        self._unread = self.loop.call_later(self._send_seconds, self.transport.abort)

    def resume_writing(self) -> None:
        """Notes that the client has read."""
        self._was_read()
        super().resume_writing()

    def data_received(self, data: bytes) -> None:
        """Reads what came, and counts what led nowhere."""
        if self._overhead == 0 and self.cycle is None and data.startswith(HTTP2):
            self._refuse_http2()
            return
        self._overhead += len(data)
        super().data_received(data)
        if self._in_head and self._timer is None:
            self._wait()
        if self._overhead <= MOST_OVERHEAD or self.transport.is_closing():
            return
        if self._in_head and (self.cycle is None or self.cycle.response_complete):
            self._say(TOO_LARGE)
        self.transport.close()

    def on_message_begin(self) -> None:
        """Notes that a head begins."""
        self._in_head = True
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keeps a field of the head."""
        if self._in_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Notes that the head is whole."""
        self._in_head, self._overhead = False, 0
        self._stop_waiting()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Takes a part of the body."""
        self._overhead = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Notes that the request is whole."""
        self._overhead = 0
        super().on_message_complete()

    def _refuse_http2(self) -> None:
        logger.warning(
            "refused a connection of HTTP/2 from %s: a client of gRPC? The guard speaks HTTP/1.1 "
            "alone; see docs/how-to/operating-the-guard.md",
            self.client[0] if self.client else "somebody",
        )
        self._say(NO_HTTP2)
        self.transport.close()

    def _say(self, refused: Refused) -> None:
        body = problem_body(None, problem(refused))
        head = f"HTTP/1.1 {refused.status} {HTTPStatus(refused.status).phrase}\r\n"
        fields = f"connection: close\r\ncontent-type: {PROBLEM.decode()}\r\n"
        length = f"content-length: {len(body)}\r\n\r\n"
        self.transport.write(f"{head}{fields}{length}".encode() + body)

    def _was_read(self) -> None:
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None

    def _wait(self) -> None:
        self._timer = self.loop.call_later(HEAD_SECONDS, self.transport.close)

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def bounded(send_seconds: float) -> Callable[..., BoundedProtocol]:
    """Returns what makes the protocol of a connection, for uvicorn.

    Args:
        send_seconds: How long a client may leave what was sent to it unread.
    """
    return partial(BoundedProtocol, send_seconds=send_seconds)
