"""Days and sliding windows, in milliseconds since 1970."""

from __future__ import annotations

import datetime
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from zoneinfo import ZoneInfo

DAY = 86_400_000
LONGEST = 31 * DAY
UNITS = {"s": 1000, "m": 60_000, "h": 3_600_000, "d": DAY}
BUCKETS = (60_000, 30_000, 10_000, 5_000, 2_000, 1_000, 500, 200, 100, 50)
"""Lengths that a bucket can have; each divides a minute, so none lies across midnight."""

SHARE = 20
"""The shortest window is at least so many buckets long."""


@dataclass(frozen=True)
class Window:
    """A span in which rows are counted.

    Attributes:
        length: Milliseconds; ``None`` for a calendar day.
    """

    length: int | None

    @property
    def seconds(self) -> float:
        """Its length; that of a usual day for a calendar day."""
        return (DAY if self.length is None else self.length) / 1000

    def since(self, time: int, zone: ZoneInfo) -> int:
        """Returns after which moment rows count.

        Args:
            time: Now.
            zone: Whose midnight begins a day.
        """
        return _midnight(time, zone, 0) if self.length is None else time - self.length

    def left(self, time: int, zone: ZoneInfo) -> int:
        """Returns in how many milliseconds all that counts now has surely left the window."""
        return _midnight(time, zone, 1) - time if self.length is None else self.length

    def reset(
        self,
        time: int,
        zone: ZoneInfo,
        buckets: Sequence[tuple[int, int]],
        room: int,
        opened: Sequence[tuple[int, int]] = (),
    ) -> int | None:
        """Returns when at most ``room`` rows are left in the window; ``None`` if they never are.

        Args:
            time: Now.
            zone: Whose midnight begins a day.
            buckets: When each that counts now ends, and its rows.
            room: Below 0 where only what is opened makes room for more than the limit.
            opened: When rows that make room besides stop doing so, and how many they are.

        >>> Window(60_000).reset(100_000, ZoneInfo("UTC"), [(50_000, 3), (90_000, 4)], 2)
        150000
        >>> Window(60_000).reset(
        ...     100_000, ZoneInfo("UTC"), [(50_000, 3), (90_000, 4)], 2, [(110_000, 3)]
        ... )
        150000
        >>> Window(60_000).reset(
        ...     100_000, ZoneInfo("UTC"), [(50_000, 3), (90_000, 4)], 4, [(110_000, 3)]
        ... )
        100000
        """
        left = sum(rows for _, rows in buckets) - sum(rows for _, rows in opened)
        if left <= room:
            return time
        if self.length is None:
            return _midnight(time, zone, 1)
        changes = Counter[int]()
        for until, rows in buckets:
            changes[until + self.length] -= rows
        for until, rows in opened:
            changes[until] += rows
        for moment in sorted(changes):
            left += changes[moment]
            if left <= room:
                return moment
        return None


def parse_window(text: str) -> Window:
    """Reads ``day`` for a calendar day, or a sliding window such as ``30s``, ``1h``, ``7d``.

    Raises:
        ValueError: If it is something else, or longer than 31 days, or shorter than a second.

    >>> parse_window("day"), parse_window("15m")
    (Window(length=None), Window(length=900000))
    """
    if text == "day":
        return Window(None)
    match = re.fullmatch(r"([1-9]\d{0,8})([smhd])", text)
    if match is None:
        raise ValueError(f"{text!r} is neither 'day' nor a span such as '30s', '15m', '1h', '7d'")
    length = int(match[1]) * UNITS[match[2]]
    if length > LONGEST:
        raise ValueError(f"{text!r} is longer than 31 days")
    return Window(length)


def bucket_length(windows: Iterable[Window]) -> int:
    """Returns how long buckets have to be for some windows.

    A window forgets a bucket when all of it lies behind, so it is held to at most a twentieth
    more than its length.

    >>> bucket_length([Window(None)]), bucket_length([Window(None), Window(10_000)])
    (60000, 500)
    """
    shortest = min((one.length for one in windows if one.length is not None), default=DAY)
    return next(length for length in BUCKETS if length * SHARE <= shortest)


def bucket_end(time: int, length: int) -> int:
    """Returns when the bucket of a moment ends.

    >>> bucket_end(59_999, 60_000), bucket_end(60_000, 60_000)
    (60000, 120000)
    """
    return (time // length + 1) * length


def _midnight(time: int, zone: ZoneInfo, ahead: int) -> int:
    """Returns the first moment of the day, or of one ``ahead`` days later."""
    day = datetime.datetime.fromtimestamp(time / 1000, zone).date()
    day += datetime.timedelta(days=ahead)
    start = datetime.datetime.combine(day, datetime.time(), zone)
    return int(start.timestamp() * 1000)
