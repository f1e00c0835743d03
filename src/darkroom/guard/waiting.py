"""Waiting with a deadline, where most has no need to wait."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Coroutine, Generator
from types import CoroutineType
from typing import Any, Generic, TypeVar

T = TypeVar("T")


async def within(seconds: float, awaitable: Awaitable[T]) -> T:
    """Awaits with a deadline.

    What is there already needs no timer: one is set at the first pause.

    Args:
        seconds: How long it may take from then on.
        awaitable: What to await.

    Raises:
        TimeoutError: If it takes longer.
    """
    steps = awaitable if isinstance(awaitable, CoroutineType) else _awaited(awaitable)
    try:
        pause = steps.send(None)
    except StopIteration as done:
        value: T = done.value
        return value
    async with asyncio.timeout(seconds):
        return await _Paused(steps, pause)


async def _awaited(awaitable: Awaitable[T]) -> T:
    return await awaitable


class _Paused(Generic[T]):
    """A coroutine that was begun, from its first pause on."""

    def __init__(self, steps: Coroutine[Any, Any, T], pause: object) -> None:
        self._steps, self._pause = steps, pause

    def __await__(self) -> Generator[Any, Any, T]:
        pause = self._pause
        try:
            while True:
                try:
                    sent = yield pause
                except BaseException as error:
                    pause = self._steps.throw(error)
                else:
                    pause = self._steps.send(sent)
        except StopIteration as done:
            value: T = done.value
            return value
