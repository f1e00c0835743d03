"""Sending requests until each is answered, counting each that a server may have seen."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager

import httpx
import numpy as np

from darkroom.errors import DarkroomError, TargetError, one_line
from darkroom.ledger import Bill, BudgetExhausted
from darkroom.remote.delivery import FIRST_CONTACT, Delivery, Miss, Missed, Misses
from darkroom.remote.rate_limits import Pace, Quota, retry_after
from darkroom.wire.answers import AnswerError
from darkroom.wire.base import Request

_TRANSIENT = frozenset({408, 425, 429, 500, 502, 503, 504})
_RETRIES_OF_500 = 2
"""A server error may be an accident; more often it is what the server makes of this request."""

CONNECTING = 0.4
"""Share of the time-out for connecting (once for TCP, once for TLS), so that an attempt whose whole
time is over was connected, and its request may have been seen."""

_NOT_REACHED = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.UnsupportedProtocol,
    httpx.LocalProtocolError,
)


class Parcel:
    """Some rows of a query, on their way in one request.

    Attributes:
        first: The position of the first row in the query.
        last: One after the position of the last.
        paid: Whether a charge is there that no attempt has used.
    """

    def __init__(self, first: int, last: int) -> None:
        """Makes one that nobody has sent; its rows were charged with the query."""
        self.first, self.last = first, last
        self.paid = True

    @property
    def rows(self) -> int:
        """How many rows it holds."""
        return self.last - self.first


class Sender:
    """Sends requests over pooled connections, and keeps to the server's limits.

    Attributes:
        rows_sent: Rows that the server may have seen, each attempt counted.
        refusals: How often the server said that it is asked too much (status 429).
        rows_refused: Rows in those requests.
    """

    def __init__(
        self,
        client: httpx.AsyncClient,
        delivery: Delivery,
        *,
        name: str,
        secrets: Sequence[str] = (),
        seed: int = 0,
    ) -> None:
        """Takes a client, which the caller closes.

        Args:
            client: Its headers are sent along; it must not follow redirects.
            delivery: How the server is asked.
            name: The target's, for messages.
            secrets: What no message may show, even if the server sends it back.
            seed: For the jitter of waiting times, which nothing else depends on.
        """
        self._client = client
        self._headers = client.headers
        self._extensions = {"timeout": client.timeout.as_dict()}
        self._delivery = delivery
        self._name = name
        self._secrets = [secret for secret in secrets if secret]
        self._rng = np.random.default_rng(seed)
        self._pace = Pace()
        self.rows_sent = 0
        self.refusals = 0
        self.rows_refused = 0

    @property
    def quotas(self) -> dict[str, Quota]:
        """The server's limits by name, as far as it has told them."""
        return self._pace.quotas

    async def deliver(
        self,
        parcels: Sequence[Parcel],
        pack: Callable[[Parcel], Request],
        unpack: Callable[[Parcel, bytes], None],
        bill: Bill | None,
    ) -> None:
        """Sends all parcels and takes in their answers.

        After a failure no more is sent, attempts under way are waited for, so that it is known
        what the server saw, and the first failure is raised.

        Args:
            parcels: What to send.
            pack: Makes the request of a parcel.
            unpack: Takes its answer; an ``AnswerError`` refuses it.
            bill: Is kept true to what the server saw.

        Raises:
            TargetError: If a request fails for good, or an answer is refused.
            BudgetExhausted: If the server's limit ends an attack, and is spent.
            DarkroomError: What ``bill`` raises.
        """
        failures: list[Exception] = []
        stopped = asyncio.Event()
        queue = iter(parcels)

        async def work() -> None:
            for parcel in queue:
                if stopped.is_set():
                    return
                try:
                    await self._deliver(parcel, pack(parcel), unpack, bill, stopped)
                except Exception as error:
                    failures.append(error)
                    stopped.set()

        workers = min(self._delivery.concurrency, len(parcels))
        await asyncio.gather(*(work() for _ in range(workers)))
        if failures:
            unsent = [np.arange(one.first, one.last) for one in parcels if one.paid]
            if bill is not None and unsent:
                bill.unsent(np.concatenate(unsent).astype(np.int64))
            raise failures[0]

    async def _deliver(
        self,
        parcel: Parcel,
        request: Request,
        unpack: Callable[[Parcel, bytes], None],
        bill: Bill | None,
        stopped: asyncio.Event,
    ) -> None:
        """Sends one parcel until it is answered; returns early when others have failed."""
        misses, began = Misses(self._delivery), None
        while await self._may_go(parcel.rows, stopped):
            if not parcel.paid:
                if bill is not None:
                    bill.again(np.arange(parcel.first, parcel.last))
                parcel.paid = True
            outcome = await self._attempt(parcel, request)
            if isinstance(outcome, bytes):
                self._take(parcel, outcome, unpack)
                return
            began = time.monotonic() if began is None else began
            wait = misses.next_wait(outcome, self._rng.random())
            if wait is None or time.monotonic() - began + wait > self.patience(outcome):
                raise self._given_up(outcome, misses.count, wait)
            if outcome.wait:
                self._pace.hold(outcome.wait)
            await _sleep(wait, stopped)

    async def _may_go(self, rows: int, stopped: asyncio.Event) -> bool:
        """Waits until the server's limits allow a request; false when others have failed.

        Raises:
            TargetError: If that takes more than the patience.
        """
        while not stopped.is_set():
            wait = self._pace.wait(rows)
            if wait <= 0:
                return True
            if wait > self._delivery.patience:
                if self._delivery.ends_with_limit:
                    return True
                raise TargetError(
                    f"target {self._name}: its rate limit is spent for {wait:.0f} s: go on later "
                    f"with --resume, or set [target] patience above {self._delivery.patience:g}"
                )
            await _sleep(wait, stopped)
        return False

    async def _attempt(self, parcel: Parcel, request: Request) -> bytes | Miss:
        """Sends a parcel once.

        Raises:
            TargetError: If the answer is one that asking again will not mend.
        """
        reached = True
        try:
            return await self.exchange("POST", request.url, request.content, parcel.rows)
        except Missed as missed:
            reached = missed.miss.reached
            self.refusals += missed.miss.refused
            self.rows_refused += parcel.rows * missed.miss.refused
            return missed.miss
        finally:
            if reached:
                parcel.paid = False
                self.rows_sent += parcel.rows

    async def exchange(
        self, method: str, url: str, content: bytes | None = None, rows: int = 0
    ) -> bytes:
        """Sends a request once and returns the body of its answer.

        Raises:
            TargetError: If the answer is one that asking again will not mend.
            Missed: If there is none, or one that asking again may mend.
        """
        delivery = self._delivery
        self._pace.sent(rows)
        try:
            async with (
                asyncio.timeout(delivery.timeout),
                self._answer(method, url, content) as response,
            ):
                if any(b"rate" in name.lower() for name, _ in response.headers.raw):
                    self._pace.told(response.headers, rows)
                if response.status_code != httpx.codes.OK:
                    raise self._bad_status(response, await _start(response))
                return await self._whole(response)
        except _NOT_REACHED as error:
            raise Missed(Miss(one_line(error), False, delivery.retries)) from error
        except TimeoutError as error:
            reason = f"no whole answer within {delivery.timeout:g} s"
            raise Missed(Miss(reason, True, delivery.retries)) from error
        except httpx.HTTPError as error:
            raise Missed(Miss(self._clean(one_line(error)), True, delivery.retries)) from error
        finally:
            self._pace.returned(rows)

    @asynccontextmanager
    async def _answer(
        self, method: str, url: str, content: bytes | None
    ) -> AsyncIterator[httpx.Response]:
        """Sends a request and gives its answer, the body still unread."""
        # Made directly, since the client would merge headers and address anew each time.
        request = httpx.Request(
            method, url, headers=self._headers, content=content, extensions=self._extensions
        )
        response = await self._client.send(request, stream=True)
        try:
            yield response
        finally:
            await response.aclose()

    async def _whole(self, response: httpx.Response) -> bytes:
        """Reads a body within its bound.

        Raises:
            TargetError: If it is longer, or compressed, which hides how long it is.
        """
        coding, longest = _coding(response), self._delivery.longest_answer
        if coding:
            raise TargetError(
                f"target {self._name}: the server compresses its answer ({coding[:20]!r}) although "
                "it was asked not to: turn that off"
            )
        chunks: list[bytes] = []
        length = 0
        async for chunk in response.aiter_bytes():
            length += len(chunk)
            if length > longest:
                raise TargetError(
                    f"target {self._name}: the answer is longer than {longest} bytes; it begins "
                    f"{self.excerpt(chunks[0] if chunks else chunk)}: lower [target] batch or set "
                    "longest_answer"
                )
            chunks.append(chunk)
        return b"".join(chunks)

    def patience(self, miss: Miss) -> float:
        """Returns for how many seconds in all misses like this one may go on."""
        if miss.reached or self.rows_sent:
            return self._delivery.patience
        return min(FIRST_CONTACT, self._delivery.patience)

    def _bad_status(self, response: httpx.Response, start: bytes) -> Exception:
        """Returns the error for an answer that is not 200."""
        status = response.status_code
        said = f"the server answered {status}, {self.excerpt(start)}"
        if status in _TRANSIENT:
            limit = _RETRIES_OF_500 if status == httpx.codes.INTERNAL_SERVER_ERROR else None
            retries = self._delivery.retries
            wait = retry_after(response.headers) or 0.0
            refused = status == httpx.codes.TOO_MANY_REQUESTS
            return Missed(Miss(said, True, min(retries, limit or retries), wait, refused))
        hints = {
            401: "check [target] api_key_env or headers_from_env",
            403: "check [target] api_key_env or headers_from_env",
            404: "check [target] url and model",
            413: "lower [target] batch",
        }
        hint = hints.get(status, "check that [target] describes what the server takes")
        if 300 <= status < 400:
            hint = "redirects are not followed; set [target] url to where the model is"
        return TargetError(f"target {self._name}: {said}: {hint}")

    def _take(
        self, parcel: Parcel, content: bytes, unpack: Callable[[Parcel, bytes], None]
    ) -> None:
        try:
            unpack(parcel, content)
        except AnswerError as error:
            raise TargetError(
                f"target {self._name}: the server's answer to {parcel.rows} rows is refused: "
                f"{self._clean(str(error))}; it begins {self.excerpt(content)}"
            ) from error

    def _given_up(self, miss: Miss, count: int, wait: float | None) -> DarkroomError:
        asked = f" (it asks to wait {miss.wait:.0f} s)" if miss.wait else ""
        end = f"tried {count} times: check the server, then go on with --resume"
        if wait is not None:
            end = (
                f"patience of {self.patience(miss):g} s is over after {count} attempts: check the "
            )
            end += "server, go on with --resume, or raise [target] patience"
        where = "no usable answer" if miss.reached else "the server cannot be reached"
        kind = BudgetExhausted if miss.refused and self._delivery.ends_with_limit else TargetError
        return kind(f"target {self._name}: {where}: {miss.reason}{asked}; {end}")

    def excerpt(self, content: bytes) -> str:
        """Returns how an answer begins, on one line, without what may not be shown."""
        text = self._clean(content[:2000].decode("utf-8", "replace"))
        shown = "".join(one if one.isprintable() else " " for one in text[:120])
        return repr(" ".join(shown.split()))

    def _clean(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return text


def _coding(response: httpx.Response) -> str:
    """Returns how a body is compressed; nothing for not at all."""
    coding: str = response.headers.get("content-encoding", "")
    return "" if coding == "identity" else coding


async def _start(response: httpx.Response) -> bytes:
    """Returns the first bytes of a body that may be shown."""
    start = b""
    if not _coding(response):
        async for chunk in response.aiter_bytes():
            start += chunk[:2000]
            if len(start) >= 2000:
                break
    return start


async def _sleep(seconds: float, stopped: asyncio.Event) -> None:
    """Waits, less long when others have failed."""
    try:
        async with asyncio.timeout(seconds):
            await stopped.wait()
    except TimeoutError:
        pass


def parcels(rows: int, batch: int) -> Iterator[Parcel]:
    """Divides the rows of a query."""
    for first in range(0, rows, batch):
        yield Parcel(first, min(first + batch, rows))
