"""Counting queries: every row is charged before it is answered."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from darkroom.errors import DarkroomError


class BudgetExhausted(DarkroomError):  # noqa: N818 - the design's name, not an error of the user
    """The next rows would go over the attacker's budget; nothing of them was charged."""


@dataclass(frozen=True)
class Limit:
    """What an attacker may spend, in rows.

    Attributes:
        per_goal: Rows for each goal, or ``None`` for no limit.
        total: Rows for all goals together, or ``None`` for no limit.
    """

    per_goal: int | None = None
    total: int | None = None


class QueryLedger:
    """Counts the rows that each goal has cost and refuses those beyond the limit.

    A query is one row answered by the target. A gradient counts as a query of its own kind: one
    charge covers the forward pass and the gradient with respect to that row.

    >>> ledger = QueryLedger(goals=2, limit=Limit(per_goal=3))
    >>> ledger.charge(np.array([0, 0, 1]))
    >>> ledger.spent.tolist(), ledger.total, ledger.remaining(0)
    ([2, 1], 3, 1)

    Rows whose answers serve several goals are paid for by them in parts, but each goal alone would
    have cost them all. Limits a goal are about that.

    >>> ledger = QueryLedger(goals=2, limit=Limit(per_goal=5))
    >>> with ledger.shared(np.array([0, 1])):
    ...     ledger.charge(np.array([0, 0, 1, 1]))
    >>> ledger.spent.tolist(), ledger.alone.tolist(), ledger.remaining(0)
    ([2, 2], [4, 4], 1)
    """

    def __init__(
        self,
        goals: int,
        limit: Limit | None = None,
        on_charge: Callable[[int], None] | None = None,
    ) -> None:
        """Starts at zero.

        Args:
            goals: The number of goals, charged by their position ``0 .. goals - 1``.
            limit: The attacker's budget; none when left out.
            on_charge: Told the rows charged in all, after each charge.
        """
        self.limit = limit or Limit()
        self._on_charge = on_charge
        self._spent = np.zeros(goals, dtype=np.int64)
        self._alone = np.zeros(goals, dtype=np.int64)
        self._total = 0
        self._served: NDArray[np.int64] | None = None

    @property
    def spent(self) -> NDArray[np.int64]:
        """Rows charged to each goal, int64 ``(goals,)``; a copy."""
        return self._spent.copy()

    @property
    def alone(self) -> NDArray[np.int64]:
        """Rows that each goal alone would have cost, int64 ``(goals,)``; a copy."""
        return self._alone.copy()

    @contextmanager
    def shared(self, goals: NDArray[np.int64]) -> Iterator[None]:
        """Counts the rows charged meanwhile as serving all of some goals, whoever pays.

        Args:
            goals: Their positions.
        """
        self._served = goals
        try:
            yield
        finally:
            self._served = None

    @property
    def total(self) -> int:
        """Rows charged to all goals together."""
        return self._total

    def remaining(self, goal: int) -> int | None:
        """Rows that ``goal`` may still cost, or ``None`` when nothing limits it."""
        left = []
        if self.limit.per_goal is not None:
            left.append(self.limit.per_goal - int(self._alone[goal]))
        if self.limit.total is not None:
            left.append(self.limit.total - self.total)
        return min(left) if left else None

    def charge(self, goals: NDArray[np.int64]) -> None:
        """Charges one row to each goal listed; call it before the rows are answered.

        Args:
            goals: The position of the goal that each row serves, int64 ``(rows,)``.

        Raises:
            BudgetExhausted: If any goal, or all together, would go over the limit. Then nothing
                is charged.
            ValueError: If a goal has another number.
        """
        part, rows, alone = self._counted(goals)
        limit = self.limit
        if limit.total is not None and self.total + len(goals) > limit.total:
            raise BudgetExhausted(f"the budget of {limit.total} rows in all is spent")
        if limit.per_goal is not None and (self._alone[part] + alone > limit.per_goal).any():
            raise BudgetExhausted(f"the budget of {limit.per_goal} rows a goal is spent")
        self._spent[part] += rows
        self._alone[part] += alone
        self._total += len(goals)
        self._told()

    def _counted(
        self, goals: NDArray[np.int64]
    ) -> tuple[slice, NDArray[np.int64], NDArray[np.int64]]:
        """Returns the rows that goals pay for, and those that each would have cost alone.

        Returns:
            Which goals, and both numbers for each of them: for a few neighbours among a million,
            as blocks of a table ask for, no others are looked at.
        """
        if self._served is None and len(goals):
            part = slice(int(goals.min()), int(goals.max()) + 1)
            if part.start < 0 or part.stop > len(self._spent):
                raise ValueError(f"goals are numbered from 0 to {len(self._spent) - 1}")
        else:
            part = slice(0, len(self._spent))
        rows = np.bincount(goals - part.start, minlength=part.stop - part.start)
        if self._served is None:
            return part, rows, rows
        alone = rows.copy()
        alone[self._served] = len(goals)
        return part, rows, alone

    def bill(self, goals: NDArray[np.int64]) -> Bill:
        """Charges the rows of one query and returns what corrects the charge; see :class:`Bill`.

        Args:
            goals: The position of the goal that each row serves, int64 ``(rows,)``.

        Raises:
            BudgetExhausted: As :meth:`charge` does.
        """
        self.charge(goals)
        return Bill(self, goals)

    def refund(self, goals: NDArray[np.int64]) -> None:
        """Takes back one row from each goal listed: rows that were charged and never sent.

        Args:
            goals: As :meth:`charge` had them.
        """
        part, rows, alone = self._counted(goals)
        self._spent[part] -= rows
        self._alone[part] -= alone
        self._total -= len(goals)
        self._told()

    def _told(self) -> None:
        if self._on_charge is not None:
            self._on_charge(self.total)


class Bill:
    """The rows of one query, charged; a remote target corrects it when a network fails.

    >>> ledger = QueryLedger(goals=2)
    >>> bill = ledger.bill(np.array([0, 1, 1]))
    >>> bill.again(np.array([0]))
    >>> bill.unsent(np.array([1, 2]))
    >>> ledger.spent.tolist()
    [2, 0]
    """

    def __init__(self, ledger: QueryLedger, goals: NDArray[np.int64]) -> None:
        """Keeps whom the rows serve; use :meth:`QueryLedger.bill`, which charges them too."""
        self._ledger = ledger
        self._goals = goals

    def again(self, rows: NDArray[np.int64]) -> None:
        """Charges rows that are about to be sent once more.

        Args:
            rows: Their positions in the query.

        Raises:
            BudgetExhausted: If they would go over the limit; they must not be sent then.
        """
        self._ledger.charge(self._goals[rows])

    def unsent(self, rows: NDArray[np.int64]) -> None:
        """Takes back rows that were charged and never sent.

        Args:
            rows: Their positions in the query.
        """
        self._ledger.refund(self._goals[rows])
