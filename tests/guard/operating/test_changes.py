"""Operators look at the live ledger and open budgets on purpose, and each time it is logged."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import logging
import os
import threading
import uuid
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.guard.conftest import Bench, Hand, policy_table

from darkroom.commands.guard import run
from darkroom.errors import DarkroomError, PlanError
from darkroom.guard.budgets.scopes import Asker
from darkroom.guard.operating.changes import Operator, forgiving, raised, reset, taken_back
from darkroom.guard.operating.standing import every_counted, one_counted, standings
from darkroom.guard.policy import Policy, parse_policy
from darkroom.guard.stores.base import Entry, Make, Receipt, Store, StoreError

Stores = Callable[..., Store]
ME = Operator("olga", "a test that ran wild")


@pytest.fixture
def model() -> str:
    return f"model-{uuid.uuid4().hex}"


class Live:
    """A guard at work on a ledger, and an operator beside it with a store of their own."""

    def __init__(
        self, stores: Stores, model: str, hand: Hand, folder: Path, **changes: Any
    ) -> None:
        changes.setdefault("budget", [{"name": "daily", "rows": 5}])
        table = policy_table(
            guard={"model": model}, log={"path": str(folder / "audit.log")}, **changes
        )
        self.policy: Policy = parse_policy(table, "p")
        self.log = folder / "audit.log"
        self.bench = Bench(self.policy, stores(model, hand))
        self.own = stores(model, hand)
        self.own.open()

    def admitted(self, times: int, client: str = "alice") -> int:
        async def ask() -> int:
            answers = [await self.bench.ask(client=client) for _ in range(times)]
            return sum(one.status == 200 for one in answers)

        return asyncio.run(ask())

    def refused(self, client: str = "alice") -> int:
        """Returns after how many seconds to ask again."""
        answer = asyncio.run(self.bench.ask(client=client))
        assert answer.status == 429
        return int(answer.headers["retry-after"])

    def meant(self, budget: str = "daily", who: str = "alice") -> Any:
        return one_counted(every_counted(self.policy, self.own), budget, who, None)

    def raised(self, rows: int, until: str | None = None, **meant: str) -> None:
        counted = self.meant(**meant)
        raised(self.policy, self.own, counted, rows=rows, until=until, operator=ME)

    def left(self, who: str = "alice") -> int:
        found = [one for one in standings(self.policy, self.own) if one.holder == who]
        return found[0].left

    def lefts(self, who: str = "alice") -> dict[str, int]:
        found = [one for one in standings(self.policy, self.own) if one.holder == who]
        return {one.counted.budget.name: one.left for one in found}

    @property
    def changes(self) -> list[dict[str, Any]]:
        lines = map(json.loads, self.log.read_text().splitlines())
        return [one for one in lines if "operator" in one]


@pytest.fixture
def live(stores: Stores, model: str, hand: Hand, tmp_path: Path) -> Live:
    return Live(stores, model, hand, tmp_path)


@pytest.mark.medium
def test_a_raise_counts_at_once_for_one_client_and_ends(
    live: Live, hand: Hand, caplog: pytest.LogCaptureFixture
) -> None:
    assert live.admitted(7) == 5
    with caplog.at_level(logging.WARNING):
        live.raised(3, "2h")
        assert live.left() == 3
        assert live.admitted(7) == 3
    assert "an operator opened 3 rows" in caplog.text
    assert live.admitted(7, "bob") == 5
    assert [one["outcome"] for one in live.changes] == ["begun", "made"]
    assert live.changes[0] | {"time": 0, "until": "", "model": ""} == {
        "time": 0,
        "model": "",
        "operator": "olga",
        "action": "raise",
        "budget": "daily",
        "holder": "alice",
        "part": "",
        "rows": 3,
        "unit": "rows",
        "until": "",
        "reason": "a test that ran wild",
        "outcome": "begun",
    }
    hand.time += 2 * 3600 + 1
    assert live.admitted(2) == 0
    live.own.check()


@pytest.mark.medium
def test_two_raises_add_up_and_are_taken_back(live: Live) -> None:
    live.raised(2)
    live.raised(2, "1h")
    assert live.admitted(8) == 8
    live.raised(4)
    taken_back(live.policy, live.own, live.meant(), ME)
    assert (live.left(), live.admitted(1)) == (0, 0)
    with pytest.raises(PlanError, match="no raise is left"):
        taken_back(live.policy, live.own, live.meant(), ME)
    live.own.check()


@pytest.mark.medium
def test_a_reset_forgives_what_is_spent_and_no_more(live: Live) -> None:
    assert live.admitted(5) == 5
    reset(live.policy, live.own, live.meant(), ME)
    assert live.left() == 5
    assert live.admitted(7) == 5
    reset(live.policy, live.own, live.meant(), ME)
    with pytest.raises(PlanError, match="nothing is spent"):
        reset(live.policy, live.own, live.meant(), ME)
    assert live.admitted(7) == 5
    assert [one["rows"] for one in live.changes if one["outcome"] == "made"] == [5, 5]
    assert sum(one.rows for one in live.own.buckets("client/alice", 0)) == 15
    live.own.check()


@pytest.mark.medium
@pytest.mark.parametrize("before", [False, True])
def test_a_reset_forgives_tokens_of_requests_on_their_way_once(
    stores: Stores, model: str, hand: Hand, tmp_path: Path, before: bool
) -> None:
    budgets = [{"name": "daily", "tokens": 1000}, {"name": "hourly", "tokens": 900, "window": "1h"}]
    wires = [{"name": "openai", "context": 400}]
    live = Live(stores, model, hand, tmp_path, budget=budgets, wire=wires)
    budgets_of = live.bench.guard.budgets

    async def asked() -> None:
        asker = Asker("alice")
        first = await budgets_of.charge(asker, 1, 400)
        assert first.ticket is not None
        if before:  # what is given back before a reset is no part of it
            await budgets_of.correct(first.ticket, 10)
        await asyncio.to_thread(reset, live.policy, live.own, live.meant(), ME)
        if not before:
            await budgets_of.correct(first.ticket, 10)

    asyncio.run(asked())
    assert live.lefts() == {"daily": 1000, "hourly": 890 if before else 500}

    async def later() -> None:
        hand.time += 1
        ticket = (await budgets_of.charge(Asker("alice"), 1, 400)).ticket
        assert ticket is not None
        await budgets_of.correct(ticket, 10)
        await live.bench.guard.stop()

    asyncio.run(later())
    assert live.lefts()["daily"] == 990


@pytest.mark.medium
def test_a_reset_of_a_sliding_window_opens_no_further_later(
    stores: Stores, model: str, hand: Hand, tmp_path: Path
) -> None:
    budget = [{"name": "daily", "rows": 6, "window": "1h"}]
    live = Live(stores, model, hand, tmp_path, budget=budget)
    assert live.admitted(2) == 2
    hand.time += 1800
    assert live.admitted(9) == 4
    reset(live.policy, live.own, live.meant(), ME)
    assert live.admitted(9) == 6
    hand.time += 1900  # the first two have left, and so has what forgave them
    assert live.admitted(9) == 0
    hand.time += 1800  # now the ten of the middle have left
    assert live.admitted(9) == 6


def test_who_is_refused_after_a_reset_is_told_when_rows_fit(
    stores: Stores, model: str, hand: Hand, tmp_path: Path
) -> None:
    budget = [{"name": "daily", "rows": 6, "window": "1h"}]
    live = Live(stores, model, hand, tmp_path, budget=budget)
    assert live.admitted(2) == 2
    hand.time += 1800
    assert live.admitted(9) == 4
    reset(live.policy, live.own, live.meant(), ME)
    assert live.admitted(9) == 6
    # What forgave the first two ends with them: room comes when the ten of now leave.
    told = live.refused()
    assert 3540 <= told <= 3661
    hand.time += told
    assert live.admitted(1) == 1


MOMENTS = st.dictionaries(st.integers(1, 900), st.integers(0, 9), max_size=400)


@given(MOMENTS, MOMENTS)
@settings(max_examples=30)
def test_no_moment_is_forgiven_more_than_counts_then(
    leaves: dict[int, int], before: dict[int, int]
) -> None:
    parts = forgiving(leaves, [Entry("a", end, rows) for end, rows in before.items()])

    def alive(told: Iterable[tuple[int, int]], moment: int) -> int:
        return sum(rows for end, rows in told if end > moment)

    assert len(parts) <= 256
    for moment in range(0, 901, 30):
        spent, old = alive(leaves.items(), moment), alive(before.items(), moment)
        assert old + alive(parts, moment) <= max(spent, old)
    missing = alive(leaves.items(), 0) - alive(before.items(), 0)
    assert alive(parts, 0) == max(0, missing)


def test_operators_at_the_same_moment_forgive_once(
    live: Live, stores: Stores, model: str, hand: Hand
) -> None:
    assert live.admitted(5) == 5
    ready = threading.Barrier(4)
    made: list[int] = []

    def work() -> None:
        store = stores(model, hand, patience=20)
        store.open()
        counted = one_counted(every_counted(live.policy, store), "daily", "alice", None)
        ready.wait()
        with contextlib.suppress(DarkroomError):
            made.append(reset(live.policy, store, counted, ME).rows)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made == [5]
    assert live.admitted(9) == 5


@pytest.mark.medium
def test_raises_beside_traffic_admit_as_much_as_the_log_opens(
    live: Live, stores: Stores, model: str, hand: Hand
) -> None:
    """Three guards ask as fast as they can while an operator raises ten times."""
    admitted: list[int] = []

    def ask() -> None:
        made = Bench(live.policy, stores(model, hand, patience=20))

        async def several() -> int:
            found = [(await made.ask()).status for _ in range(25)]
            await made.guard.stop()
            return found.count(200)

        admitted.append(asyncio.run(several()))

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    for _ in range(10):
        live.raised(2)
    for thread in threads:
        thread.join()
    opened = sum(one["rows"] for one in live.changes if one["outcome"] == "made")
    assert opened == 20
    assert sum(admitted) <= 5 + opened
    assert sum(admitted) + live.admitted(50) == 5 + opened
    live.own.check()


def test_nothing_is_opened_that_cannot_be_logged(live: Live, tmp_path: Path) -> None:
    assert live.admitted(5) == 5
    live.log.unlink()
    live.log.mkdir()
    with pytest.raises(DarkroomError, match="audit log cannot be written"):
        live.raised(5)
    unlogged = live.policy.model_copy(update={"log": None})
    with pytest.raises(PlanError, match="must be written down"):
        reset(unlogged, live.own, live.meant(), ME)
    live.bench.guard._observers.clear()
    assert (live.left(), live.admitted(1)) == (0, 0)


def test_a_change_that_fails_is_logged_as_one(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    counted = live.meant()

    def fail(_: object) -> Receipt:
        return Receipt(granted=False, time=0, spent=())

    monkeypatch.setattr(live.own, "charge", fail)
    with pytest.raises(StoreError, match="somebody else"):
        raised(live.policy, live.own, counted, rows=3, until=None, operator=ME)
    assert [one["outcome"] for one in live.changes] == ["begun", "failed"]


def test_a_change_that_may_have_been_made_is_logged_as_unknown(
    live: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted, charge = live.meant(), live.own.charge

    def go_away(make: Make) -> None:
        charge(make)
        raise StoreError("away")

    monkeypatch.setattr(live.own, "charge", go_away)
    with pytest.raises(StoreError, match="may have been made"):
        raised(live.policy, live.own, counted, rows=3, until=None, operator=ME)
    assert [one["outcome"] for one in live.changes] == ["begun", "unknown"]
    assert live.left() == 8


def test_lines_of_the_log_are_whole_or_told(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write
    monkeypatch.setattr("os.write", lambda file, content: write(file, content[:7]))
    live.raised(3)
    assert [one["outcome"] for one in live.changes] == ["begun", "made"]

    def full(file: int, content: bytes) -> int:
        if len(content) < 50:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(file, content[:-9])

    monkeypatch.setattr("os.write", full)
    with pytest.raises(DarkroomError, match="audit log cannot be written"):
        live.raised(3)
    assert live.left() == 8


@pytest.mark.parametrize(
    ("rows", "until", "said"),
    [
        (0, None, "--rows"),
        (-5, None, "--rows"),
        (1, "yesterday", "neither a span"),
        (1, "2020-01-01", "lie ahead"),
        (1, "2099-01-01T00:00", "31 days"),
        (1, "day", "neither a span"),
    ],
)
def test_raises_that_are_none_are_refused(
    live: Live, rows: int, until: str | None, said: str
) -> None:
    with pytest.raises(PlanError, match=said):
        live.raised(rows, until)
    assert not live.log.exists()


@pytest.mark.parametrize("text", ["", " ", "a\nb", "a" * 201])
def test_texts_that_would_spoil_a_log_are_refused(text: str) -> None:
    with pytest.raises(PlanError):
        Operator("olga", text)
    with pytest.raises(PlanError):
        Operator(text, "a reason")


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    """A policy's file with a ledger that has begun."""
    client = [{**one, "groups": ["trial"]} for one in policy_table()["client"]]
    budgets = [
        {"name": "daily", "rows": 5},
        {"name": "trial", "per": "group", "rows": 8},
        {"name": "all", "per": "model", "rows": 9},
    ]
    table = policy_table(client=client, budget=budgets)
    table |= {"store": {"path": "guard.sqlite"}, "log": {"path": "audit.log"}}
    path = tmp_path / "guard.toml"
    path.write_text(tomli_w.dumps(table))
    assert run(["init", "--policy", str(path)]) == 0
    return path


