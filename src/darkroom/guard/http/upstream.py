"""Asking the application behind the guard: answers are collected whole, or taken bit by bit."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from darkroom.guard.http.requests import App, Message, Pair, Receive, Scope
from darkroom.guard.wire.base import Refused

CONNECTION = frozenset(
    [
        *(b"connection", b"keep-alive", b"te", b"trailer", b"transfer-encoding", b"upgrade"),
        b"content-length",
    ]
)
"""Headers of requests and answers that concern one connection."""

DROPPED = CONNECTION.union(
    [
        *(b"expect", b"proxy-connection", b"proxy-authorization"),
        *(b"range", b"if-range", b"if-match", b"if-none-match", b"if-modified-since"),
        *(b"if-unmodified-since", b"accept-encoding", b"http2-settings"),
    ]
)
"""Request headers that concern one connection, or would have the answer changed on its way."""

SHADOW, SERVED = "darkroom.shadow", "darkroom.served"
"""Where a scope says whether all goes through, and which of several models is asked."""

KEPT = frozenset([400, 404, 405, 409, 413, 415, 422, 503, 504])
"""Statuses of failures that tell a client something that it should know."""


@dataclass(slots=True)
class Reply:
    """What the application answered.

    Attributes:
        status: The HTTP status.
        headers: Names in lower case.
        body: All of it.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes


Whole = tuple[Message, bytes]
"""The start of an answer, and its body."""

Settle = Callable[[Message, bytes], Coroutine[Any, Any, None]]


def kept(pairs: Iterable[Pair], *, shadow: bool = False) -> list[Pair]:
    """Returns the headers that the application gets, without the length.

    Args:
        pairs: The client's.
        shadow: Whether everything but what concerns the connection is kept.
    """
    return [
        (name, value)
        for name, value in pairs
        if (name not in DROPPED or (shadow and name.startswith((b"accept", b"if-", b"range"))))
    ]


def onward(
    scope: Scope,
    headers: list[Pair],
    body: bytes,
    *,
    shadow: bool = False,
    served: str | None = None,
) -> Scope:
    """Returns the scope in which the application is asked.

    Args:
        scope: The client's.
        headers: Those of :func:`kept`.
        body: All of it.
        shadow: Whether the query is kept too.
        served: Of several models, which is asked.
    """
    made = dict(scope)
    made["headers"] = [*headers, (b"content-length", b"%d" % len(body))]
    made["extensions"] = {}
    made[SHADOW], made[SERVED] = shadow, served
    if not shadow:
        made["query_string"] = b""
    return made


async def ask(
    app: App,
    scope: Scope,
    body: bytes,
    receive: Receive,
    limit: int,
    settle: Settle,
) -> Whole | None:
    """Asks, collects the whole answer, and hands it over the moment it is whole.

    Most applications end with their answer, and then it is returned. Where one goes on, as with
    background tasks, a task of its own settles the answer meanwhile, and nothing is returned.

    Args:
        app: The application.
        scope: Of :func:`onward`.
        body: Of the request.
        receive: Of the connection, for what comes after the body.
        limit: The most bytes of the answer.
        settle: Takes the answer while the application goes on; raises nothing.

    Raises:
        Refused: With 502, if there is no whole answer within the limit.
        Exception: Whatever the application raises after its answer.
    """
    answer = _Answer(limit, settle, asyncio.get_running_loop())
    try:
        await app(scope, replayed(body, receive), answer.take)
    except Refused:
        raise
    except Exception as error:
        if answer.whole is None:
            raise no_answer() from error
        await answer.settled()
        raise
    if answer.whole is None:
        raise no_answer()
    if answer.task is None:
        answer.soon.cancel()
        return answer.whole
    await answer.task
    return None


class _Answer:
    """An answer that is collected, and settled once.

    It is not settled within the application's own call: an application that gives up on what it
    sends would stop that, and requests would take longer.

    Attributes:
        whole: All of it; ``None`` until it has come.
        soon: Begins to settle it, if the loop comes round before it is taken.
        task: What settles it, where the application goes on.
    """

    __slots__ = ("_content", "_limit", "_loop", "_settle", "_start", "soon", "task", "whole")

    soon: asyncio.Handle

    def __init__(self, limit: int, settle: Settle, loop: asyncio.AbstractEventLoop) -> None:
        self._limit, self._settle, self._loop = limit, settle, loop
        self._start: Message | None = None
        self._content = bytearray()
        self.whole: Whole | None = None
        self.task: asyncio.Task[None] | None = None

    async def take(self, message: Message) -> None:
        """Takes a piece."""
        kind = message["type"]
        if self.whole is not None:
            return
        if kind == "http.response.start":
            self._start = message
        elif kind == "http.response.body":
            self._content += message.get("body", b"")
            if len(self._content) > self._limit:
                raise _too_long(self._limit)
            if self._start is not None and not message.get("more_body", False):
                self.whole = self._start, bytes(self._content)
                self.soon = self._loop.call_soon(self._begin, self.whole)

    def _begin(self, whole: Whole) -> None:
        self.task = self._loop.create_task(self._settle(*whole))

    async def settled(self) -> None:
        """Settles it, or waits for the task that does."""
        if self.task is None and self.whole is not None:
            self.soon.cancel()
            await self._settle(*self.whole)
        elif self.task is not None:
            await self.task


