"""What rows are charged to, which sums must fit, and what is leased ahead."""

from __future__ import annotations

from dataclasses import FrozenInstanceError
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from tests.guard.conftest import KEYS, Hand, policy_table

from darkroom.guard.api_keys import hashed
from darkroom.guard.budgets.rules import (
    Allowance,
    Counted,
    Decision,
    Rules,
    fits_again,
    rules_of,
)
from darkroom.guard.budgets.scopes import Asker
from darkroom.guard.policy import parse_policy
from darkroom.guard.stores.base import Charge, Entry, Line, Receipt
from darkroom.guard.stores.sqlite import SqliteStore

NOON = 1_760_011_200_000
"""9 October 2025, 12:00 in UTC."""

HOUR, DAY = 3_600_000, 86_400_000
CLIENTS: list[dict[str, Any]] = [
    {"name": "alice", "key": hashed(KEYS["alice"]), "groups": ["trial", "staff", "trial"]},
    {"name": "bob", "key": hashed(KEYS["bob"])},
]
MODELS = [{"name": "faces", "paths": ["/faces"]}, {"name": "voices", "paths": ["/voices"]}]
ROUTES = [{"name": "slow", "paths": ["/slow"]}, {"name": "fast", "paths": ["/fast"]}]
ALICE, BOB = Asker("alice"), Asker("bob")


def rules(*budgets: dict[str, Any], **changes: Any) -> Rules:
    table = policy_table(
        **{"client": CLIENTS, "model": MODELS, "route": ROUTES, "budget": list(budgets), **changes}
    )
    return rules_of(parse_policy(table, "p"))


def counted(found: Rules, asker: Asker) -> list[tuple[str, str]]:
    """Returns the subjects that budgets of rows count, and which budgets."""
    return [(one.subject, one.budget.name) for one in found.account(asker).rows]


def test_rows_are_kept_by_client_group_and_in_all_in_each_place() -> None:
    assert rules().account(BOB).subjects == ("client/bob", "model")
    assert rules().account(Asker("alice", "faces", ("slow",))).subjects == (
        *("client/alice", "client/alice/model/faces", "client/alice/route/slow"),
        *("group/trial", "group/trial/model/faces", "group/trial/route/slow"),
        *("group/staff", "group/staff/model/faces", "group/staff/route/slow"),
        *("model", "model/model/faces", "model/route/slow"),
    )


def test_budgets_count_whom_they_concern() -> None:
    found = rules(
        {"name": "all", "per": "model", "rows": 9},
        {"name": "each", "rows": 1},
        {"name": "bobs", "rows": 2, "clients": ["bob"]},
        {"name": "trial", "rows": 3, "groups": ["trial"]},
        {"name": "together", "per": "group", "rows": 4},
        {"name": "staff", "per": "group", "rows": 5, "groups": ["staff"]},
    )
    assert counted(found, ALICE) == [
        ("client/alice", "each"),
        ("client/alice", "trial"),
        ("group/trial", "together"),
        ("group/staff", "together"),
        ("group/staff", "staff"),
        ("model", "all"),
    ]
    assert counted(found, BOB) == [
        ("client/bob", "each"),
        ("client/bob", "bobs"),
        ("model", "all"),
    ]


def test_budgets_of_models_and_routes_count_each_by_itself() -> None:
    found = rules(
        {"name": "of-models", "rows": 1, "models": ["faces", "voices"]},
        {"name": "of-faces", "per": "model", "rows": 2, "models": ["faces"]},
        {"name": "of-routes", "rows": 3, "routes": ["slow"]},
    )
    assert counted(found, Asker("bob", "faces", ("fast", "slow"))) == [
        ("client/bob/model/faces", "of-models"),
        ("client/bob/route/slow", "of-routes"),
        ("model/model/faces", "of-faces"),
    ]
    assert counted(found, Asker("bob", "voices")) == [("client/bob/model/voices", "of-models")]
    assert counted(found, Asker("bob", "other", ("fast",))) == []


