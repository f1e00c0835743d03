"""Budgets: rows are charged durably before the model is asked.

A client that asks often gets a *lease*: a block of rows is charged at once, and the requests that
follow are served from it without another write. What is left of a block when its bucket ends is
taken back with the next charge; what is left when the process dies is forfeited.

Rows of a predicted class can only be counted when the model has answered. They are charged before
the answer is released, and an answer that does not fit is withheld; the rows of the client and of
the model stay charged. So each budget holds: released <= charged <= limit.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple, TypeVar
from zoneinfo import ZoneInfo

from darkroom.errors import one_line
from darkroom.guard.policy import BudgetSection, Policy
from darkroom.guard.stores.base import Charge, Clock, Entry, Line, Receipt, Store, StoreError
from darkroom.guard.windows import bucket_end, bucket_length

T = TypeVar("T")

MODEL = "model"
LEASED_SHARE = 64
"""A lease is at most this part of each limit, so that small budgets are never tied up in one."""


def client_subject(name: str) -> str:
    """Returns under which subject a client's rows are kept."""
    return f"client/{name}"


def class_subject(position: int) -> str:
    """Returns under which subject the rows are kept that were predicted to be of a class."""
    return f"class/{position}"


class Allowance(NamedTuple):
    """What a client may still ask within one budget.

    Attributes:
        name: The budget's.
        limit: Rows in its window.
        window: Its length in seconds.
        left: Rows.
        reset: Seconds until the window begins anew (a day), or is long enough past.
    """

    name: str
    limit: int
    window: float
    left: int
    reset: int


class Decision(NamedTuple):
    """What became of a request's rows.

    Attributes:
        granted: Whether they are charged.
        allowances: The client's budgets.
        budget: The name of one that is spent, if not granted.
        retry: Seconds until the same rows fit; ``None`` if they never do, or nobody knows.
        never: Whether a budget is smaller than the request.
    """

    granted: bool
    allowances: tuple[Allowance, ...] = ()
    budget: str | None = None
    retry: int | None = None
    never: bool = False


