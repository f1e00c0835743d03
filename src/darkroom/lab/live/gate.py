"""Where a running attack waits: pause, single steps, slow motion, and the end."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


class Stopped(Exception):  # noqa: N818 - no error: somebody ended the attack
    """The attack was ended from outside; no attack catches it."""


class Gate:
    """Every batch of queries passes here before it is asked.

    The attack's thread calls :meth:`charged` and :meth:`check`; any other thread the rest.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Is open.

        Args:
            clock: Tells seconds.
        """
        self._changed = threading.Condition()
        self._clock, self._each = clock, 0.0
        self._spent, self._due = 0, clock()
        self._paused, self._steps, self._stopped = False, 0, False

    @property
    def paused(self) -> bool:
        """Whether the attack waits."""
        return self._paused

    @property
    def stopped(self) -> bool:
        """Whether the attack was ended."""
        return self._stopped

    def slow_down(self, seconds_a_query: float) -> None:
        """Lets a query take so long at least, so that one can watch."""
        self._each = seconds_a_query

    def pause(self) -> None:
        """Lets no further batch through."""
        with self._changed:
            self._paused = True

    def resume(self) -> None:
        """Lets all through again."""
        with self._changed:
            self._paused, self._steps, self._due = False, 0, self._clock()
            self._changed.notify_all()

    def step(self) -> None:
        """Lets one batch through, and waits again."""
        with self._changed:
            self._paused = True
            self._steps += 1
            self._changed.notify_all()

    def stop(self) -> None:
        """Ends the attack at its next batch."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def check(self) -> None:
        """Ends an attack that computes without asking.

        Raises:
            Stopped: If it was ended.
        """
        if self._stopped:
            raise Stopped

    def rest(self, seconds: float) -> None:
        """Waits a while, or until it is ended.

        Raises:
            Stopped: If it was ended.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._stopped, seconds)
        self.check()

    def charged(self, spent: int) -> None:
        """Waits until the next batch may be asked.

        Args:
            spent: Rows charged in all, this batch among them.

        Raises:
            Stopped: If the attack was ended.
        """
        rows, self._spent = spent - self._spent, spent
        with self._changed:
            while self._paused and not self._steps and not self._stopped:
                self._changed.wait()
            stepped = self._paused
            self._steps = max(0, self._steps - 1)
            if not stepped:
                self._slow(rows)
        self.check()

    def _slow(self, rows: int) -> None:
        """Waits as long as the rows shall take; pausing and ending it need not wait."""
        if not self._each:
            return
        self._due = max(self._due, self._clock() - 1) + rows * self._each
        while not (self._stopped or self._paused) and (left := self._due - self._clock()) > 0:
            self._changed.wait(left)
        # Whoever was paused meanwhile goes on waiting at the next batch.