def test_the_commands_say_who_has_what_and_who_changed_it(
    policy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def said(*words: str) -> str:
        capsys.readouterr()
        assert run([*words, "--policy", str(policy)]) == 0
        return capsys.readouterr().out

    assert "alice" in said("clients")
    why = ["--reason", "a demo", "--by", "olga"]
    assert "raise: 4 rows of budget daily for alice" in said(
        "raise", "daily", "alice", "--rows", "4", *why
    )
    said("raise", "all", "--rows", "2", *why)
    rows = json.loads(said("clients", "--json"))
    found = {(one["holder"], one["budget"]): one["left"] for one in rows}
    assert found == {
        ("alice", "daily"): 9,
        ("bob", "daily"): 5,
        ("group:trial", "trial"): 8,
        ("all", "all"): 11,
    }
    shown = said("show", "alice")
    assert "groups   trial" in shown
    assert "raised   daily of alice by 4" in shown
    assert "raise daily of alice: 4 rows" in shown
    assert "a demo" in shown
    assert "counts now" in shown
    assert "identity" in said("show")
    assert "clients  alice, bob" in said("show", "group:trial")
    assert "take back: 4 rows" in said("raise", "daily", "alice", "--take-back", *why)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["raise", "none", "alice", "--rows", "1"], "no budget of the policy is called"),
        (["raise", "daily", "--rows", "1"], "say which"),
        (["raise", "daily", "carol", "--rows", "1"], "not held by 'carol'"),
        (["raise", "daily", "alice"], "give --rows"),
        (["reset", "daily", "alice"], "nothing is spent"),
    ],
)
def test_what_is_not_meant_changes_nothing(policy: Path, words: list[str], told: str) -> None:
    with pytest.raises(PlanError, match=told):
        run([*words, "--reason", "a demo", "--policy", str(policy)])
    assert not (policy.parent / "audit.log").exists()


@pytest.mark.parametrize("error", [KeyError, OSError])
def test_who_has_no_name_on_the_machine_gives_one(
    policy: Path, monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    def nobody() -> str:
        raise error("getpwuid(): uid not found: 4711")

    monkeypatch.setattr("getpass.getuser", nobody)
    words = ["raise", "daily", "alice", "--rows", "1", "--reason", "a", "--policy", str(policy)]
    with pytest.raises(PlanError, match="--by"):
        run(words)
    assert run([*words, "--by", "olga"]) == 0


def test_a_ledger_that_is_lost_is_neither_begun_nor_opened(policy: Path) -> None:
    (policy.parent / "guard.sqlite").unlink()
    for words in (["clients"], ["raise", "daily", "alice", "--rows", "1", "--reason", "a"]):
        with pytest.raises(StoreError, match="no ledger"):
            run([*words, "--policy", str(policy)])
    assert not (policy.parent / "guard.sqlite").exists()
