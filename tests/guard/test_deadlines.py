"""Deadlines that all tasks share."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable
from unittest import mock

import pytest
from tests.support.virtual_time import VirtualTime

from darkroom.guard import deadlines as deadlines_of_tasks
from darkroom.guard.deadlines import Deadline, Deadlines, Task


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> VirtualTime:
    """Time that passes only where somebody waits."""
    virtual = VirtualTime()
    monkeypatch.setattr(deadlines_of_tasks, "time", virtual)
    return virtual


async def within(deadlines: Deadlines, seconds: float, awaitable: Awaitable[str]) -> str:
    deadline = Deadline(deadlines, current())
    deadline.allow(seconds)
    try:
        return await awaitable
    except asyncio.CancelledError:
        if deadline.end():
            raise TimeoutError from None
        raise
    finally:
        deadline.end()


def current() -> Task:
    task = asyncio.current_task()
    assert task is not None
    return task


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


def test_many_tasks_share_one_timer(clock: VirtualTime) -> None:
    async def many() -> int:
        deadlines = Deadlines(5.0)
        loop = asyncio.get_running_loop()
        with mock.patch.object(loop, "call_later", wraps=loop.call_later) as timers:
            for _ in range(10):
                await within(deadlines, 5.0, asyncio.sleep(0, "at once"))
            await asyncio.gather(*(within(deadlines, 5.0, slow(0.0, [])) for _ in range(10)))
        return timers.call_count

    assert clock.run(many()) == 1


def test_what_comes_in_time_is_returned(clock: VirtualTime) -> None:
    log: list[str] = []
    assert clock.run(within(Deadlines(5.0), 5.0, slow(0.01, log))) == "done"
    assert log == ["over"]


def test_what_takes_too_long_is_cancelled(clock: VirtualTime) -> None:
    log: list[str] = []
    with pytest.raises(TimeoutError):
        clock.run(within(Deadlines(0.01), 0.01, slow(5.0, log)))
    assert log == ["cancelled", "over"]


def test_each_task_has_its_own_time(clock: VirtualTime) -> None:
    async def staggered() -> list[str]:
        deadlines = Deadlines(0.15)

        async def one(after: float, seconds: float) -> str:
            await asyncio.sleep(after)
            try:
                return await within(deadlines, 0.15, slow(seconds, []))
            except TimeoutError:
                return "late"

        return [*await asyncio.gather(one(0, 9), one(0.1, 0.1), one(0.1, 9), one(0.2, 0.01))]

    assert clock.run(staggered()) == ["late", "done", "late", "done"]


def test_a_task_may_begin_again(clock: VirtualTime) -> None:
    async def again() -> list[str]:
        deadlines = Deadlines(0.2)
        return [await within(deadlines, 0.2, slow(0.1, [])) for _ in range(4)]

    assert clock.run(again()) == ["done"] * 4


def test_deadlines_within_deadlines(clock: VirtualTime) -> None:
    async def inner() -> str:
        with pytest.raises(TimeoutError):
            await within(Deadlines(0.01), 0.01, slow(5.0, []))
        assert not current().cancelling()
        return await within(Deadlines(5.0), 5.0, slow(0.01, []))

    assert clock.run(within(Deadlines(5.0), 5.0, inner())) == "done"


def test_a_cancelled_wait_is_cancelled_inside(clock: VirtualTime) -> None:
    log: list[str] = []

    async def cancelled() -> None:
        task = asyncio.create_task(within(Deadlines(5.0), 5.0, slow(5.0, log)))
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    clock.run(cancelled())
    assert log == ["cancelled", "over"]


def test_what_fails_later_fails(clock: VirtualTime) -> None:
    async def fails() -> str:
        await asyncio.sleep(0)
        raise ValueError("later")

    with pytest.raises(ValueError, match="later"):
        clock.run(within(Deadlines(5.0), 5.0, fails()))


def test_it_outlives_a_loop(clock: VirtualTime) -> None:
    deadlines = Deadlines(0.05)
    assert clock.run(within(deadlines, 0.05, slow(0.0, []))) == "done"
    with pytest.raises(TimeoutError):
        clock.run(within(deadlines, 0.05, slow(5.0, [])))


def test_time_can_be_given_anew(clock: VirtualTime) -> None:
    async def twice() -> str:
        deadlines = Deadlines(0.05, 5.0)
        deadline = Deadline(deadlines, current())
        deadline.allow(0.05)
        deadline.allow(5.0)
        return await slow(0.1, [])

    assert clock.run(twice()) == "done"


def test_who_is_also_cancelled_by_another_is_cancelled(clock: VirtualTime) -> None:
    async def both() -> None:
        deadlines = Deadlines(0.01)
        task = asyncio.create_task(within(deadlines, 0.01, slow(5.0, [])))
        await asyncio.sleep(0)
        clock.now += 1.0
        deadlines._look(asyncio.get_running_loop())
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    clock.run(both())


def test_one_that_would_not_be_cancelled_is_not_cancelled_later(clock: VirtualTime) -> None:
    async def stubborn() -> str:
        try:
            await asyncio.sleep(5)
        except asyncio.CancelledError:
            return "done"
        return "slept"

    async def both() -> int:
        assert await within(Deadlines(0.01), 0.01, stubborn()) == "done"
        return current().cancelling()

    assert clock.run(both()) == 0


def test_cancellations_that_were_there_before_are_not_counted(clock: VirtualTime) -> None:
    async def worn() -> str:
        task = current()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.sleep(1)
        assert task.cancelling() == 1
        with pytest.raises(TimeoutError):
            await within(Deadlines(0.01), 0.01, slow(5.0, []))
        assert task.cancelling() == 1
        return "done"

    assert clock.run(worn()) == "done"


def test_two_loops_at_once_each_end_their_own() -> None:
    deadlines = Deadlines(0.05)
    told: list[str] = []

    async def late() -> None:
        try:
            await within(deadlines, 0.05, slow(60.0, []))
            told.append("in time")
        except TimeoutError:
            told.append("late")

    threads = [threading.Thread(target=asyncio.run, args=(late(),)) for _ in range(2)]
    for one in threads:
        one.start()
        time.sleep(0.01)
    for one in threads:
        one.join()
    assert told == ["late"] * 2
