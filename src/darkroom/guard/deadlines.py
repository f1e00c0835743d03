"""Deadlines that cost next to nothing where most has no need to wait."""

from __future__ import annotations

import asyncio
import time
from typing import Any

Task = asyncio.Task[Any]

FINEST, COARSEST = 0.005, 1.0
"""Seconds between two looks at what is under way, at least and at most."""


class Deadlines:
    """Cancels tasks that take too long, as :func:`asyncio.timeout` does.

    A timer of its own for every request would cost more than most requests take, so all share one
    that looks now and then: an eighth of the shortest time allowed, and 5 ms at least, may pass
    before one is found to be late.
    """

    def __init__(self, *seconds: float) -> None:
        """Takes the times that will be allowed."""
        self._interval = min(COARSEST, max(FINEST, min(seconds) / 8))
        self._until: dict[Task, tuple[float, int]] = {}
        self._late: dict[Task, int] = {}
        self._loop: asyncio.AbstractEventLoop | None = None

    def allow(self, task: Task, seconds: float) -> None:
        """Gives a task so many seconds from now, whatever it was given before."""
        # Cancellations that it had before are for somebody else.
        self._until[task] = time.monotonic() + seconds, task.cancelling()
        if self._loop is not task.get_loop():
            self._loop = task.get_loop()
            self._loop.call_later(self._interval, self._look, self._loop)

    def end(self, task: Task) -> bool:
        """Counts no more, and tells whether a task was cancelled for being late, and only so."""
        self._until.pop(task, None)
        before = self._late.pop(task, None)
        return before is not None and task.uncancel() <= before

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        """Cancels who is late, and looks again later while anybody is under way."""
        now = time.monotonic()
        for task, (until, before) in list(self._until.items()):
            if task.get_loop() is loop and until <= now:
                self._late[task] = before
                task.cancel()
            if task in self._late or task.get_loop().is_closed():
                del self._until[task]
        if self._until:
            loop.call_later(self._interval, self._look, loop)
        elif self._loop is loop:
            self._loop = None
