"""Sums of rows in memory, for deciding about traffic of the past."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict

from darkroom.guard.stores.base import Charge, Receipt, judged


class _Sums:
    """One subject's rows by bucket, in the order of time, so that any window is two look-ups."""

    __slots__ = ("ends", "sums")

    def __init__(self) -> None:
        self.ends: list[int] = []
        self.sums: list[int] = []

    def add(self, until: int, rows: int) -> None:
        if not self.ends or until > self.ends[-1]:
            self.ends.append(until)
            self.sums.append((self.sums[-1] if self.sums else 0) + rows)
            return
        for place in range(bisect_right(self.ends, until - 1), len(self.ends)):
            self.sums[place] += rows

    def since(self, moment: int) -> int:
        if not self.ends:
            return 0
        place = bisect_right(self.ends, moment)
        return self.sums[-1] - (self.sums[place - 1] if place else 0)


class Tally:
    """Charges as a store does, in memory alone, where nothing is opened."""

    def __init__(self) -> None:
        """Begins with nothing spent."""
        self._subjects: dict[str, _Sums] = defaultdict(_Sums)

    def charge(self, charge: Charge, moment: int) -> Receipt:
        """Charges all or nothing.

        Args:
            charge: What is asked; it is at a later moment than those before, or the same.
            moment: The moment, in milliseconds since 1970.

        >>> from darkroom.guard.stores.base import Entry, Line
        >>> tally, line = Tally(), Line("a", 0, 3)
        >>> [tally.charge(Charge((Entry("a", 60, 2),), (line,)), 50).granted for _ in range(2)]
        [True, False]
        """
        before = [self._subjects[one.subject].since(one.since) for one in charge.lines]
        receipt = judged(charge, before, moment)
        for one in charge.entries if receipt.granted else ():
            self._subjects[one.subject].add(one.until, one.rows)
        return receipt
