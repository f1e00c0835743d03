"""Sending requests until each is answered, counting each that a server may have seen."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import numpy as np

from darkroom.errors import DarkroomError, TargetError
from darkroom.ledger import Bill, BudgetExhausted
from darkroom.remote.delivery import Delivery
from darkroom.remote.exchange import Exchange
from darkroom.remote.rate_limits import Quota
from darkroom.remote.retries import FIRST_CONTACT, Miss, Missed, Misses
from darkroom.wire.answers import AnswerError
from darkroom.wire.base import Request

Answer = TypeVar("Answer")


class Batch:
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
        exchange: With the server.
        rows_sent: Rows that the server may have seen, each attempt counted.
        refusals: How often the server said that it is asked too much (status 429).
        rows_refused: Rows in those requests.
    """

    def __init__(self, exchange: Exchange, delivery: Delivery, *, seed: int = 0) -> None:
        """Takes what sends single requests.

        Args:
            exchange: With the server.
            delivery: How the server is asked.
            seed: For the jitter of waiting times, which nothing else depends on.
        """
        self.exchange = exchange
        self._delivery, self._name = delivery, exchange.name
        self._rng = np.random.default_rng(seed)
        self.rows_sent = 0
        self.refusals = 0
        self.rows_refused = 0

    @property
    def quotas(self) -> dict[str, Quota]:
        """The server's limits by name, as far as it has told them."""
        return self.exchange.limiter.quotas

    async def deliver(
        self,
        batches: Sequence[Batch],
        pack: Callable[[Batch], Request],
        unpack: Callable[[Batch, bytes], Answer],
        bill: Bill | None,
    ) -> list[Answer]:
        """Sends all batches and returns their answers, in order.

        After a failure no more is sent, attempts under way are waited for, so that it is known
        what the server saw, and the first failure is raised.

        Args:
            batches: What to send.
            pack: Makes the request of a batch.
            unpack: Reads its answer; an ``AnswerError`` refuses it.
            bill: Is kept true to what the server saw.

        Raises:
            TargetError: If a request fails for good, or an answer is refused.
            BudgetExhausted: If the server's limit ends an attack, and is spent.
            DarkroomError: What ``bill`` raises.
        """
        answers: dict[int, Answer] = {}
        failures: list[Exception] = []
        stopped = asyncio.Event()
        queue = iter(batches)

        async def work() -> None:
            for batch in queue:
                if stopped.is_set():
                    return
                try:
                    content = await self._deliver(batch, pack(batch), bill, stopped)
                    if content is not None:
                        answers[batch.first] = self._read(batch, content, unpack)
                except Exception as error:
                    failures.append(error)
                    stopped.set()

        workers = min(self._delivery.concurrency, len(batches))
        await asyncio.gather(*(work() for _ in range(workers)))
        if failures:
            unsent = [np.arange(one.first, one.last) for one in batches if one.paid]
            if bill is not None and unsent:
                bill.unsent(np.concatenate(unsent).astype(np.int64))
            raise failures[0]
        return [answers[one.first] for one in batches]

    async def _deliver(
        self, batch: Batch, request: Request, bill: Bill | None, stopped: asyncio.Event
    ) -> bytes | None:
        """Sends one batch until it is answered; ``None`` when others have failed before."""
        misses, began = Misses(self._delivery), None
        while await self._may_go(batch.rows, stopped):
            if not batch.paid:
                if bill is not None:
                    bill.again(np.arange(batch.first, batch.last))
                batch.paid = True
            outcome = await self._attempt(batch, request)
            if isinstance(outcome, bytes):
                return outcome
            began = time.monotonic() if began is None else began
            wait = misses.next_wait(outcome, self._rng.random())
            if wait is None or time.monotonic() - began + wait > self.patience(outcome):
                raise self._given_up(outcome, misses.count, wait)
            if outcome.wait:
                self.exchange.limiter.hold(outcome.wait)
            await _sleep(wait, stopped)
        return None

    async def _may_go(self, rows: int, stopped: asyncio.Event) -> bool:
        """Waits until the server's limits allow a request; false when others have failed.

        Raises:
            TargetError: If that takes more than the patience.
        """
        while not stopped.is_set():
            wait = self.exchange.limiter.wait(rows)
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

    async def _attempt(self, batch: Batch, request: Request) -> bytes | Miss:
        """Sends a batch once.

        Raises:
            TargetError: If the answer is one that asking again will not mend.
        """
        reached = True
        try:
            return await self.exchange.send("POST", request.url, request.content, batch.rows)
        except Missed as missed:
            reached = missed.miss.reached
            self.refusals += missed.miss.refused
            self.rows_refused += batch.rows * missed.miss.refused
            return missed.miss
        finally:
            if reached:
                batch.paid = False
                self.rows_sent += batch.rows

    def patience(self, miss: Miss) -> float:
        """Returns for how many seconds in all misses like this one may go on."""
        if miss.reached or self.rows_sent:
            return self._delivery.patience
        return min(FIRST_CONTACT, self._delivery.patience)

    def _read(
        self, batch: Batch, content: bytes, unpack: Callable[[Batch, bytes], Answer]
    ) -> Answer:
        try:
            return unpack(batch, content)
        except AnswerError as error:
            raise TargetError(
                f"target {self._name}: the server's answer to {batch.rows} rows is refused: "
                f"{self.exchange.clean(str(error))}; it begins {self.exchange.excerpt(content)}"
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


async def _sleep(seconds: float, stopped: asyncio.Event) -> None:
    """Waits, less long when others have failed."""
    try:
        async with asyncio.timeout(seconds):
            await stopped.wait()
    except TimeoutError:
        pass


def batches(rows: int, batch: int) -> Iterator[Batch]:
    """Divides the rows of a query."""
    for first in range(0, rows, batch):
        yield Batch(first, min(first + batch, rows))