@dataclass(frozen=True)
class Rules:
    """The budgets of one policy.

    Attributes:
        zone: Whose midnight begins a day.
        block: The most rows of a lease.
        bucket: Milliseconds of a bucket.
        clients: The budgets of each client.
        model: Those of the model in all.
        classes: Those of each predicted class.
    """

    zone: ZoneInfo
    block: int
    bucket: int
    clients: Mapping[str, Sequence[BudgetSection]]
    model: Sequence[BudgetSection]
    classes: Sequence[BudgetSection]

    def charge(self, client: str, rows: int, returns: tuple[Entry, ...], moment: int) -> Charge:
        """Returns what rows of a client are charged to, and which sums must fit."""
        until = bucket_end(moment, self.bucket)
        places = (client_subject(client), MODEL)
        return Charge(
            tuple(Entry(place, until, rows) for place in places),
            tuple(
                Line(place, one.span.since(moment, self.zone), one.rows)
                for place, budgets in zip(places, (self.clients[client], self.model), strict=True)
                for one in budgets
            ),
            returns,
        )

    def charge_classes(self, rows: Mapping[int, int], moment: int) -> Charge:
        """Returns the same for rows that were predicted to be of some classes."""
        until = bucket_end(moment, self.bucket)
        return Charge(
            tuple(Entry(class_subject(one), until, count) for one, count in rows.items()),
            tuple(
                Line(class_subject(one), budget.span.since(moment, self.zone), budget.rows)
                for one in rows
                for budget in self.classes
            ),
        )

    def ahead(self, client: str, rows: int, used: int) -> int:
        """Returns how many rows to lease beyond those asked for: a share of what is used."""
        if self.bucket < 1000:
            return 0
        limits = [one.rows // LEASED_SHARE for one in (*self.clients[client], *self.model)]
        return max(0, min(self.block - rows, 2 * used, *limits))

    def allowances(self, client: str, receipt: Receipt) -> tuple[Allowance, ...]:
        """Returns a client's budgets after a charge."""
        return tuple(
            Allowance(
                one.name,
                one.rows,
                one.span.seconds,
                max(0, one.rows - spent),
                math.ceil(one.span.left(receipt.time, self.zone) / 1000),
            )
            # The client's lines are the first of a charge.
            for one, spent in zip(self.clients[client], receipt.spent, strict=False)
        )


def rules_of(policy: Policy) -> Rules:
    """Returns the budgets of a policy."""
    return Rules(
        policy.zone,
        policy.store.block,
        bucket_length(one.span for one in policy.budget),
        {
            client.name: [
                one
                for one in policy.budget
                if one.per == "client" and (one.clients is None or client.name in one.clients)
            ]
            for client in policy.client
        },
        [one for one in policy.budget if one.per == "model"],
        [one for one in policy.budget if one.per == "class"],
    )


class _Lease:
    """Rows charged to a client and not used yet, for as long as their bucket lasts."""

    def __init__(
        self, rules: Rules, client: str, receipt: Receipt, credit: int, begun: _Instant
    ) -> None:
        until = bucket_end(receipt.time, rules.bucket)
        self.rules = rules
        self.credit, self.used = credit, 0
        self._places = (client_subject(client), MODEL)
        self._until, self._begun = until, begun
        self._span = (until - receipt.time) / 1000
        self._allowances = rules.allowances(client, receipt)

    def holds(self, rows: int, rules: Rules, clock: Clock) -> bool:
        """Tells whether rows can be taken from it, now, under the rules that are in force."""
        fresh = self.rules is rules and self._begun.within(self._span, clock)
        return fresh and self.credit >= rows

    def take(self, rows: int) -> Decision:
        """Uses rows of it."""
        self.credit -= rows
        self.used += rows
        passed = int(time.monotonic() - self._begun.steady)
        allowances = tuple(
            one._replace(left=one.left + self.credit, reset=max(1, one.reset - passed))
            for one in self._allowances
        )
        return Decision(True, allowances)

    @property
    def rest(self) -> tuple[Entry, ...]:
        """What to take back."""
        if not self.credit:
            return ()
        return tuple(Entry(place, self._until, self.credit) for place in self._places)


class _Instant(NamedTuple):
    """A moment on two clocks, neither of which has to be believed alone."""

    steady: float
    wall: float

    def within(self, seconds: float, clock: Clock) -> bool:
        """Tells whether fewer than so many seconds have passed on both clocks."""
        return time.monotonic() - self.steady < seconds and clock() - self.wall < seconds


class Budgets:
    """Charges requests to a store, from one event loop."""

    def __init__(self, policy: Policy, store: Store) -> None:
        """Takes the policy and its store; :meth:`open` connects.

        Args:
            policy: Whose budgets.
            store: Where they are kept.
        """
        self.store = store
        self.rules = rules_of(policy)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="darkroom-store")
        self._leases: dict[str, _Lease] = {}
        self._turns: dict[str, asyncio.Lock] = {}

    def configure(self, policy: Policy) -> None:
        """Changes the budgets; what was counted stays counted.

        Leases of the old ones are used no more: limits may be lower now.

        Args:
            policy: The new one; its store is the same.
        """
        self.rules = rules_of(policy)

    async def open(self) -> None:
        """Connects to the store; see :meth:`Store.open`."""
        await self._stored(self.store.open)

    async def close(self) -> None:
        """Takes back what was leased and disconnects."""
        leases, self._leases = self._leases, {}
        rest = _together([entry for lease in leases.values() for entry in lease.rest])
        try:
            if rest:
                await self._stored(lambda: self.store.charge(lambda _: Charge((), (), rest)))
        except StoreError:
            pass  # what could not be taken back is forfeited
        finally:
            await self._stored(self.store.close)
            self._thread.shutdown(wait=False)

    async def charge(self, client: str, rows: int) -> Decision:
        """Charges rows to a client and to the model.

        Args:
            client: One of the policy's.
            rows: At least 1.

        Raises:
            StoreError: If the store fails; the rows must not be served then.
        """
        lease = self._leases.get(client)
        if lease is not None and lease.holds(rows, self.rules, self.store.clock):
            return lease.take(rows)
        async with self._turns.setdefault(client, asyncio.Lock()):
            lease = self._leases.get(client)
            if lease is not None and lease.holds(rows, self.rules, self.store.clock):
                return lease.take(rows)  # somebody leased while this one waited
            return await self._charge_stored(client, rows)

    async def charge_classes(self, rows: Mapping[int, int]) -> Decision:
        """Charges an answer's rows to the classes predicted, before it is released.

        Args:
            rows: For each class, how many.

        Raises:
            StoreError: If the store fails; the answer must not be released then.
        """
        rules = self.rules
        if not rules.classes:
            return Decision(True)
        receipt = await self._stored(
            lambda: self.store.charge(lambda moment: rules.charge_classes(rows, moment))
        )
        if receipt.granted:
            return Decision(True)
        budgets = [(one, budget, rows[one]) for one in rows for budget in rules.classes]
        return await self._refusal(
            [(class_subject(one), budget, count) for one, budget, count in budgets], receipt
        )

    async def _charge_stored(self, client: str, rows: int) -> Decision:
        rules = self.rules
        if client not in rules.clients:
            raise StoreError(f"{client} is a client no more")
        # From here on nobody may use the old lease: the store takes its rest back.
        lease = self._leases.pop(client, None)
        ahead = 0 if lease is None else rules.ahead(client, rows, lease.used)
        rest = () if lease is None else lease.rest
        receipt = await self._lease(rules, client, rows, ahead, rest)
        if not receipt.granted and ahead:
            receipt = await self._lease(rules, client, rows, 0, ())
        if receipt.granted:
            return self._leases[client].take(rows)
        budgets = [(client_subject(client), one, rows) for one in rules.clients[client]]
        budgets += [(MODEL, one, rows) for one in rules.model]
        refusal = await self._refusal(budgets, receipt)
        return refusal._replace(allowances=rules.allowances(client, receipt))

    async def _lease(
        self, rules: Rules, client: str, rows: int, ahead: int, rest: tuple[Entry, ...]
    ) -> Receipt:
        begun = _Instant(time.monotonic(), self.store.clock())
        receipt = await self._stored(
            lambda: self.store.charge(
                lambda moment: rules.charge(client, rows + ahead, rest, moment)
            )
        )
        if receipt.granted:
            self._leases[client] = _Lease(rules, client, receipt, rows + ahead, begun)
        return receipt

    async def _refusal(
        self, budgets: Sequence[tuple[str, BudgetSection, int]], receipt: Receipt
    ) -> Decision:
        """Says which budget is spent, and when the rows fit again."""
        spent = [budgets[position] for position in receipt.refused]
        name = spent[0][1].name
        if any(rows > budget.rows for _, budget, rows in spent):
            return Decision(False, budget=name, never=True)
        moment, zone = receipt.time, self.rules.zone
        try:
            found = await self._stored(
                lambda: [
                    self.store.buckets(subject, budget.span.since(moment, zone))
                    for subject, budget, _ in spent
                ]
            )
        except StoreError:
            return Decision(False, budget=name)
        waits = [
            budget.span.reset(moment, zone, buckets, budget.rows - rows) - moment
            for (_, budget, rows), buckets in zip(spent, found, strict=True)
        ]
        return Decision(False, budget=name, retry=max(1, math.ceil(max(waits) / 1000)))

    async def _stored(self, work: Callable[[], T]) -> T:
        """Lets the store's thread do something; whatever goes wrong there is a StoreError."""
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work)
        except StoreError:
            raise
        except Exception as error:
            raise StoreError(f"the store failed ({one_line(error)})") from error


def _together(entries: Sequence[Entry]) -> tuple[Entry, ...]:
    """Adds up entries of the same subject and bucket."""
    sums: dict[tuple[str, int], int] = {}
    for entry in entries:
        place = (entry.subject, entry.until)
        sums[place] = sums.get(place, 0) + entry.rows
    return tuple(Entry(subject, until, rows) for (subject, until), rows in sums.items())
