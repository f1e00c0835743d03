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
import logging
import math
import time
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar

from darkroom.errors import DarkroomError, one_line
from darkroom.guard.budgets.leases import NEVER, Instant, Lease, together
from darkroom.guard.budgets.rules import (
    RESET_ENDS,
    TOKENS,
    Counted,
    Decision,
    Rules,
    Ticket,
    fits_again,
    reset_subject,
    rules_of,
)
from darkroom.guard.budgets.scopes import Asker
from darkroom.guard.policy import Policy
from darkroom.guard.protection import Protection, require_no_less
from darkroom.guard.stores.base import Charge, Entry, Make, Receipt, Store, StoreError
from darkroom.guard.windows import bucket_end

T = TypeVar("T")
logger = logging.getLogger("darkroom.guard")


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
        self._leases: dict[Asker, Lease] = {}
        self._turns: dict[Asker, asyncio.Lock] = {}
        self._behind: set[asyncio.Task[None]] = set()
        self._told: dict[str, int] = {}

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
        rest = together([entry for lease in leases.values() for entry in lease.rest])
        try:
            if rest:
                await self._stored(lambda: self._charged(lambda _: Charge((), (), rest)))
        except StoreError:
            pass  # what could not be taken back is forfeited
        finally:
            await self._stored(self.store.close)
            self._thread.shutdown(wait=False)

    async def settled(self) -> None:
        """Waits for the leases and corrections that are on their way."""
        await asyncio.gather(*self._behind)

    def leased(self, asker: Asker, rows: int) -> Lease | None:
        """Uses rows that are charged to a client already, if it has leased so many."""
        lease = self._leases.get(asker)
        if lease is None or not lease.take(rows, self.rules, self.store.clock):
            return None
        if lease.credit <= lease.low:
            self._renew(asker, lease)
        return lease

    async def charge(self, asker: Asker, rows: int, tokens: int = 0) -> Decision:
        """Charges rows to all whose budgets count them.

        Args:
            asker: Whose client is one of the policy's.
            rows: At least 1.
            tokens: The most that prompt and completions can take, charged besides; 0 where nobody
                counts them. :meth:`correct` gives back what they did not take.

        Raises:
            StoreError: If the store fails; the rows must not be served then.
        """
        if tokens:
            return await self._charge_tokens(asker, rows, tokens)
        lease = self.leased(asker, rows)
        if lease is not None:
            return lease.decision()
        async with self._turns.setdefault(asker, asyncio.Lock()):
            lease = self._leases.get(asker)
            if lease is not None and lease.take(rows, self.rules, self.store.clock):
                return lease.decision()  # somebody leased while this one waited
            return await self._charge_stored(asker, rows)

    async def charge_classes(self, asker: Asker, rows: Mapping[int, int]) -> Decision:
        """Charges an answer's rows to the classes predicted, before it is released.

        Args:
            asker: Who asked.
            rows: For each class, how many.

        Raises:
            StoreError: If the store fails; the answer must not be released then.
        """
        counted = self.rules.counted_classes(asker, rows)
        return await self._beside(counted, partial(self.rules.charge_classes, asker, rows))

    async def charge_person(self, asker: Asker, person: str, rows: int) -> Decision:
        """Charges rows to the person enrolled whom they are about, before the model is asked."""
        counted = [(one, rows) for one in self.rules.counted_person(asker, person)]
        return await self._beside(counted, partial(self.rules.charge_person, asker, person, rows))

    async def _beside(self, counted: Sequence[tuple[Counted, int]], make: Make) -> Decision:
        """Charges to budgets that are not the asker's."""
        if not counted:
            return Decision(True)
        receipt = await self._stored(lambda: self._charged(make))
        return Decision(True) if receipt.granted else await self._refusal(counted, receipt)

    async def correct(self, ticket: Ticket, tokens: int) -> Decision:
        """Charges the tokens that a request took instead of the most it could have taken.

        Where it took more than was charged, all of them are charged, whether they fit or not.

        Args:
            ticket: Of the decision.
            tokens: How many it took.

        Returns:
            Not granted, if more were charged than fit: the answer must not be released then.

        Raises:
            StoreError: If the store fails; what was charged at first stays charged.
        """
        more = tokens - ticket.tokens
        if more < 0:
            await self._stored(lambda: self._give_back(ticket, -more))
        if more <= 0:
            return Decision(True)
        rules = self._of(ticket.asker)
        counted = rules.account(ticket.asker).tokens

        def owed(moment: int) -> Charge:
            lines = tuple(one.line(moment, rules.zone) for one in counted)
            return Charge(self._anew(ticket.subjects, more, moment), lines)

        receipt = await self._stored(lambda: self._charged(owed))
        if receipt.granted:
            return Decision(True)
        await self._stored(lambda: self._charged(lambda moment: owed(moment)._replace(lines=())))
        return await self._refusal([(one, more) for one in counted], receipt)

    def _give_back(self, ticket: Ticket, tokens: int) -> None:
        """Takes tokens back that were not taken; in the store's thread.

        A reset since has forgiven them with all that was charged: then they are charged again.
        """
        back = tuple(Entry(one, ticket.until, tokens) for one in ticket.subjects)
        self._charged(lambda _: Charge((), (), back))
        forgiven = {
            one.subject
            for one in self.rules.account(ticket.asker).tokens
            if self.store.buckets(reset_subject(*one), ticket.time + RESET_ENDS - 1)
        }
        if forgiven:
            self._charged(lambda moment: Charge(self._anew(forgiven, tokens, moment), ()))

    def _anew(self, subjects: Iterable[str], rows: int, moment: int) -> tuple[Entry, ...]:
        until = bucket_end(moment, self.rules.bucket)
        return tuple(Entry(one, until, rows) for one in subjects)

    def correct_soon(self, ticket: Ticket, tokens: int) -> None:
        """Does what :meth:`correct` does, while the answer leaves or has left."""

        async def correct() -> None:
            try:
                await self.correct(ticket, tokens)
            except StoreError as error:
                logger.error("tokens stay charged in full: %s", error)

        self._begin(correct())

    async def _charge_tokens(self, asker: Asker, rows: int, tokens: int) -> Decision:
        rules = self._of(asker)
        account = rules.account(asker)
        receipt = await self._stored(
            lambda: self._charged(lambda moment: rules.charge(asker, rows, (), moment, tokens))
        )
        allowances = rules.allowances(asker, receipt)
        if receipt.granted:
            self._tell_of_raises(account.budgets, receipt)
            until = bucket_end(receipt.time, rules.bucket)
            subjects = tuple(TOKENS + one for one in account.subjects)
            ticket = Ticket(asker, subjects, receipt.time, until, tokens)
            return Decision(True, allowances, ticket=ticket)
        counted = [(one, rows) for one in account.rows] + [(one, tokens) for one in account.tokens]
        return (await self._refusal(counted, receipt))._replace(allowances=allowances)

    def _of(self, asker: Asker) -> Rules:
        """Returns the rules, which must know the client.

        Raises:
            StoreError: If they do not.
        """
        if asker.client not in self.rules.groups:
            raise StoreError(f"{asker.client} is a client no more")
        return self.rules

    async def _charge_stored(self, asker: Asker, rows: int) -> Decision:
        rules = self._of(asker)
        # From here on nobody may use the old lease: the store takes its rest back.
        lease = self._leases.pop(asker, None)
        ahead = 0 if lease is None else rules.ahead(asker, rows, lease.used)
        rest = () if lease is None else lease.rest
        receipt = await self._lease(rules, asker, rows + ahead, rest)
        if not receipt.granted and ahead:
            ahead = 0
            receipt = await self._lease(rules, asker, rows, ())
        if receipt.granted and not ahead:
            self._leases[asker].low = NEVER
        if receipt.granted:
            lease = self._leases[asker]
            lease.use(rows)
            return lease.decision()
        refusal = await self._refusal([(one, rows) for one in rules.account(asker).rows], receipt)
        return refusal._replace(allowances=rules.allowances(asker, receipt))

    async def _lease(
        self, rules: Rules, asker: Asker, rows: int, rest: tuple[Entry, ...]
    ) -> Receipt:
        begun = Instant(time.monotonic(), self.store.clock())
        receipt = await self._stored(
            lambda: self._charged(lambda moment: rules.charge(asker, rows, rest, moment))
        )
        if receipt.granted:
            before = self._leases.get(asker)
            self._leases[asker] = Lease(rules, asker, receipt, rows, begun, before)
            self._tell_of_raises(rules.account(asker).rows, receipt)
        return receipt

    def _tell_of_raises(self, counted: Sequence[Counted], receipt: Receipt) -> None:
        """Says once for each limit that rows fit because an operator has opened some."""
        for one, opened in zip(counted, receipt.opened, strict=False):
            if opened and self._told.get(one.subject + one.budget.name) != opened:
                self._told[one.subject + one.budget.name] = opened
                logger.warning(
                    "budget %s of %s is spent, and goes on: an operator opened %d %s",
                    one.budget.name,
                    one.subject,
                    opened,
                    one.budget.unit,
                )

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        """Begins what nobody waits for before the end."""
        task = asyncio.get_running_loop().create_task(work)
        self._behind.add(task)
        task.add_done_callback(self._behind.discard)

    def _renew(self, asker: Asker, lease: Lease) -> None:
        """Fills up a lease while requests are still served from it."""
        lease.low = NEVER  # once
        self._begin(self._renewed(asker, lease))

    async def _renewed(self, asker: Asker, lease: Lease) -> None:
        async with self._turns.setdefault(asker, asyncio.Lock()):
            rules = self.rules
            if self._leases.get(asker) is not lease or lease.rules is not rules:
                return
            more = rules.ahead(asker, 0, lease.used) - lease.credit
            if more > 0:
                behind, lease.behind = lease.behind, ()
                with suppress(StoreError):  # told where rows are needed and there are none
                    await self._lease(rules, asker, more, behind)

    async def _refusal(self, counted: Sequence[tuple[Counted, int]], receipt: Receipt) -> Decision:
        """Says which budget is spent, and when the rows fit again.

        Args:
            counted: The budgets in the order of the charge's lines, and what each was to count.
            receipt: Of the charge.
        """
        spent = [(*counted[position], receipt.opened_at(position)) for position in receipt.refused]
        name = spent[0][0].budget.name
        if any(rows > one.budget.limit + opened for one, rows, opened in spent):
            return Decision(False, budget=name, never=True)
        moment = receipt.time
        try:
            zone = self.rules.zone
            resets = await self._stored(
                lambda: [fits_again(self.store, zone, one, n, moment) for one, n, _ in spent]
            )
        except StoreError:
            return Decision(False, budget=name)
        waits = [math.ceil((one - moment) / 1000) for one in resets if one is not None]
        retry = max(1, *waits) if len(waits) == len(resets) else None
        return Decision(False, budget=name, retry=retry)

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
