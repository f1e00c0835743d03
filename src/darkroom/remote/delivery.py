"""How a server is asked, and how often it is asked again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from darkroom.errors import DarkroomError

_LONGEST_BACKOFF = 10.0

FIRST_CONTACT = 10.0
"""The most seconds that a server may take to be there when an audit starts."""


@dataclass(frozen=True)
class Delivery:
    """How a server is asked.

    Attributes:
        batch: The most rows in a request.
        concurrency: The most requests at once.
        timeout: Seconds that one attempt may take from connecting to the last byte.
        retries: How often a request that may have reached the server is sent once more.
        patience: Seconds to wait in all for a server that is away, restarts or fails, and the
            longest pause that a rate limit may ask for.
        backoff: Seconds before the first retry; they double with each, up to ten.
        longest_answer: The most bytes of an answer.
        ends_with_limit: Whether a limit that is spent for longer than the patience ends an attack,
            as its own budget does, and not the run. The server is asked all the same, even where it
            has told of it, so that it is the server that refuses.
    """

    batch: int = 32
    concurrency: int = 4
    timeout: float = 30.0
    retries: int = 6
    patience: float = 120.0
    backoff: float = 0.5
    longest_answer: int = 64 * 2**20
    ends_with_limit: bool = False


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
    """How often one parcel went without an answer."""

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
