"""Waiting with a deadline, and without a timer where nothing waits."""

from __future__ import annotations

import asyncio
from unittest import mock

import pytest

from darkroom.guard.waiting import within


async def slow(seconds: float, log: list[str]) -> str:
    try:
        await asyncio.sleep(seconds)
        await asyncio.sleep(0)
    except asyncio.CancelledError:
        log.append("cancelled")
        raise
    finally:
        log.append("over")
    return "done"


def test_what_is_there_needs_no_timer() -> None:
    async def there() -> int:
        return 3

    async def broken() -> int:
        raise ValueError("at once")

    with mock.patch("asyncio.timeout", side_effect=AssertionError):
        assert asyncio.run(within(0.0, there())) == 3
        with pytest.raises(ValueError, match="at once"):
            asyncio.run(within(0.0, broken()))


def test_what_comes_in_time_is_returned() -> None:
    log: list[str] = []
    assert asyncio.run(within(5.0, slow(0.01, log))) == "done"
    assert log == ["over"]


def test_what_takes_too_long_is_cancelled() -> None:
    log: list[str] = []
    with pytest.raises(TimeoutError):
        asyncio.run(within(0.01, slow(5.0, log)))
    assert log == ["cancelled", "over"]


def test_deadlines_within_deadlines() -> None:
    async def inner() -> str:
        with pytest.raises(TimeoutError):
            await within(0.01, slow(5.0, []))
        return await within(5.0, slow(0.01, []))

    assert asyncio.run(within(5.0, inner())) == "done"


def test_a_cancelled_wait_is_cancelled_inside() -> None:
    log: list[str] = []

    async def cancelled() -> None:
        task = asyncio.create_task(within(5.0, slow(5.0, log)))
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancelled())
    assert log == ["cancelled", "over"]


def test_what_fails_later_fails() -> None:
    async def fails() -> None:
        await asyncio.sleep(0)
        raise ValueError("later")

    with pytest.raises(ValueError, match="later"):
        asyncio.run(within(5.0, fails()))