def succeeded(start: Message, body: bytes) -> Reply:
    """Returns an answer of success.

    Args:
        start: What it began with.
        body: All of it.

    Raises:
        Refused: With the status of the answer, or 502, if it is none.
    """
    status = int(start["status"])
    if not 200 <= status < 300:
        raise failed_status(status)
    return Reply(status, _head(start), body)


class _Pieces:
    """An answer as it comes.

    Attributes:
        queue: Pieces that wait; ``None`` where there are no more.
        whole: Whether the last has come.
    """

    def __init__(self) -> None:
        self.queue: asyncio.Queue[Message | None] = asyncio.Queue(maxsize=16)
        self.whole = False

    async def come(self, app: App, scope: Scope, body: bytes, gone: asyncio.Event) -> None:
        """Asks the application, which learns when the client is gone."""

        async def hang_up() -> Message:
            await gone.wait()
            return {"type": "http.disconnect"}

        with suppress(Exception):  # an answer that ends early is refused where it is read
            await app(scope, replayed(body, hang_up), self.take)
        if not self.whole:
            await self.queue.put(None)

    async def take(self, message: Message) -> None:
        """Takes a piece."""
        await self.queue.put(message)
        if message["type"] == "http.response.body" and not message.get("more_body", False):
            self.whole = True

    async def next(self, seconds: float) -> Message | None:
        """Returns the next one, which must come in time."""
        try:
            async with asyncio.timeout(seconds):
                return await self.queue.get()
        except TimeoutError:
            raise too_late(f"nothing for {seconds:g} seconds") from None

    async def end(self) -> None:
        """Tells whoever waits for the next one that there is none."""
        while not self.queue.empty():
            self.queue.get_nowait()
        await self.queue.put(None)


@asynccontextmanager
async def streamed(
    app: App, scope: Scope, body: bytes, receive: Receive, *, limit: int, seconds: float
) -> AsyncIterator[tuple[int, Mapping[str, str], AsyncIterator[bytes]]]:
    """Asks and gives status, headers and the pieces of the answer as they come.

    The application is ended when the client hangs up, or when the context is left before the answer
    was whole. What it does after a whole answer, such as background tasks, is waited for.

    Args:
        app: The application.
        scope: Of :func:`onward`.
        body: Of the request.
        receive: Of the connection.
        limit: The most bytes of the answer.
        seconds: How long each piece may take.
    """
    pieces = _Pieces()
    gone = asyncio.Event()

    async def watch() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        gone.set()
        if not pieces.whole:
            running.cancel()
        await pieces.end()

    running = asyncio.create_task(pieces.come(app, scope, body, gone))
    watching = asyncio.create_task(watch())
    try:
        first = await pieces.next(seconds)
        if first is None or first["type"] != "http.response.start":
            raise no_answer()
        yield int(first["status"]), _head(first), _bodies(pieces, limit, seconds)
    except BaseException:
        pieces.whole = False
        raise
    finally:
        for task in (watching,) if pieces.whole else (running, watching):
            # Cancelled twice, a proxy would be stopped while it hangs up on its upstream.
            if not task.cancelling():
                task.cancel()
        # After a whole answer, background tasks go on.
        await asyncio.gather(running, watching, return_exceptions=True)


def no_answer() -> Refused:
    """Returns what a client is told of an application that gives no whole answer."""
    return Refused(502, "Upstream failed", "the model's server gave no whole answer")


def too_late(detail: str) -> Refused:
    """Returns what a client is told of an application that takes longer than it may."""
    return Refused(504, "Upstream too slow", detail)


def failed_status(status: int) -> Refused:
    """Returns what a client is told about a status that is no success: never the body."""
    told = status if status in KEPT else 502
    return Refused(told, "Upstream refused", f"the model's server answered with status {status}")


async def _bodies(pieces: _Pieces, limit: int, seconds: float) -> AsyncIterator[bytes]:
    size = 0
    while True:
        message = await pieces.next(seconds)
        if message is None:
            raise no_answer()
        if message["type"] != "http.response.body":
            continue
        part = bytes(message.get("body", b""))
        size += len(part)
        if size > limit:
            raise _too_long(limit)
        if part:
            yield part
        if not message.get("more_body", False):
            return


def replayed(body: bytes, receive: Receive) -> Receive:
    """Returns what gives the body first, and then what the connection says.

    Args:
        body: What was read of the request already.
        receive: The connection.
    """
    given = False

    async def replay() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay


def _head(start: Message) -> Mapping[str, str]:
    """Returns headers by name; one that says two things says nothing that can be understood."""
    pairs = (*start.get("headers", ()),)
    try:
        return _by_name(pairs)
    except TypeError:  # an application that gives lists where tuples are usual
        return _by_name(tuple((bytes(name), bytes(value)) for name, value in pairs))


@lru_cache(64)
def _by_name(pairs: tuple[Pair, ...]) -> Mapping[str, str]:
    """Does so; most answers of an application have the same headers."""
    made = {str(name, "latin-1").lower(): str(value, "latin-1") for name, value in reversed(pairs)}
    if len(made) < len(pairs):
        for name, value in pairs:
            key = str(name, "latin-1").lower()
            if made[key] != str(value, "latin-1") and key.startswith("content-"):
                raise no_answer()
    return made


def _too_long(limit: int) -> Refused:
    return Refused(502, "Upstream answer too large", f"it is longer than {limit} bytes")
