"""Harmless questions: answered for everybody from one look at the application a second."""

from __future__ import annotations

import asyncio
import time
from typing import NamedTuple

from darkroom.guard.http.requests import App, Message, Scope
from darkroom.guard.http.upstream import Reply, ask, onward, succeeded, too_late
from darkroom.guard.wire.base import Refused

FRESH = 1.0
"""Seconds for which an answer is told again."""

PATIENCE = 5.0
"""The most seconds that the application has for one."""

MOST_PATHS, MOST_AT_ONCE = 256, 8
"""Answers kept, and questions on their way."""


class _Look(NamedTuple):
    task: asyncio.Task[Reply]
    begun: float


class Health:
    """Asks the application about itself for whoever wants to know, without a key and uncharged.

    However many ask, each path is asked once a second at most, a few at once, and nobody's place
    is taken. No header of a client reaches the application, so that an answer is for all.
    """

    def __init__(self, app: App) -> None:
        """Takes the application."""
        self._app = app
        self._looks: dict[str, _Look] = {}

    async def answer(self, scope: Scope, path: str, *, seconds: float, limit: int) -> Reply:
        """Returns what the application says, or said within the last second.

        Args:
            scope: Of the request.
            path: Of the question.
            seconds: How long the application may take.
            limit: The most bytes of its answer.

        Raises:
            Refused: With 502, 503 or 504, or the answer's own status, if there is no good answer.
        """
        look = self._looks.get(path)
        if look is None or not _fresh(look):
            look = self._begin(scope, path, min(seconds, PATIENCE), limit)
        return await asyncio.shield(look.task)

    def _begin(self, scope: Scope, path: str, seconds: float, limit: int) -> _Look:
        loop = asyncio.get_running_loop()
        going = [one for one in self._looks.values() if not one.task.done()]
        if sum(one.task.get_loop() is loop for one in going) >= MOST_AT_ONCE:
            raise Refused(503, "Busy", "too many questions about health at once: try again")
        if len(self._looks) >= MOST_PATHS:
            self._looks = {name: one for name, one in self._looks.items() if not one.task.done()}
        task = loop.create_task(self._asked(scope, seconds, limit))
        task.add_done_callback(_looked_at)
        look = self._looks[path] = _Look(task, time.monotonic())
        return look

    async def _asked(self, scope: Scope, seconds: float, limit: int) -> Reply:
        headers = [pair for pair in scope["headers"] if pair[0] == b"host"]
        within = onward({**scope, "method": "GET"}, [*headers, (b"accept", b"*/*")], b"")
        found: list[Reply | Refused] = []

        async def settle(reply: Reply | Refused) -> None:
            found.append(reply)

        try:
            async with asyncio.timeout(seconds):
                await ask(self._app, within, b"", _nothing_more, limit, settle)
        except TimeoutError:
            if not found:
                raise too_late(f"no answer within {seconds:g} seconds") from None
        return succeeded(found[0])


def _fresh(look: _Look) -> bool:
    if not look.task.done():
        return look.task.get_loop() is asyncio.get_running_loop()
    return time.monotonic() - look.begun < FRESH


def _looked_at(task: asyncio.Task[Reply]) -> None:
    """Keeps asyncio from telling of failures that nobody waited for."""
    if not task.cancelled():
        task.exception()


async def _nothing_more() -> Message:
    await asyncio.Event().wait()
    raise AssertionError
