"""Heads of requests that were understood, so that the next one alike costs nothing."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

from darkroom.guard.budgets.scopes import Asker
from darkroom.guard.http.requests import Head, Pair, Request
from darkroom.guard.wire.base import Wire

MOST_HEADS, LARGEST_HEAD, MOST_PAIRS = 1024, 4096, 64
"""How many heads are kept, and the most bytes and headers of one."""

FORM = b"multipart/"


@dataclass(slots=True)
class KnownHead:
    """What a request's head says.

    Attributes:
        head: As it was checked.
        wire: The format of its route.
        client: Who asks; ``None`` on a harmless route, where nobody needs to know.
        onward: The headers that the application gets, without the length.
        asker: Whose budgets count; ``None`` where the body decides that.
    """

    head: Head
    wire: Wire
    client: str | None
    onward: list[Pair]
    asker: Asker | None = None


class HeadCache:
    """Heads that clients have sent, so that the next one alike is understood at once.

    Only those of clients that are known are kept, few and small ones, for as long as the policy
    is in force. They hold API keys as they came, in memory alone.
    """

    def __init__(self) -> None:
        """Knows none."""
        self._known: dict[tuple[object, ...], KnownHead] = {}

    def find(self, request: Request) -> KnownHead | None:
        """Returns what a head says, if it has been here before."""
        try:
            return self._known.get(request.key)
        except TypeError:  # a server that gives lists where tuples are usual
            return None

    def keep(self, request: Request, known: KnownHead) -> None:
        """Remembers what a head says."""
        if any(name == b"content-type" and value.startswith(FORM) for name, value in request.pairs):
            return  # whose boundary is another each time
        size = sum(len(name) + len(value) for name, value in request.pairs)
        if size > LARGEST_HEAD or len(request.pairs) > MOST_PAIRS:
            return
        if len(self._known) >= MOST_HEADS:
            self._known.clear()
        with suppress(TypeError):
            self._known[request.key] = known
