"""Deadlines that cost next to nothing where most has no need to wait."""

from __future__ import annotations

import asyncio
import math
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

    Attributes:
        running: Those that count now.
        loop: In which they are looked at, while there are any.
    """

    def __init__(self, *seconds: float) -> None:
        """Takes the times that will be allowed."""
        self._interval = min(COARSEST, max(FINEST, min(seconds) / 8))
        self.running: set[Deadline] = set()
        self.loop: asyncio.AbstractEventLoop | None = None

    def watch(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begins to look at what runs in a loop."""
        self.loop = loop
        loop.call_later(self._interval, self._look, loop)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        """Cancels who is late, and looks again later while anybody is under way."""
        now = time.monotonic()
        for one in list(self.running):
            if (one.loop is loop and one.cancelled(now)) or one.loop.is_closed():
                self.running.discard(one)
        if self.running:
            loop.call_later(self._interval, self._look, loop)
        elif self.loop is loop:
            self.loop = None


class Deadline:
    """How long a task may take for what it does now.

    Attributes:
        loop: In which the task runs.
    """

    __slots__ = ("_before", "_deadlines", "_late", "_task", "_until", "loop")

    def __init__(self, deadlines: Deadlines, task: Task) -> None:
        """Takes the task; nothing counts yet.

        Args:
            deadlines: Looks at all of them.
            task: Which may be late.
        """
        self._deadlines, self._task, self._late = deadlines, task, False
        self._until, self._before = math.inf, 0
        self.loop = task.get_loop()

    def allow(self, seconds: float) -> None:
        """Gives the task so many seconds from now, whatever it was given before."""
        self._until = time.monotonic() + seconds
        # Cancellations that it had before are for somebody else.
        self._before = self._task.cancelling()
        shared = self._deadlines
        shared.running.add(self)
        if shared.loop is not self.loop:
            shared.watch(self.loop)

    def end(self) -> bool:
        """Counts no more, and tells whether the task was cancelled for being late, and only so."""
        self._deadlines.running.discard(self)
        if not self._late:
            return False
        self._late = False
        return self._task.uncancel() <= self._before

    def cancelled(self, now: float) -> bool:
        """Cancels the task if it is late, and tells whether it was."""
        if self._until > now:
            return False
        self._late = True
        self._task.cancel()
        return True
