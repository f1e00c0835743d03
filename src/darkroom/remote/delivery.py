"""How a server is asked, and how often it is asked again."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


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
        pace: The folder through which all processes of a run keep one pace; each has its own
            without it.
    """

    batch: int = 32
    concurrency: int = 4
    timeout: float = 30.0
    retries: int = 6
    patience: float = 120.0
    backoff: float = 0.5
    longest_answer: int = 64 * 2**20
    ends_with_limit: bool = False
    pace: Path | None = None
