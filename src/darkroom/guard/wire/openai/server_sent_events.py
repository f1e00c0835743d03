"""Server-sent events (WHATWG HTML, section 9.2), in bounded memory."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

from darkroom.guard.wire.strict_json import Unclear

LARGEST = 4 * 2**20
"""Bytes of one event."""

_LINE = re.compile(rb"\r\n|\n|\r")


async def events(chunks: AsyncIterator[bytes], largest: int = LARGEST) -> AsyncIterator[bytes]:
    r"""Yields the data of each event, whatever pieces the stream came in.

    Comments and fields other than ``data`` are left out; an event that the stream's end cut off is
    dropped, as browsers do.

    Args:
        chunks: The stream.
        largest: Bytes that an event may have.

    Raises:
        Unclear: If an event is larger.
    """
    # Pieces wait unjoined until a line ends, so that many small ones cost no more than few.
    waiting: list[bytes] = []
    held, data, size = 0, list[bytes](), 0
    async for chunk in chunks:
        waiting.append(chunk)
        held += len(chunk)
        if held + size > largest + len(chunk):
            raise Unclear("an event of it is too large")
        if b"\n" not in chunk and b"\r" not in chunk:
            continue
        lines, rest = _lines(b"".join(waiting))
        waiting, held = [rest], len(rest)
        for line in lines:
            if line:
                name, _, value = line.partition(b":")
                if name == b"data":
                    data.append(value.removeprefix(b" "))
                    size += len(value)
                    if size > largest:
                        raise Unclear("an event of it is too large")
            elif data:
                yield b"\n".join(data)
                data, size = [], 0


def _lines(text: bytes) -> tuple[list[bytes], bytes]:
    """Splits whole lines off; a carriage return at the end may be half of a line's end."""
    kept = b""
    if text.endswith(b"\r"):
        text, kept = text[:-1], b"\r"
    *lines, rest = _LINE.split(text)
    return lines, rest + kept
