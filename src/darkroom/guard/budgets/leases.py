"""Leases: rows charged to a client ahead, and used by the requests that follow."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import NamedTuple

from darkroom.guard.budgets.rules import Decision, Rules
from darkroom.guard.budgets.scopes import Asker
from darkroom.guard.stores.base import Clock, Entry, Receipt
from darkroom.guard.windows import bucket_end

NEVER = -1
"""A credit that no lease falls to."""


class Instant(NamedTuple):
    """A moment on two clocks, neither of which has to be believed alone."""

    steady: float
    wall: float


class Lease:
    """Rows charged to a client and not used yet, for as long as their bucket lasts.

    Attributes:
        rules: Under which they were charged.
        credit: How many are left.
        used: How many were used.
        low: The credit at which more is to be charged.
        allowances: The client's budgets when it began.
        passed: Whole seconds from then until rows were last taken.
        behind: Rows of an earlier bucket, to take back with the next charge.
    """

    def __init__(
        self,
        rules: Rules,
        asker: Asker,
        receipt: Receipt,
        credit: int,
        begun: Instant,
        before: Lease | None,
    ) -> None:
        """Begins it, or goes on with one.

        Args:
            rules: That were in force.
            asker: Whose it is.
            receipt: Of the charge.
            credit: The rows charged.
            begun: When the charge began.
            before: One that is used no more: what is left of it counts here while its bucket
                lasts, and is taken back when that of the charge is another.
        """
        until = bucket_end(receipt.time, rules.bucket)
        self.rules = rules
        self.credit, self.used, self.passed = credit, 0, 0
        self._places = rules.account(asker).subjects
        self._until, self._begun = until, begun
        self._span = (until - receipt.time) / 1000
        self.allowances = rules.allowances(asker, receipt)
        self.behind: tuple[Entry, ...] = ()
        if before is not None:
            self.used = before.used
            same = before._until == until
            self.credit += before.credit if same else 0
            self.behind = before.behind if same else before.rest
        self.low = self.credit // 2

    def take(self, rows: int, rules: Rules, clock: Clock) -> bool:
        """Uses rows of it, if it holds so many, now, under the rules that are in force."""
        if self.rules is not rules or self.credit < rows:
            return False
        steady, wall = self._begun
        passed = time.monotonic() - steady
        if passed >= self._span or clock() - wall >= self._span:
            return False
        self.passed = int(passed)
        self.credit -= rows
        self.used += rows
        return True

    def use(self, rows: int) -> None:
        """Uses rows of it, which it holds."""
        self.credit -= rows
        self.used += rows

    def decision(self) -> Decision:
        """Returns what a client may know of rows that were used."""
        return Decision(True, self.allowances, leased=self.credit, passed=self.passed)

    @property
    def rest(self) -> tuple[Entry, ...]:
        """What to take back."""
        if not self.credit:
            return self.behind
        return (*self.behind, *(Entry(place, self._until, self.credit) for place in self._places))


def together(entries: Sequence[Entry]) -> tuple[Entry, ...]:
    """Adds up entries of the same subject and bucket."""
    sums: dict[tuple[str, int], int] = {}
    for entry in entries:
        place = (entry.subject, entry.until)
        sums[place] = sums.get(place, 0) + entry.rows
    return tuple(Entry(subject, until, rows) for (subject, until), rows in sums.items())
