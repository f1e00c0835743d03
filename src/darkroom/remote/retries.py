"""Asking again: what a miss is, and how long to wait after it."""

from __future__ import annotations

from typing import NamedTuple

from darkroom.errors import DarkroomError
from darkroom.remote.delivery import Delivery

_LONGEST_BACKOFF = 10.0

FIRST_CONTACT = 10.0
"""The most seconds that a server may take to be there when an audit starts."""


class Miss(NamedTuple):
    """An attempt without an answer.

    Attributes:
        reason: What happened.
        reached: Whether the server may have seen the request.
        retries: How often it may be sent once more after a miss of this kind.
        wait: Seconds that the server asks for.
        refused: Whether the server said that it is asked too much.
    """

    reason: str
    reached: bool
    retries: int
    wait: float = 0.0
    refused: bool = False


class Misses:
    """How often one batch went without an answer."""

    def __init__(self, delivery: Delivery) -> None:
        """Starts at none."""
        self._delivery = delivery
        self._reached = 0
        self.count = 0

    def next_wait(self, miss: Miss, jitter: float) -> float | None:
        """Counts a miss and returns the seconds to wait; ``None`` if it was the last.

        Args:
            miss: What happened.
            jitter: Between zero and one: from half to the whole backoff is waited.
        """
        self.count += 1
        self._reached += miss.reached
        if self._reached > miss.retries:
            return None
        backoff = self._delivery.backoff * 2.0 ** min(self.count - 1, 30)
        return max(miss.wait, min(backoff, _LONGEST_BACKOFF) * (0.5 + jitter / 2))


class Missed(DarkroomError):  # noqa: N818 - caught and counted, seldom an error
    """Carries a miss out of an exchange."""

    def __init__(self, miss: Miss) -> None:
        """Keeps the miss."""
        super().__init__(miss.reason)
        self.miss = miss
