"""The same model behind a guard: what it lets through until it refuses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, NamedTuple, TypeVar

from darkroom.errors import TargetError
from darkroom.ledger import BudgetExhausted
from darkroom.remote.target import ServedTarget

T = TypeVar("T", bound=ServedTarget)


class Allowance(NamedTuple):
    """A limit that a guard told of: so many rows in so many seconds."""

    name: str
    rows: int
    seconds: int


class Held(NamedTuple):
    """What a guard did to an attack.

    Attributes:
        rows: Rows that it answered and charged.
        refusals: Requests that it refused.
        opened: Rows that were asked before any attack, to find out about the server.
        limits: What it told of its limits.
    """

    rows: int
    refusals: int
    opened: int
    limits: tuple[Allowance, ...]


class Endpoint(Generic[T]):
    """A model behind a guard, with what it cost to find out about it.

    Attributes:
        target: The model, of which every row is asked of the guard.
        opened: Rows that were asked before any attack.
    """

    def __init__(self, reach: Callable[[], T]) -> None:
        """Reaches the guard.

        Args:
            reach: Opens the model behind it; delivery must end with the guard's limit.

        Raises:
            TargetError: If the guard cannot be reached, or refuses already.
        """
        try:
            self.target = reach()
        except BudgetExhausted as error:
            raise TargetError(
                "[guarded]: the guard refuses before the attack begins, as when an earlier run has "
                f"spent the budget; go on later with --resume ({error})"
            ) from error
        self._sender = self.target.sender
        self.opened = self._sender.rows_sent
        self._before = (0, 0)

    def begin(self) -> None:
        """Counts refusals from here."""
        self._before = (self._sender.refusals, self._sender.rows_refused)

    def held(self, charged: int) -> Held:
        """Returns what the guard did since :meth:`begin`.

        Args:
            charged: Rows that the attacker's ledger has, those refused among them.
        """
        refusals = self._sender.refusals - self._before[0]
        refused = self._sender.rows_refused - self._before[1]
        limits = [
            Allowance(name, quota.size, quota.window)
            for name, quota in self._sender.quotas.items()
            if quota.size and quota.window
        ]
        return Held(charged - refused, refusals, self.opened, tuple(limits))
