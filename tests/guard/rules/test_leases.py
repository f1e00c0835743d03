"""A lease: what is used of it, until when, and what is taken back."""

from __future__ import annotations

from typing import Any

import pytest
from tests.guard.conftest import Hand, policy_table

from darkroom.guard.budgets.leases import NEVER, Instant, Lease, together
from darkroom.guard.budgets.rules import Rules, rules_of
from darkroom.guard.budgets.scopes import Asker
from darkroom.guard.policy import parse_policy
from darkroom.guard.stores.base import Entry, Receipt

BUCKET = 1_760_011_200_000
"""When a bucket of a minute begins."""

BOB = Asker("bob")


class Steady:
    """The clock that nobody sets."""

    def __init__(self) -> None:
        self.time = 100.0

    def monotonic(self) -> float:
        return self.time


@pytest.fixture
def steady(monkeypatch: pytest.MonkeyPatch) -> Steady:
    made = Steady()
    monkeypatch.setattr("darkroom.guard.budgets.leases.time", made)
    return made


@pytest.fixture
def rules() -> Rules:
    return rules_of(parse_policy(policy_table(), "p"))


def lease(rules: Rules, credit: int, *, at: int = 20_000, before: Lease | None = None) -> Lease:
    """Begins a lease ``at`` milliseconds after its bucket."""
    receipt = Receipt(True, BUCKET + at, (3,))
    begun = Instant(100.0, (BUCKET + at) / 1000)
    return Lease(rules, BOB, receipt, credit, begun, before)


def test_rows_are_used_until_there_are_too_few(rules: Rules, steady: Steady, hand: Hand) -> None:
    made = lease(rules, 9)
    assert (made.credit, made.used, made.low, made.passed) == (9, 0, 4, 0)
    hand.time = BUCKET / 1000 + 20
    assert made.take(4, rules, hand)
    assert (made.credit, made.used) == (5, 4)
    assert not made.take(6, rules, hand)
    assert made.take(5, rules, hand)
    assert (made.credit, made.used) == (0, 9)
    assert not made.take(1, rules, hand)


def test_other_rules_end_it(rules: Rules, steady: Steady, hand: Hand) -> None:
    made = lease(rules, 9)
    hand.time = BUCKET / 1000 + 20
    assert not made.take(1, rules_of(parse_policy(policy_table(), "p")), hand)
    assert made.credit == 9


@pytest.mark.parametrize(
    ("steady_seconds", "wall_seconds", "taken", "passed"),
    [
        (0.0, 0.0, True, 0),
        (39.99, 39.99, True, 39),
        (40.0, 0.0, False, 0),
        (0.0, 40.0, False, 0),
    ],
)
def test_it_ends_with_its_bucket_on_either_clock(
    rules: Rules,
    steady: Steady,
    hand: Hand,
    steady_seconds: float,
    wall_seconds: float,
    taken: bool,
    passed: int,
) -> None:
    made = lease(rules, 9)
    steady.time += steady_seconds
    hand.time = BUCKET / 1000 + 20 + wall_seconds
    assert made.take(1, rules, hand) == taken
    assert made.passed == passed


def test_a_bucket_may_end_within_a_second(rules: Rules, steady: Steady, hand: Hand) -> None:
    made = lease(rules, 9, at=59_500)
    hand.time = BUCKET / 1000 + 59.9
    steady.time += 0.4
    assert made.take(1, rules, hand)
    steady.time += 0.2
    assert not made.take(1, rules, hand)


def test_what_is_left_is_taken_back_where_it_was_charged(rules: Rules) -> None:
    made = lease(rules, 9)
    until = BUCKET + 60_000
    made.use(2)
    assert made.rest == (Entry("client/bob", until, 7), Entry("model", until, 7))
    made.use(7)
    assert not made.rest


def test_a_lease_of_the_same_bucket_goes_on(rules: Rules) -> None:
    first = lease(rules, 9)
    first.use(2)
    first.behind = (Entry("client/bob", 7, 1),)
    second = lease(rules, 20, at=59_999, before=first)
    assert (second.credit, second.used, second.low) == (27, 2, 13)
    assert second.behind == first.behind
    until = BUCKET + 60_000
    assert second.rest == (
        Entry("client/bob", 7, 1),
        Entry("client/bob", until, 27),
        Entry("model", until, 27),
    )
    second.use(27)
    assert list(second.rest) == list(first.behind)


def test_a_lease_of_the_next_bucket_takes_back_what_is_left(rules: Rules) -> None:
    first = lease(rules, 9)
    first.use(2)
    second = lease(rules, 20, at=60_000, before=first)
    assert (second.credit, second.used) == (20, 2)
    assert (
        second.behind
        == first.rest
        == (
            Entry("client/bob", BUCKET + 60_000, 7),
            Entry("model", BUCKET + 60_000, 7),
        )
    )
    assert {one.until for one in second.rest} == {BUCKET + 60_000, BUCKET + 120_000}


def test_a_client_is_told_what_the_lease_holds(rules: Rules, steady: Steady, hand: Hand) -> None:
    made = lease(rules, 9)
    steady.time += 3.7
    hand.time = BUCKET / 1000 + 21
    assert made.take(2, rules, hand)
    told: Any = made.decision()
    assert told.granted
    assert (told.leased, told.passed) == (7, 3)
    assert [one.left for one in told.allowances] == [7]


def test_no_lease_falls_to_never(rules: Rules) -> None:
    made = lease(rules, 1)
    made.use(1)
    assert made.credit > NEVER


def test_entries_of_one_subject_and_bucket_are_added_up() -> None:
    entries = [Entry("a", 60, 2), Entry("b", 60, 3), Entry("a", 60, 4), Entry("a", 120, 5)]
    assert together(entries) == (Entry("a", 60, 6), Entry("b", 60, 3), Entry("a", 120, 5))
    assert not together([])
