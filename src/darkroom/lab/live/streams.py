"""Telling a page what happens while it happens: lines of JSON, until it goes."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Sequence

import anyio
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool
from starlette.responses import StreamingResponse

from darkroom.lab.live.processors import alone

UPDATES = 6
"""The most updates a second that a page is sent."""

SILENCE = 5.0
"""Seconds after which an empty line is sent, so that a page that went is noticed."""


def streamed(
    first: BaseModel,
    news: Callable[[], Sequence[BaseModel]],
    is_last: Callable[[BaseModel], bool],
    begin: Callable[[], None],
    end: Callable[[], None],
) -> StreamingResponse:
    """Returns an answer that goes on until the work is done or the page has gone.

    Args:
        first: Is sent at once.
        news: Returns what is new; runs in a thread, one call at a time.
        is_last: Tells whether nothing comes after.
        begin: Called when somebody reads the stream; never for a page that went before.
        end: Called when the stream ends, however it does.
    """
    look = alone(news)

    async def lines() -> AsyncIterator[str]:
        begin()
        try:
            yield _line(first)
            spoken = time.monotonic()
            while True:
                begun = time.monotonic()
                for one in await run_in_threadpool(look):
                    yield _line(one)
                    spoken = begun
                    if is_last(one):
                        return
                if begun - spoken > SILENCE:
                    yield "\n"
                    spoken = begun
                await anyio.sleep(max(0.01, 1 / UPDATES - (time.monotonic() - begun)))
        finally:
            end()

    return StreamingResponse(lines(), media_type="application/x-ndjson")


def _line(one: BaseModel) -> str:
    return f"{one.model_dump_json()}\n"
