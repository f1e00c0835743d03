"""What every store of budgets does: charge durably, all or nothing, on a clock without a way back.

A store is a ledger of rows: for each *subject* (a client, a predicted class, the model) how many
rows were charged in each short span of time, a *bucket*. It knows no days and no windows: whoever
charges says which sums must stay below which limits. So a policy can change its windows, and no
count is lost.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import NamedTuple

from darkroom.errors import DarkroomError

RETENTION = 32 * 86_400_000
"""Milliseconds that buckets are kept: longer than the longest window of a policy."""


class StoreError(DarkroomError):
    """A store cannot be read or written; the guard then answers 503 and never lets through."""


class Line(NamedTuple):
    """One sum that must stay within a limit.

    Attributes:
        subject: Whose rows.
        since: Buckets count that end after this moment, in milliseconds since 1970.
        limit: The most rows.
    """

    subject: str
    since: int
    limit: int


class Entry(NamedTuple):
    """Rows of one subject in one bucket.

    Attributes:
        subject: Whose rows.
        until: When the bucket ends, in milliseconds since 1970.
        rows: How many.
    """

    subject: str
    until: int
    rows: int


class Charge(NamedTuple):
    """What is to be charged at one moment.

    Attributes:
        entries: Rows to add, at most one entry a subject and bucket.
        lines: Sums to check, with those rows added.
        returns: Rows charged before, never used, to take back first.
    """

    entries: tuple[Entry, ...]
    lines: tuple[Line, ...]
    returns: tuple[Entry, ...] = ()


class Receipt(NamedTuple):
    """What became of a charge.

    Attributes:
        granted: Whether it is durably charged; if not, nothing is.
        time: The moment of the charge on the store's clock, in milliseconds.
        spent: What each line summed to, with the charge if it was granted.
        refused: The positions of the lines over their limit.
    """

    granted: bool
    time: int
    spent: tuple[int, ...]
    refused: tuple[int, ...] = ()


Make = Callable[[int], Charge]
"""Says what to charge at a moment in milliseconds."""

Clock = Callable[[], float]
"""Seconds since 1970."""


class Store(ABC):
    """A ledger of rows that survives crashes.

    The clock is the later of what it shows now and the latest that the ledger has seen, so that
    setting it back opens nothing again. All methods raise :class:`StoreError`, after which nobody
    may assume that the charge was made or that it was not.

    Attributes:
        model: Whose budgets these are; models in one store are apart.
        clock: The clock of this host.
    """

    def __init__(self, model: str, clock: Clock = time.time) -> None:
        """Takes what the attributes say.

        Args:
            model: As the policy has it.
            clock: The clock of this host.
        """
        self.model = model
        self.clock = clock
        self._seen = 0

    @abstractmethod
    def open(self) -> None:
        """Connects, and checks that what is charged here is durable."""

    @abstractmethod
    def close(self) -> None:
        """Disconnects; harmless when not connected."""

    @abstractmethod
    def charge(self, make: Make) -> Receipt:
        """Charges all or nothing, durably before it returns.

        What ``returns`` takes back stays taken back even when the charge is refused.

        Args:
            make: Called with the moment of the charge, perhaps several times.
        """

    @abstractmethod
    def buckets(self, subject: str, since: int) -> list[Entry]:
        """Returns a subject's buckets that end after a moment, oldest first."""

    @abstractmethod
    def subjects(self) -> list[str]:
        """Returns all subjects of the model, sorted."""

    @abstractmethod
    def now(self) -> int:
        """Returns the store's clock in milliseconds."""

    @abstractmethod
    def check(self) -> None:
        """Makes sure that the ledger is sound."""

    def _advanced(self, mark: int, now: float) -> int:
        """Returns the moment that counts, and refuses a ledger that has forgotten.

        Args:
            mark: The latest moment in the ledger.
            now: Seconds since 1970.

        Raises:
            StoreError: If the mark is earlier than one that this process has seen there.
        """
        if mark < self._seen:
            raise StoreError(
                f"the store of {self.model} has lost what it held: restore it, or restart the "
                "guard to begin anew"
            )
        return max(mark, int(now * 1000))

    def _settled(self, time: int) -> None:
        """Remembers a moment that is now durable in the ledger."""
        self._seen = max(self._seen, time)


def judged(charge: Charge, before: Sequence[int], time: int) -> Receipt:
    """Decides a charge.

    Args:
        charge: What is asked.
        before: What each line sums to without it.
        time: The moment.

    >>> charge = Charge((Entry("a", 60, 3),), (Line("a", 0, 10), Line("a", 0, 4)))
    >>> judged(charge, [2, 2], 50)
    Receipt(granted=False, time=50, spent=(2, 2), refused=(1,))
    """
    added = {entry.subject: entry.rows for entry in charge.entries}
    after = [
        sum_ + added.get(line.subject, 0) for line, sum_ in zip(charge.lines, before, strict=True)
    ]
    over = tuple(
        position
        for position, (line, sum_) in enumerate(zip(charge.lines, after, strict=True))
        if sum_ > line.limit
    )
    return Receipt(not over, time, tuple(before if over else after), over)
