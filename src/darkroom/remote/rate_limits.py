"""Keeping to a server's rate limits."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from email.utils import parsedate_to_datetime
from typing import Any

import http_sf

_SECONDS = re.compile(r"\d{1,9}")
_EPOCH = 100_000_000
"""A legacy reset above this many seconds is a time of day, not a span."""


@dataclass
class Quota:
    """What a server says is left of one of its limits.

    Attributes:
        left: Units that may still go.
        resets_at: When there will be more, on the clock of the limiter; ``None`` if nobody said.
        size: Units in a whole window, if known.
        window: Seconds of a window, if known.
        by_rows: Whether a unit is a row; otherwise it is a request.
    """

    left: float
    resets_at: float | None
    size: int | None = None
    window: int | None = None
    by_rows: bool = False


class RateLimiter:
    """Says when the next request may go.

    Reads ``RateLimit`` and ``RateLimit-Policy`` (the IETF draft, in its present and its former
    form) and ``X-RateLimit-Remaining`` with ``-Reset``. Requests under way may not be in what a
    server says is left, so they are taken off it: it is never asked for more than it grants.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Starts without any limit.

        Args:
            clock: Seconds, never falling.
        """
        self._clock = clock
        self._held_until = -float("inf")
        self._quotas: dict[str, Quota] = {}
        self._requests = 0
        self._rows = 0

    @property
    def quotas(self) -> dict[str, Quota]:
        """What the server has said of its limits, by name; a copy."""
        return {name: replace(quota) for name, quota in self._quotas.items()}

    def wait(self, rows: int) -> float:
        """Returns for how many seconds a request of some rows must wait; 0 if it may go."""
        now = self._clock()
        longest = self._held_until - now
        for name, quota in list(self._quotas.items()):
            if quota.resets_at is not None and now >= quota.resets_at:
                self._renew(name, quota, now)
                continue
            need = rows if quota.by_rows else 1
            # A request larger than a whole window would wait for ever: the server shall decide.
            if quota.left < (need if quota.size is None else min(need, quota.size)):
                longest = max(longest, 1.0 if quota.resets_at is None else quota.resets_at - now)
        return max(longest, 0.0)

    def _renew(self, name: str, quota: Quota, now: float) -> None:
        if quota.size is None:
            del self._quotas[name]
            return
        under_way = self._rows if quota.by_rows else self._requests
        quota.left = quota.size - under_way
        quota.resets_at = None if quota.window is None else now + quota.window

    def sent(self, rows: int) -> None:
        """Counts a request that goes out."""
        self._requests += 1
        self._rows += rows
        for quota in self._quotas.values():
            quota.left -= rows if quota.by_rows else 1

    def returned(self, rows: int) -> None:
        """Counts a request that is over, whether it was answered or not."""
        self._requests -= 1
        self._rows -= rows

    def hold(self, seconds: float) -> None:
        """Lets nothing go for a while."""
        self._held_until = max(self._held_until, self._clock() + seconds)

    def told(self, headers: Mapping[str, str], rows: int) -> None:
        """Takes in what an answer says of limits, before its request counts as returned.

        Args:
            headers: The answer's, with names in lower case.
            rows: How many its own request has.
        """
        for name, quota in quotas(headers, self._clock()).items():
            quota.left -= self._rows - rows if quota.by_rows else self._requests - 1
            self._quotas[name] = quota


def quotas(headers: Mapping[str, str], now: float) -> dict[str, Quota]:
    """Returns what headers say is left of each limit; what cannot be read is passed over.

    Args:
        headers: With names in lower case.
        now: On the clock that ``resets_at`` shall be on.
    """
    found = _listed(headers, now)
    if not found and "ratelimit" in headers:
        fields = _dictionary(headers["ratelimit"])
        found = _plain(fields.get("remaining"), fields.get("reset"), fields.get("limit"), now)
    for prefix in ("ratelimit", "x-ratelimit", "x-rate-limit"):
        if not found:
            left, reset, size = (
                _number(headers.get(f"{prefix}-{one}")) for one in ("remaining", "reset", "limit")
            )
            found = _plain(left, reset, size, now)
    return found


def _listed(headers: Mapping[str, str], now: float) -> dict[str, Quota]:
    """Reads ``RateLimit: "name";r=LEFT;t=SECONDS`` with its ``RateLimit-Policy``."""
    policies = dict(_items(headers.get("ratelimit-policy", "")))
    found = {}
    for name, fields in _items(headers.get("ratelimit", "")):
        policy = policies.get(name, {})
        left, reset = _whole(fields.get("r")), _whole(fields.get("t"))
        if left is not None:
            size, window = _whole(policy.get("q")), _whole(policy.get("w"))
            by_rows = policy.get("qu") == "rows"
            resets_at = None if reset is None else now + reset
            if resets_at is None and window is not None:
                resets_at = now + window
            found[name] = Quota(left, resets_at, size, window, by_rows)
    return found


def _items(text: str) -> list[tuple[str, Mapping[str, Any]]]:
    """Returns the named members of a list, each with its parameters."""
    try:
        parsed: Any = http_sf.parse(text.encode("latin-1"), tltype="list")
    except (ValueError, UnicodeError):
        return []
    return [(str(name), fields) for name, fields in parsed if isinstance(name, str)]


def _dictionary(text: str) -> dict[str, int | None]:
    """Returns the whole numbers of a dictionary."""
    try:
        parsed: Any = http_sf.parse(text.encode("latin-1"), tltype="dictionary")
    except (ValueError, UnicodeError):
        return {}
    return {key: _whole(value[0]) for key, value in parsed.items()}


def _plain(left: int | None, reset: int | None, size: int | None, now: float) -> dict[str, Quota]:
    if left is None:
        return {}
    if reset is not None and reset > _EPOCH:
        reset = max(0, round(reset - time.time()))
    return {"": Quota(left, None if reset is None else now + reset, size)}


def _whole(value: object) -> int | None:
    """Returns a whole number that is not negative, or ``None``."""
    return value if type(value) is int and value >= 0 else None


def _number(text: str | None) -> int | None:
    text = "" if text is None else text.strip()
    return int(text) if re.fullmatch(r"[0-9]{1,15}", text) else None


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Returns the seconds that ``Retry-After`` asks for; ``None`` without a readable one.

    A date is compared with the server's own ``Date``, where it sends one, so clocks may differ.

    >>> retry_after({"retry-after": "7"})
    7.0
    >>> dates = {"retry-after": "Tue, 03 Mar 2026 10:00:30 GMT"}
    >>> retry_after(dates | {"date": "Tue, 03 Mar 2026 10:00:00 GMT"})
    30.0
    """
    text = headers.get("retry-after", "").strip()
    if _SECONDS.fullmatch(text) and text.isascii():
        return float(text)
    until = _date(text)
    if until is None:
        return None
    now = _date(headers.get("date", ""))
    return max(0.0, until - (time.time() if now is None else now))


def _date(text: str) -> float | None:
    try:
        return parsedate_to_datetime(text).timestamp()
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
