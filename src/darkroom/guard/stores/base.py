"""What every store of budgets does: charge durably, all or nothing, on a clock without a way back.

A store is a ledger of rows: for each *subject* (a client, a predicted class, the model) how many
rows were charged in each short span of time, a *bucket*. It knows no days and no windows: whoever
charges says which sums must stay below which limits. So a policy can change its windows, and no
count is lost.

A ledger is begun once, on purpose, and has an *identity* from then on. It counts its charges (its
*turn*) and adds up its rows. Every process checks all three with every charge: a ledger that is not
there, is another, is behind, or lacks rows is refused, because budgets would be open again.
"""

from __future__ import annotations

import logging
import secrets
import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple

from darkroom.errors import DarkroomError

logger = logging.getLogger("darkroom.guard")

MEND = "restore it, or begin anew with: darkroom guard init --discard"
"""What to do about a ledger that is not whole."""

RETENTION = 32 * 86_400_000
"""Milliseconds that buckets are kept: longer than the longest window of a policy."""


class StoreError(DarkroomError):
    """A store cannot be read or written; the guard then answers 503 and never lets through."""


class NoLedgerError(StoreError):
    """There is no ledger, and nobody has said that one may begin."""


class Ledger(NamedTuple):
    """What a ledger says of itself.

    Attributes:
        identity: Drawn when it was begun.
        mark: The latest moment in it, in milliseconds since 1970.
        turn: How many charges it has seen.
        rows: All that it holds.
    """

    identity: str
    mark: int
    turn: int
    rows: int


class Line(NamedTuple):
    """One sum that must stay within a limit.

    Attributes:
        subject: Whose rows.
        since: Buckets count that end after this moment, in milliseconds since 1970.
        limit: The most rows.
        opened: Subjects whose rows raise the limit until their buckets end: what an operator has
            opened. They are looked up only where the limit would not do.
    """

    subject: str
    since: int
    limit: int
    opened: tuple[str, ...] = ()


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

    def counts_in(self, line: Line) -> bool:
        """Tells whether a sum has these rows in it."""
        return self.subject == line.subject and self.until > line.since


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

    @property
    def added(self) -> Counter[str]:
        """How many rows it adds to each subject."""
        made: Counter[str] = Counter()
        for one in self.entries:
            made[one.subject] += one.rows
        return made

    @property
    def subjects(self) -> set[str]:
        """Whose rows it is about."""
        every = [*self.entries, *self.returns]
        return {one.subject for one in every} | {one.subject for one in self.lines}


class Receipt(NamedTuple):
    """What became of a charge.

    Attributes:
        granted: Whether it is durably charged; if not, nothing is.
        time: The moment of the charge on the store's clock, in milliseconds.
        spent: What each line summed to, with the charge if it was granted.
        refused: The positions of the lines over their limit.
        opened: By how much an operator has raised each line's limit, as far as that was needed.
    """

    granted: bool
    time: int
    spent: tuple[int, ...]
    refused: tuple[int, ...] = ()
    opened: tuple[int, ...] = ()

    def opened_at(self, position: int) -> int:
        """Returns by how much a line's limit was raised."""
        return self.opened[position] if self.opened else 0


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
        create: Whether a ledger is begun where there is none. What was lost then counts no more.
        title: What messages call it.
    """

    title: str

    def __init__(self, model: str, clock: Clock = time.time, *, create: bool = False) -> None:
        """Takes what the attributes say.

        Args:
            model: As the policy has it.
            clock: The clock of this host.
            create: Whether a ledger is begun where there is none.
        """
        self.model, self.clock, self.create = model, clock, create
        self._known: Ledger | None = None

    @abstractmethod
    def connect(self) -> None:
        """Connects, and makes sure that what is charged here is durable; begins nothing."""

    @abstractmethod
    def close(self) -> None:
        """Disconnects; harmless when not connected."""

    @abstractmethod
    def ledger(self) -> Ledger | None:
        """Reads what the ledger says of itself; ``None`` where there is none."""

    @abstractmethod
    def begin(self, *, discard: bool = False) -> Ledger:
        """Begins a ledger, or returns the one there is.

        Rows that are there without a ledger count in it.

        Args:
            discard: Whether one that is there is thrown away first, with all that was charged.
        """

    @abstractmethod
    def remembered(self) -> str | None:
        """Returns what was last kept beside the ledger with :meth:`remember`."""

    @abstractmethod
    def remember(self, text: str) -> None:
        """Keeps a text beside the ledger."""

    def open(self) -> None:
        """Connects, and makes sure that the ledger is there, known and sound.

        Raises:
            NoLedgerError: If there is none, and none may be begun.
        """
        self.connect()
        found = self.ledger()
        if found is None and self.create and self._known is None:
            found = self.begin()
            logger.warning(
                "%s: BEGAN A NEW LEDGER for %s, because [store] create = true: nothing is spent",
                self.title,
                self.model,
            )
        first = self._known is None
        self._known = self._recognised(found)
        if first:
            self.check()

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

    def _recognised(self, found: Ledger | None) -> Ledger:
        """Returns a ledger that may be charged.

        Raises:
            NoLedgerError: If there is none.
            StoreError: If it is another than this process has charged, or lacks charges.
        """
        if found is None:
            raise NoLedgerError(
                f"{self.title}: no ledger of {self.model}: restore it; or, to begin with nothing "
                "spent, run: darkroom guard init"
            )
        known = self._known
        if known is not None and found.identity != known.identity:
            raise StoreError(
                f"{self.title}: another ledger of {self.model} took the place of the one that this "
                "process has charged: restore that one, or restart the guard to go on with this"
            )
        if known is not None and found.turn < known.turn:
            raise StoreError(
                f"{self.title}: the ledger of {self.model} has lost {known.turn - found.turn} "
                "charge(s), as after a restore or a failover: restore a later state, or restart "
                "the guard to go on without them"
            )
        return found

    def _moment(self, found: Ledger, now: float) -> int:
        """Returns the moment that counts: the later of the ledger's mark and now, in seconds."""
        return max(found.mark, int(now * 1000))

    def _lacks(self, subject: str) -> StoreError:
        return StoreError(
            f"{self.title}: the ledger of {self.model} lacks rows of {subject} that were charged: "
            f"{MEND}"
        )


def new_identity() -> str:
    """Draws the identity of a new ledger."""
    return secrets.token_hex(16)


def judged(
    charge: Charge,
    before: Sequence[int],
    time: int,
    opened: Callable[[Line], int] = lambda _: 0,
) -> Receipt:
    """Decides a charge.

    Args:
        charge: What is asked.
        before: What each line sums to without it.
        time: The moment.
        opened: By how much a line's limit is raised; asked only where the limit would not do.

    >>> charge = Charge((Entry("a", 60, 3),), (Line("a", 0, 10), Line("a", 0, 4)))
    >>> judged(charge, [2, 2], 50)
    Receipt(granted=False, time=50, spent=(2, 2), refused=(1,), opened=())
    """
    added = charge.added
    after = [sum_ + added[line.subject] for line, sum_ in zip(charge.lines, before, strict=True)]
    raised = [
        opened(line) if line.opened and sum_ > line.limit else 0
        for line, sum_ in zip(charge.lines, after, strict=True)
    ]
    over = tuple(
        position
        for position, (line, sum_) in enumerate(zip(charge.lines, after, strict=True))
        if sum_ > line.limit + raised[position]
    )
    told = tuple(raised) if any(raised) else ()
    return Receipt(not over, time, tuple(before if over else after), over, told)
