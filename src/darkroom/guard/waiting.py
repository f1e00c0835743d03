"""Deadlines that cost next to nothing where most has no need to wait."""

from __future__ import annotations

import asyncio
import time
from typing import Any

Task = asyncio.Task[Any]


def current() -> Task:
    """Returns the task at work."""
    task = asyncio.current_task()
    assert task is not None, "requests are served in tasks"
    return task


class Deadline:
    """How long one thing may take, whichever task does it.

    As :func:`asyncio.timeout` does, it cancels a task that takes longer, which is then to say that
    it was late; but all tasks share one timer, set for whoever began first.

    >>> async def slow(deadline: Deadline) -> str:
    ...     task = current()
    ...     deadline.begin(task)
    ...     try:
    ...         await asyncio.sleep(60)
    ...     except asyncio.CancelledError:
    ...         if deadline.missed(task):
    ...             return "too late"
    ...         raise
    ...     finally:
    ...         deadline.end(task)
    ...     return "in time"
    >>> asyncio.run(slow(Deadline(0.01)))
    'too late'

    Attributes:
        seconds: How long.
    """

    def __init__(self, seconds: float) -> None:
        """Takes the seconds."""
        self.seconds = seconds
        self._until: dict[Task, float] = {}  # in the order of time
        self._missed: set[Task] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._armed = False

    def begin(self, task: Task) -> None:
        """Begins to count for a task."""
        self._until[task] = time.monotonic() + self.seconds
        if not self._armed or self._loop is not task.get_loop():
            self._arm(task.get_loop(), self.seconds)

    def missed(self, task: Task) -> bool:
        """Tells a task that was cancelled whether it was so because it was late, and only so."""
        if task not in self._missed:
            return False
        self._missed.discard(task)
        return task.uncancel() == 0

    def end(self, task: Task) -> None:
        """Counts no more."""
        self._until.pop(task, None)
        if self._missed:
            self.missed(task)

    def _arm(self, loop: asyncio.AbstractEventLoop, seconds: float) -> None:
        self._loop, self._armed = loop, True
        loop.call_later(seconds, self._look)

    def _look(self) -> None:
        """Cancels those that are late, and sets the timer for the next."""
        loop, self._armed = asyncio.get_running_loop(), False
        now = time.monotonic()
        for task, until in list(self._until.items()):
            if task.get_loop() is not loop:  # of a loop that ended before it
                del self._until[task]
            elif until <= now:
                del self._until[task]
                self._missed.add(task)
                task.cancel()
            else:
                self._arm(loop, until - now)
                return
