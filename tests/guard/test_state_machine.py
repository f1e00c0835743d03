"""The guard against a model of it: whatever happens in whatever order, budgets hold."""

from __future__ import annotations

import asyncio
import datetime
import sqlite3
import tempfile
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, NamedTuple, TypeVar
from zoneinfo import ZoneInfo

import orjson
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from tests.guard.conftest import CLASSES, KEYS, Bench, Hand, policy_table, scope_of
from tests.support.examples import few

from darkroom.guard.http.requests import Message
from darkroom.guard.policy import Policy, parse_policy
from darkroom.guard.stores.sqlite import SqliteStore

T = TypeVar("T")

HOUR = 3600
BUCKET = 60
LEASED = 64
CLIENTS = sorted(KEYS)


class Charged(NamedTuple):
    """Rows that the model was asked about, and whether their answer left."""

    time: float
    client: str
    rows: int


class Limits(NamedTuple):
    daily: int
    hourly: int
    model: int
    zone: str


class GuardMachine(RuleBasedStateMachine):
    """Charges, batches, restarts, clocks, days, policies, faults of the store, lost clients."""

    @initialize(zone=st.sampled_from(["UTC", "Europe/Berlin", "America/St_Johns"]))
    def begin(self, zone: str) -> None:
        self.loop = asyncio.new_event_loop()
        # Nothing here hangs on the disk, and every charge would wait for it.
        memory = Path("/dev/shm")
        self.home = tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None)
        self.path = Path(self.home.name) / "guard.sqlite"
        self.hand = Hand()
        # Shortly before the clocks of summer end in Europe.
        self.hand.time = 1_761_400_000.0
        self.mark = 0.0
        self.limits = Limits(10, 8, 15, zone)
        self.charged: list[Charged] = []
        self.locked: sqlite3.Connection | None = None
        self.away = self.full = False
        self.forfeited = 0
        self.bench = self._bench()

    def teardown(self) -> None:
        if hasattr(self, "bench"):
            self._unlock()
            self.bench.guard.budgets.store.close()
            self.loop.close()
            self.home.cleanup()

    # What happens.

    @rule(
        client=st.sampled_from(CLIENTS),
        rows=st.integers(1, 12),
        fate=st.sampled_from(["answered"] * 4 + ["crash", "hang up in the answer"]),
    )
    def ask(self, client: str, rows: int, fate: str) -> None:
        if fate == "crash":

            async def crash(_: Any) -> None:
                raise RuntimeError

            self.bench.model.answer = crash
        status = self._run(self._ask(client, rows, fate))
        self.bench.model.answer = None
        if self._broken:
            # Only rows leased before may still be served.
            if status == 503:
                return
            assert self._leases
        if status in (429, 413):
            self._refused(client, rows)
            return
        assert status == (502 if fate == "crash" else 200)
        now = self._now(moved=not self._broken)
        self.charged.append(Charged(now, client, rows))
        self._within(client)

    @rule(client=st.sampled_from(CLIENTS), rows=st.lists(st.integers(1, 6), min_size=2, max_size=6))
    @precondition(lambda self: not self._broken)
    def ask_at_once(self, client: str, rows: list[int]) -> None:
        async def together() -> list[int]:
            return await asyncio.gather(*(self._ask(client, one, "answered") for one in rows))

        answers = self._run(together())
        for one, status in zip(rows, answers, strict=True):
            if status == 200:
                self.charged.append(Charged(self._now(), client, one))
        if 200 in answers:  # else a limit may have been lowered below what was spent before
            self._within(client)

    @rule(client=st.sampled_from(CLIENTS))
    def hang_up_in_the_request(self, client: str) -> None:
        async def gone() -> Message:
            return {"type": "http.disconnect"}

        async def send(_: Message) -> None:
            raise AssertionError

        scope = self._scope(client, b"x" * 10)
        self.loop.run_until_complete(self.bench.guard(scope, gone, send))

    @rule(seconds=st.sampled_from([1, 59, 600, 3500, 7200, 30_000, 86_400, 700_000]))
    def clock_forward(self, seconds: int) -> None:
        self.hand.time += seconds

    @rule(seconds=st.sampled_from([1, 600, 7200, 86_400, 900_000]))
    def clock_back(self, seconds: int) -> None:
        self.hand.time -= seconds

    @rule(graceful=st.booleans())
    @precondition(lambda self: not self._broken)
    def restart(self, graceful: bool) -> None:
        if graceful:
            self.loop.run_until_complete(self.bench.guard.stop())
        else:
            self.forfeited += self._credit()
            self.bench.guard.budgets.store.close()
        self.bench = self._bench()

    @rule(
        daily=st.sampled_from([5, 10, 40, 400]),
        hourly=st.sampled_from([5, 8, 300]),
        model=st.sampled_from([15, 60, 500]),
    )
    def change_policy(self, daily: int, hourly: int, model: int) -> None:
        self.limits = Limits(daily, hourly, model, self.limits.zone)
        policy = self._policy()
        guard = self.bench.guard
        guard.active = guard._activated(policy)
        guard.budgets.configure(policy)

    @rule()
    @precondition(lambda self: not self._broken and self.path.exists())
    def lock(self) -> None:
        self.locked = sqlite3.connect(self.path, isolation_level=None)
        self.locked.execute("BEGIN IMMEDIATE")

    @rule()
    @precondition(lambda self: not self._broken and self.path.exists())
    def take_away(self) -> None:
        # A guard that begins without a ledger makes one; this is one that had begun.
        self.bench.guard.budgets.store.open()
        self.path.rename(self.path.with_suffix(".away"))
        self.away = True

    @rule()
    @precondition(lambda self: not self._broken)
    def fill_the_disk(self) -> None:
        # Stands for every write that fails: the trigger is SQLite's own way to fail one.
        store = self.bench.guard.budgets.store
        assert isinstance(store, SqliteStore)
        store.open()
        assert store._connection is not None
        store._connection.execute("PRAGMA query_only=1")
        self.full = True

    @rule()
    @precondition(lambda self: self._broken)
    def mend(self) -> None:
        self._unlock()
        if self.away:
            self.path.unlink(missing_ok=True)
            self.path.with_suffix(".away").rename(self.path)
            self.away = False
        if self.full:
            store = self.bench.guard.budgets.store
            assert isinstance(store, SqliteStore)
            if store._connection is not None:
                store._connection.execute("PRAGMA query_only=0")
            self.full = False

    # What must hold.

    @invariant()
    def the_store_is_sound_and_has_every_row(self) -> None:
        if not hasattr(self, "bench") or self._broken or not self.path.exists():
            return
        store = SqliteStore("tiny", self.path, clock=self.hand, create=True)
        store.check()
        for client in CLIENTS:
            kept = sum(one.rows for one in store.buckets(f"client/{client}", 0))
            horizon = self._now(moved=False) - 31 * 86_400
            known = sum(
                one.rows for one in self.charged if one.client == client and one.time > horizon
            )
            assert kept >= known
        store.close()

    def _within(self, client: str) -> None:
        """All that was charged, by the clock that counts, is within the limits of now."""
        now = self._now(moved=False)
        zone = ZoneInfo(self.limits.zone)
        today = datetime.datetime.fromtimestamp(now, zone).date()
        mine = [one for one in self.charged if one.client == client]
        assert self._rows(mine, today) <= self.limits.daily
        assert sum(one.rows for one in mine if one.time > now - HOUR) <= self.limits.hourly
        assert self._rows(self.charged, today) <= self.limits.model

    def _refused(self, client: str, rows: int) -> None:
        """What is refused would be over, or nearly: by a bucket and by what is leased."""
        now = self._now()
        zone = ZoneInfo(self.limits.zone)
        today = datetime.datetime.fromtimestamp(now, zone).date()
        mine = [one for one in self.charged if one.client == client]
        slack = self.forfeited + self._credit()
        recent = sum(one.rows for one in mine if one.time > now - HOUR - BUCKET)
        assert (
            self._rows(mine, today) + rows + slack > self.limits.daily
            or recent + rows + slack > self.limits.hourly
            or self._rows(self.charged, today) + rows + slack > self.limits.model
        )

    # How.

    @property
    def _broken(self) -> bool:
        return self.away or self.full or self.locked is not None

    @property
    def _leases(self) -> bool:
        return min(self.limits[:3]) >= LEASED

    def _credit(self) -> int:
        return sum(lease.credit for lease in self.bench.guard.budgets._leases.values())

    def _now(self, *, moved: bool = True) -> float:
        now = max(self.mark, self.hand.time)
        if moved:
            self.mark = now
        return now

    def _rows(self, charged: list[Charged], day: datetime.date) -> int:
        zone = ZoneInfo(self.limits.zone)
        return sum(
            one.rows
            for one in charged
            if datetime.datetime.fromtimestamp(one.time, zone).date() == day
        )

    def _policy(self) -> Policy:
        daily, hourly, model, zone = self.limits
        budgets = [
            {"name": "daily", "per": "client", "rows": daily},
            {"name": "hourly", "per": "client", "rows": hourly, "window": "1h"},
            {"name": "all", "per": "model", "rows": model},
        ]
        changed = policy_table(budget=budgets, guard={"model": "tiny", "zone": zone})
        return parse_policy(changed, "policy")

    def _bench(self) -> Bench:
        store = SqliteStore("tiny", self.path, patience=0.01, clock=self.hand, create=True)
        return Bench(self._policy(), store)

    def _unlock(self) -> None:
        if self.locked is not None:
            self.locked.execute("ROLLBACK")
            self.locked.close()
            self.locked = None

    def _scope(self, client: str, content: bytes) -> Any:
        headers = [
            (b"host", b"a"),
            (b"content-type", b"application/json"),
            (b"content-length", str(len(content)).encode()),
            (b"authorization", f"Bearer {KEYS[client]}".encode()),
        ]
        return scope_of("POST", "/predict", headers)

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        """Does it, and lets leases come that are on their way: their rows are charged."""

        async def settled() -> T:
            done = await work
            await self.bench.guard.budgets.settled()
            return done

        return self.loop.run_until_complete(settled())

    async def _ask(self, client: str, rows: int, fate: str) -> int:
        content = orjson.dumps({"inputs": [[0.0] * CLASSES] * rows})
        status = 0

        async def receive() -> Message:
            return {"type": "http.request", "body": content, "more_body": False}

        async def send(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = int(message["status"])
            elif fate == "hang up in the answer" and status == 200:
                raise OSError("the client is gone")

        await self.bench.guard(self._scope(client, content), receive, send)
        return status


class LongGuardMachine(GuardMachine):
    """The same for longer."""


GuardMachine.TestCase.settings = settings(few, stateful_step_count=40)
LongGuardMachine.TestCase.settings = settings(max_examples=250, stateful_step_count=60)
TestGuardMachine = pytest.mark.medium(GuardMachine.TestCase)
TestGuardMachineForLonger = pytest.mark.slow(LongGuardMachine.TestCase)