def test_an_account_is_made_once() -> None:
    found = rules()
    assert found.account(ALICE) is found.account(Asker("alice"))


def test_a_charge_adds_rows_everywhere_and_checks_each_budget() -> None:
    found = rules(
        {"name": "daily", "rows": 10},
        {"name": "hourly", "rows": 4, "window": "1h"},
        {"name": "spoken", "tokens": 50},
    )
    back = (Entry("client/bob", 7, 1),)
    charge = found.charge(BOB, 3, back, NOON + 1)
    until = NOON + 60_000
    assert charge.entries == (Entry("client/bob", until, 3), Entry("model", until, 3))
    assert charge.returns == back
    opened = [
        (f"raised/{name}/client/bob", f"forgiven/{name}/client/bob") for name in ("daily", "hourly")
    ]
    assert charge.lines == (
        Line("client/bob", NOON - 12 * HOUR, 10, opened[0]),
        Line("client/bob", NOON + 1 - HOUR, 4, opened[1]),
    )


def test_tokens_are_charged_beside_rows_under_their_own_subjects() -> None:
    found = rules({"name": "daily", "rows": 10}, {"name": "spoken", "tokens": 50})
    charge = found.charge(BOB, 1, (), NOON, 20)
    until = NOON + 60_000
    assert charge.entries == (
        Entry("client/bob", until, 1),
        Entry("model", until, 1),
        Entry("tokens/client/bob", until, 20),
        Entry("tokens/model", until, 20),
    )
    assert [(one.subject, one.limit) for one in charge.lines] == [
        ("client/bob", 10),
        ("tokens/client/bob", 50),
    ]
    assert [one.budget.name for one in found.account(BOB).budgets] == ["daily", "spoken"]


def test_classes_are_counted_by_model_where_there_are_several() -> None:
    found = rules(
        {"name": "one", "per": "class", "rows": 5},
        {"name": "of-faces", "per": "class", "rows": 2, "models": ["faces"]},
        {"name": "daily", "rows": 10},
    )
    assert [one.name for one in found.budgets] == ["daily"]
    charge = found.charge_classes(Asker("bob", "faces"), {3: 2, 0: 1}, NOON)
    until = NOON + 60_000
    assert charge.entries == (
        Entry("class/3/model/faces", until, 2),
        Entry("class/0/model/faces", until, 1),
    )
    assert [(one.subject, one.limit) for one in charge.lines] == [
        ("class/3/model/faces", 5),
        ("class/3/model/faces", 2),
        ("class/0/model/faces", 5),
        ("class/0/model/faces", 2),
    ]
    assert charge.returns == ()
    told = found.counted_classes(Asker("bob", "voices"), {3: 2})
    assert [(one.subject, one.budget.name, rows) for one, rows in told] == [
        ("class/3/model/voices", "one", 2)
    ]
    alone = rules({"name": "one", "per": "class", "rows": 5}, model=[])
    assert alone.charge_classes(BOB, {3: 2}, NOON).entries == (Entry("class/3", until, 2),)


def test_people_are_counted_in_each_place_that_a_budget_names() -> None:
    found = rules(
        {"name": "each", "per": "person", "rows": 5},
        {"name": "of-faces", "per": "person", "rows": 2, "models": ["faces"]},
        {"name": "daily", "rows": 10},
    )
    assert [one.name for one in found.people] == ["each", "of-faces"]
    charge = found.charge_person(Asker("bob", "faces"), "eve", 3, NOON)
    until = NOON + 60_000
    assert charge.entries == (
        Entry("person/eve", until, 3),
        Entry("person/eve/model/faces", until, 3),
    )
    assert [(one.subject, one.limit) for one in charge.lines] == [
        ("person/eve", 5),
        ("person/eve/model/faces", 2),
    ]
    elsewhere = found.counted_person(Asker("bob", "voices"), "eve")
    assert [one.subject for one in elsewhere] == ["person/eve"]


