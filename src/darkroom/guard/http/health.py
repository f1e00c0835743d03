"""Harmless questions: answered for everybody from one look at the application a second."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any, Generic, TypeVar

import orjson

from darkroom.errors import one_line
from darkroom.guard.http.requests import App, Message, Scope
from darkroom.guard.http.upstream import SERVED, Reply, ask, onward, succeeded, too_late
from darkroom.guard.wire.base import Refused

T = TypeVar("T")
logger = logging.getLogger("darkroom.guard")

LIVE, READY = "/-/live", "/-/ready"
FRESH = 1.0
"""Seconds for which an answer is told again."""

PATIENCE = 5.0
"""The most seconds that the application has for one."""

MOST_PATHS, MOST_AT_ONCE = 256, 8
"""Answers kept, and questions on their way."""


class _Look(Generic[T]):
    """A question on its way, whose answer is told for a second to whoever asks the same."""

    def __init__(self, asking: Coroutine[Any, Any, T]) -> None:
        self.task = asyncio.get_running_loop().create_task(asking)
        self.task.add_done_callback(_looked_at)
        self._begun = time.monotonic()

    @property
    def fresh(self) -> bool:
        """Whether it may be waited for here, or has been answered within the last second."""
        here = self.task.get_loop() is asyncio.get_running_loop()
        return here and (not self.task.done() or time.monotonic() - self._begun < FRESH)

    async def answer(self) -> T:
        """Waits for the answer; who stops to wait does not stop others."""
        return await asyncio.shield(self.task)


class Health:
    """Asks the application about itself for whoever wants to know, without a key and uncharged.

    However many ask, each path is asked once a second at most, a few at once, and nobody's place
    is taken. No header of a client reaches the application, so that an answer is for all.
    """

    def __init__(self, app: App) -> None:
        """Takes the application."""
        self._app = app
        self._looks: dict[str, _Look[Reply]] = {}

    async def answer(
        self, scope: Scope, path: str, *, seconds: float, limit: int, served: str | None = None
    ) -> Reply:
        """Returns what the application says, or said within the last second.

        Args:
            scope: Of the request.
            path: Of the question.
            seconds: How long the application may take.
            limit: The most bytes of its answer.
            served: Of several models, which is asked.

        Raises:
            Refused: With 502, 503 or 504, or the answer's own status, if there is no good answer.
        """
        look = self._looks.get(path)
        if look is None or not look.fresh:
            asked = {**scope, SERVED: served}
            look = self._begin(asked, path, min(seconds, PATIENCE), limit)
        return await look.answer()

    def _begin(self, scope: Scope, path: str, seconds: float, limit: int) -> _Look[Reply]:
        loop = asyncio.get_running_loop()
        going = [one for one in self._looks.values() if not one.task.done()]
        if sum(one.task.get_loop() is loop for one in going) >= MOST_AT_ONCE:
            raise Refused(503, "Busy", "too many questions about health at once: try again")
        if len(self._looks) >= MOST_PATHS:
            self._looks = {name: one for name, one in self._looks.items() if not one.task.done()}
        look = self._looks[path] = _Look(self._asked(scope, seconds, limit))
        return look

    async def _asked(self, scope: Scope, seconds: float, limit: int) -> Reply:
        headers = [pair for pair in scope["headers"] if pair[0] == b"host"]
        within = onward(
            {**scope, "method": "GET"},
            [*headers, (b"accept", b"*/*")],
            b"",
            served=scope[SERVED],
        )
        found: list[tuple[Message, bytes]] = []

        async def settle(start: Message, body: bytes) -> None:
            found.append((start, body))

        try:
            async with asyncio.timeout(seconds):
                left = await ask(self._app, within, b"", _nothing_more, limit, settle)
        except TimeoutError:
            if not found:
                raise too_late(f"no answer within {seconds:g} seconds") from None
        else:
            found += [] if left is None else [left]
        return succeeded(*found[0])


class Readiness:
    """Whether the guard can serve: for whoever runs it, without a key.

    ``GET /-/live`` is answered by the process itself. ``GET /-/ready`` is 200 where the ledger and
    the model's server can be reached, and 503 with what cannot; it looks once a second at most.
    """

    def __init__(self, checks: Mapping[str, Callable[[], Awaitable[None]]]) -> None:
        """Takes what is looked at: for each, what raises if it cannot be used."""
        self._checks = checks
        self._look: _Look[list[str]] | None = None

    async def answer(self, path: str) -> tuple[int, bytes] | None:
        """Returns a status and a body; ``None`` for other paths."""
        if path == LIVE:
            return 200, b'{"live":true}'
        if path != READY:
            return None
        if self._look is None or not self._look.fresh:
            self._look = _Look(self._missing())
        missing = await self._look.answer()
        body = {"ready": not missing, **({"missing": missing} if missing else {})}
        return (503 if missing else 200), orjson.dumps(body)

    async def _missing(self) -> list[str]:
        missing = []
        for name, check in self._checks.items():
            try:
                async with asyncio.timeout(PATIENCE):
                    await check()
            except Exception as error:  # what is wrong is for the log alone
                logger.error("not ready: %s: %s", name, one_line(error) or type(error).__name__)
                missing.append(name)
        return missing


def _looked_at(task: asyncio.Task[Any]) -> None:
    """Keeps asyncio from telling of failures that nobody waited for."""
    if not task.cancelled():
        task.exception()


async def _nothing_more() -> Message:
    await asyncio.Event().wait()
    raise AssertionError
