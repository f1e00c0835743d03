"""What is left to spend on each goal of a search."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from darkroom.ledger import QueryLedger


class Room:
    """How many questions may still be asked for each goal in one batch."""

    def __init__(
        self, ledger: QueryLedger, spent: NDArray[np.int64], most: int, each: int = 1
    ) -> None:
        """Looks at what is left.

        Args:
            ledger: The budget.
            spent: What this search has spent on each goal.
            most: What it may spend on each.
            each: Rows that one question costs.
        """
        limits = (ledger.remaining(goal) for goal in range(len(spent)))
        self._goals = [
            (most - int(used) if left is None else min(left, most - int(used))) // each
            for left, used in zip(limits, spent, strict=True)
        ]
        total = ledger.limit.total
        self._total = sum(self._goals) if total is None else (total - ledger.total) // each

    def take(self, goal: int, wanted: int) -> int:
        """Returns how many of the questions wanted there are, and takes them away."""
        taken = max(0, min(wanted, self._goals[goal], self._total))
        self._goals[goal] -= taken
        self._total -= taken
        return taken

    def left(self, goal: int) -> int:
        """Returns how many questions may still be asked for a goal."""
        return max(0, min(self._goals[goal], self._total))
