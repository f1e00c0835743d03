"""Budgets: rows are charged durably before the model is asked.

A client that asks often gets a *lease*: a block of rows is charged at once, and the requests that
follow are served from it without another write. When half of it is used, it is filled up while
requests go on, so that they rarely wait for the disk; no row is served before it is charged. What
is left when its bucket ends is taken back with the next charge; what is left when the process dies
is forfeited.

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
from contextlib import suppress
from typing import TypeVar

from darkroom.errors import DarkroomError, one_line
from darkroom.guard.budgets.leases import NEVER, Instant, Lease
from darkroom.guard.budgets.rules import (
    MODEL,
    Decision,
    Rules,
    class_subject,
    client_subject,
    rules_of,
)
from darkroom.guard.policy import Policy
from darkroom.guard.protection import Protection, require_no_less
from darkroom.guard.sections import BudgetSection
from darkroom.guard.stores.base import Charge, Entry, Make, Receipt, Store, StoreError

T = TypeVar("T")


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
        self._policy = policy
        self._opened = False
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="darkroom-store")
        self._leases: dict[str, Lease] = {}
        self._turns: dict[str, asyncio.Lock] = {}
        self._renewals: set[asyncio.Task[None]] = set()

    def configure(self, policy: Policy) -> None:
        """Changes the budgets; what was counted stays counted.

        Leases of the old ones are used no more: limits may be lower now.

        Args:
            policy: The new one; its store is the same.
        """
        self.rules = rules_of(policy)
        self._policy = policy
        self._opened = False  # the next charge keeps what it protects

    async def open(self) -> None:
        """Connects to the store, and to a ledger that protected no more than the policy does.

        Raises:
            StoreError: As :meth:`Store.open`, or if the policy protects less than the last one
                that charged this ledger, and does not say so.
        """
        await self._stored(self.open_now)

    async def agree(self) -> None:
        """Opens the ledger, if this policy has not been there yet.

        Raises:
            StoreError: As :meth:`open`.
        """
        if not self._opened:
            await self.open()

    async def ready(self) -> None:
        """Makes sure that rows can be charged.

        Raises:
            StoreError: If they cannot.
        """

        def look() -> None:
            self.open_now()
            self.store.now()

        await self._stored(look)

    async def close(self) -> None:
        """Takes back what was leased and disconnects."""
        await self.settled()
        leases, self._leases = self._leases, {}
        rest = _together([entry for lease in leases.values() for entry in lease.rest])
        try:
            if rest:
                await self._stored(lambda: self._charged(lambda _: Charge((), (), rest)))
        except StoreError:
            pass  # what could not be taken back is forfeited
        finally:
            await self._stored(self.store.close)
            self._thread.shutdown(wait=False)

    async def settled(self) -> None:
        """Waits for the leases that are on their way."""
        await asyncio.gather(*self._renewals)

    def leased(self, client: str, rows: int) -> Lease | None:
        """Uses rows that are charged to a client already, if it has leased so many."""
        lease = self._leases.get(client)
        if lease is None or not lease.take(rows, self.rules, self.store.clock):
            return None
        if lease.credit <= lease.low:
            self._renew(client, lease)
        return lease

    async def charge(self, client: str, rows: int) -> Decision:
        """Charges rows to a client and to the model.

        Args:
            client: One of the policy's.
            rows: At least 1.

        Raises:
            StoreError: If the store fails; the rows must not be served then.
        """
        lease = self.leased(client, rows)
        if lease is not None:
            return lease.decision()
        async with self._turns.setdefault(client, asyncio.Lock()):
            lease = self._leases.get(client)
            if lease is not None and lease.take(rows, self.rules, self.store.clock):
                return lease.decision()  # somebody leased while this one waited
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
            lambda: self._charged(lambda moment: rules.charge_classes(rows, moment))
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
        receipt = await self._lease(rules, client, rows + ahead, rest)
        if not receipt.granted and ahead:
            ahead = 0
            receipt = await self._lease(rules, client, rows, ())
        if receipt.granted and not ahead:
            self._leases[client].low = NEVER
        if receipt.granted:
            lease = self._leases[client]
            lease.use(rows)
            return lease.decision()
        budgets = [(client_subject(client), one, rows) for one in rules.clients[client]]
        budgets += [(MODEL, one, rows) for one in rules.model]
        refusal = await self._refusal(budgets, receipt)
        return refusal._replace(allowances=rules.allowances(client, receipt))

    async def _lease(
        self, rules: Rules, client: str, rows: int, rest: tuple[Entry, ...]
    ) -> Receipt:
        begun = Instant(time.monotonic(), self.store.clock())
        receipt = await self._stored(
            lambda: self._charged(lambda moment: rules.charge(client, rows, rest, moment))
        )
        if receipt.granted:
            before = self._leases.get(client)
            self._leases[client] = Lease(rules, client, receipt, rows, begun, before)
        return receipt

    def _renew(self, client: str, lease: Lease) -> None:
        """Fills up a lease while requests are still served from it."""
        lease.low = NEVER  # once
        renewal = asyncio.get_running_loop().create_task(self._renewed(client, lease))
        self._renewals.add(renewal)
        renewal.add_done_callback(self._renewals.discard)

    async def _renewed(self, client: str, lease: Lease) -> None:
        async with self._turns.setdefault(client, asyncio.Lock()):
            rules = self.rules
            if self._leases.get(client) is not lease or lease.rules is not rules:
                return
            more = rules.ahead(client, 0, lease.used) - lease.credit
            if more > 0:
                behind, lease.behind = lease.behind, ()
                with suppress(StoreError):  # told where rows are needed and there are none
                    await self._lease(rules, client, more, behind)

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
                    [
                        (one.until, one.rows)
                        for one in self.store.buckets(subject, budget.span.since(moment, zone))
                    ]
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

    def open_now(self) -> None:
        """Does what :meth:`open` does, in the thread that calls.

        Raises:
            StoreError: As :meth:`open`.
            PlanError: If the policy protects less.
        """
        if self._opened:
            return
        self.store.open()
        protection = Protection.of(self._policy)
        before = self.store.remembered()
        if before is not None:
            old = Protection.model_validate_json(before)
            require_no_less(old, protection, self._policy.guard.gives_up)
        if before != protection.text:
            self.store.remember(protection.text)
        self._opened = True

    def _charged(self, make: Make) -> Receipt:
        self.open_now()
        return self.store.charge(make)

    async def _stored(self, work: Callable[[], T]) -> T:
        """Lets the store's thread do something; whatever goes wrong there is a StoreError."""
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work)
        except DarkroomError as error:
            raise error if isinstance(error, StoreError) else StoreError(str(error)) from None
        except Exception as error:
            raise StoreError(f"the store failed ({one_line(error)})") from error


def _together(entries: Sequence[Entry]) -> tuple[Entry, ...]:
    """Adds up entries of the same subject and bucket."""
    sums: dict[tuple[str, int], int] = {}
    for entry in entries:
        place = (entry.subject, entry.until)
        sums[place] = sums.get(place, 0) + entry.rows
    return tuple(Entry(subject, until, rows) for (subject, until), rows in sums.items())
