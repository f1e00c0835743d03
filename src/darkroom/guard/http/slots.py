"""Requests in hand at once: so many in all, and shares of them by client."""

from __future__ import annotations


class Slots:
    """Bounds what is in hand, and lets nobody hold it all.

    Half of the slots are divided among the clients and kept for them, as far as there are enough;
    the rest goes to whoever comes first. A client holds three quarters of all at most, unless it is
    the only one.
    """

    def __init__(self, at_once: int, clients: int) -> None:
        """Divides the slots.

        Args:
            at_once: How many there are.
            clients: How many share them, at least 1.
        """
        self._held: dict[str | None, int] = {}  # of clients, who are few
        self._from_rest = 0
        self.divide(at_once, clients)

    def divide(self, at_once: int, clients: int) -> None:
        """Divides them anew; what is held stays held."""
        self._kept = at_once // (2 * clients)
        self._rest = at_once - self._kept * clients
        self._most = at_once if clients == 1 else -(-3 * at_once // 4)
        self._from_rest = sum(self._beyond(held) for held in self._held.values())

    def take(self, client: str | None) -> bool:
        """Takes one, if the client may have it.

        >>> slots = Slots(8, 2)
        >>> [slots.take("greedy") for _ in range(7)].count(True), slots.take("honest")
        (6, True)
        """
        held = self._held.get(client, 0)
        if held >= self._most:
            return False
        if held >= self._kept:
            if self._from_rest >= self._rest:
                return False
            self._from_rest += 1
        self._held[client] = held + 1
        return True

    def free(self, client: str | None) -> None:
        """Gives one back that the client holds."""
        held = self._held[client] = self._held[client] - 1
        if held >= self._kept:
            self._from_rest -= 1

    def _beyond(self, held: int) -> int:
        return max(0, held - self._kept)
