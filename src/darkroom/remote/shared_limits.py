"""One pace, and one count of rows, for all processes that ask a server for the same run."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from darkroom.auditing.claims import ASKED
from darkroom.files import lock
from darkroom.remote.rate_limits import Quota, RateLimiter

PAUSE = 0.02
"""Seconds to wait while as many requests are under way as there may be."""


class _UnderWay(NamedTuple):
    """A request that some process waits for.

    Attributes:
        until: When it is over at the latest, in seconds since 1970, so that one whose process
            was killed is not counted for ever.
        rows: How many it has.
        process: Which process waits.
    """

    until: float
    rows: int
    process: int


class SharedRateLimiter(RateLimiter):
    """Says when the next request of any process may go.

    What the server told one process of its limits holds for all, and together they have no more
    requests under way than the plan allows. Each request is counted, in a file of the run, before
    it goes, so a process that is killed leaves no row uncounted. Until the run has begun, this is
    an ordinary :class:`RateLimiter`.
    """

    def __init__(self, folder: Path, concurrency: int, timeout: float) -> None:
        """Points at the file.

        Args:
            folder: Of the run's claims; made when the run begins.
            concurrency: The most requests at once.
            timeout: The seconds that a request may take.
        """
        super().__init__(time.time)
        self._folder, self._most, self._timeout = folder, concurrency, timeout
        self._under_way: list[_UnderWay] = []
        self._count = 0
        self._reserved = 0

    def wait(self, rows: int) -> float:
        """Returns for how many seconds a request must wait; one that may go has its place kept."""
        with self._alone() as begun:
            if begun:
                self._read()
            wait = PAUSE if self._requests >= self._most else super().wait(rows)
            if wait <= 0:
                self._enter(rows)
                self._reserved += 1
                if begun:
                    self._write()
        return wait

    def sent(self, rows: int) -> None:
        """Counts a request that goes out, unless :meth:`wait` did."""
        if self._reserved:
            self._reserved -= 1
            return
        with self._shared():
            self._enter(rows)

    def returned(self, rows: int) -> None:
        """Counts a request that is over."""
        with self._shared():
            super().returned(rows)
            mine = [one for one in self._under_way if one[1:] == (rows, os.getpid())]
            if mine:
                self._under_way.remove(mine[0])

    def hold(self, seconds: float) -> None:
        """Lets nothing go for a while."""
        with self._shared():
            super().hold(seconds)

    def told(self, headers: Mapping[str, str], rows: int) -> None:
        """Takes in what an answer says of limits."""
        with self._shared():
            super().told(headers, rows)

    def _enter(self, rows: int) -> None:
        super().sent(rows)
        self._under_way.append(_UnderWay(self._clock() + self._timeout, rows, os.getpid()))
        self._count += rows

    @contextmanager
    def _shared(self) -> Iterator[None]:
        """Reads what all processes know, and writes it after the block; nobody else does then."""
        with self._alone() as begun:
            if begun:
                self._read()
            yield
            if begun:
                self._write()

    @contextmanager
    def _alone(self) -> Iterator[bool]:
        """Keeps other processes out while the block runs; tells whether the run has begun."""
        if not self._folder.is_dir():
            yield False
            return
        flags = os.O_RDWR | os.O_CREAT
        with os.fdopen(os.open(self._folder / "asked.lock", flags, 0o600), "rb") as file:
            lock(file.fileno())
            yield True

    def _read(self) -> None:
        try:
            known = json.loads((self._folder / ASKED).read_bytes())
        except (OSError, ValueError):
            return  # nobody has asked yet
        now = self._clock()
        self._held_until = known["held_until"]
        self._count = known["rows"]
        self._quotas = {name: Quota(*quota) for name, quota in known["quotas"].items()}
        entries = (_UnderWay(*one) for one in known["under_way"])
        self._under_way = [one for one in entries if one.until > now]
        self._requests = len(self._under_way)
        self._rows = sum(one.rows for one in self._under_way)

    def _write(self) -> None:
        known = {
            "rows": self._count,
            "held_until": max(self._held_until, 0.0),
            "quotas": {name: list(vars(quota).values()) for name, quota in self._quotas.items()},
            "under_way": self._under_way,
        }
        partial = self._folder / ".asked.partial"
        with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            json.dump(known, file)
        partial.replace(self._folder / ASKED)