def test_rows_fit_again_when_enough_have_left_or_an_operator_opened_some(
    tmp_path: Path, hand: Hand
) -> None:
    found = rules({"name": "hourly", "rows": 4, "window": "1h"})
    one = found.account(BOB).rows[0]
    store = SqliteStore("tiny", tmp_path / "g.sqlite", clock=hand, create=True)
    store.charge(lambda _: Charge((Entry("client/bob", NOON + 60_000, 3),), ()))
    zone = ZoneInfo("UTC")
    assert fits_again(store, zone, one, 1, NOON) == NOON
    assert fits_again(store, zone, one, 2, NOON) == NOON + 60_000 + HOUR
    assert fits_again(store, zone, one, 5, NOON) is None
    raised = one.line(NOON, zone).opened[0]
    store.charge(lambda _: Charge((Entry(raised, NOON + HOUR, 1),), ()))
    assert fits_again(store, zone, one, 2, NOON) == NOON
    store.close()


@pytest.mark.parametrize(
    ("limits", "rows", "used", "ahead"),
    [
        ([6400], 0, 0, 0),
        ([6400], 0, 30, 60),
        ([6400], 0, 50, 100),
        ([6400], 0, 51, 100),
        ([6463], 0, 99, 100),
        ([6400, 640], 0, 99, 10),
        ([63], 0, 99, 0),
        ([10**9], 48, 99, 152),
        ([10**9], 250, 99, 0),
        ([], 0, 99, 198),
    ],
)
def test_what_is_leased_is_twice_what_was_used_and_a_64th_of_each_limit_at_most(
    limits: list[int], rows: int, used: int, ahead: int
) -> None:
    budgets = [{"name": f"b{n}", "rows": one} for n, one in enumerate(limits)]
    found = rules(*budgets, store={"block": 200})
    assert found.ahead(BOB, rows, used) == ahead


def test_nothing_is_leased_ahead_in_short_buckets() -> None:
    for window, ahead in (("20s", 100), ("19s", 0)):
        found = rules({"name": "burst", "rows": 6400, "window": window})
        assert found.ahead(BOB, 0, 99) == ahead


def test_a_client_is_told_what_is_left_of_its_own_budgets() -> None:
    found = rules(
        {"name": "daily", "rows": 10},
        {"name": "hourly", "rows": 4, "window": "1h"},
        {"name": "all", "per": "model", "rows": 99},
        {"name": "spoken", "tokens": 50, "window": "1s"},
    )
    receipt = Receipt(True, NOON + 1, (3, 6, 60, 20), opened=(0, 3, 0, 0))
    assert found.allowances(BOB, receipt) == (
        Allowance(b'"daily"', b'"daily";q=10;w=86400', 7, 43_200),
        Allowance(b'"hourly"', b'"hourly";q=4;w=3600', 1, 3600),
        Allowance(b'"spoken"', b'"spoken";q=50;w=1;qu="tokens"', 30, 1, False),
    )
    spent = Receipt(True, NOON, (12, 4, 99, 50))
    assert [one.left for one in found.allowances(BOB, spent)] == [0, 0, 0]
    # A charge of rows alone has no sums of tokens.
    assert len(found.allowances(BOB, Receipt(True, NOON, (1, 1, 1)))) == 2


def test_a_line_is_what_a_budget_counts_at_a_moment() -> None:
    found = rules({"name": "daily", "rows": 10}, guard={"model": "tiny", "zone": "Europe/Berlin"})
    one = found.account(BOB).rows[0]
    assert isinstance(one, Counted)
    line = one.line(NOON, ZoneInfo("Europe/Berlin"))
    assert line == found.charge(BOB, 1, (), NOON).lines[0]
    assert line.since == NOON - 14 * HOUR


def test_rules_in_force_are_not_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        rules().block = 1  # type: ignore[misc]


def test_a_decision_tells_nothing_that_nobody_found_out() -> None:
    assert Decision(False) == Decision(False, (), None, None, False, 0, 0, None)
    assert Allowance(b"a", b"b", 1, 2).leases
    assert rules().block == 2048
