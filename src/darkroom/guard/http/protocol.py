"""Uvicorn's protocol of HTTP/1.1 with a bound on what a request may hold beside its body."""

from __future__ import annotations

import asyncio

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MOST_OVERHEAD = 64 * 1024
"""Bytes without any of a body, after which a connection is ended."""
HEAD_SECONDS = 30.0
"""How long a head may take, and the first byte of a new connection."""

TOO_LARGE = (
    b'{"type":"about:blank","title":"Head too large","status":431,"detail":"at most %d bytes"}'
)


class BoundedProtocol(HttpToolsProtocol):
    """Ends connections whose heads, extensions of chunks or trailers do not come to an end in time.

    The parser keeps all of a field until it ends, however long that takes. Trailers are dropped:
    what comes after a head was checked must not add to it.
    """

    _overhead = 0
    _in_head = False
    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begins to wait for a head."""
        super().connection_made(transport)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Ends."""
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Reads what came, and counts what led nowhere."""
        self._overhead += len(data)
        super().data_received(data)
        if self._in_head and self._timer is None:
            self._wait()
        if self._overhead <= MOST_OVERHEAD or self.transport.is_closing():
            return
        if self._in_head and (self.cycle is None or self.cycle.response_complete):
            body = TOO_LARGE % MOST_OVERHEAD
            head = "HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\n"
            kind = f"content-type: application/problem+json\r\ncontent-length: {len(body)}\r\n\r\n"
            self.transport.write(f"{head}{kind}".encode() + body)
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

    def _wait(self) -> None:
        self._timer = self.loop.call_later(HEAD_SECONDS, self.transport.close)

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
