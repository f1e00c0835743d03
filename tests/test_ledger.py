"""The ledger against a list of every row that was ever charged."""

from __future__ import annotations

from dataclasses import FrozenInstanceError

import numpy as np
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from darkroom.ledger import BudgetExhausted, Limit, QueryLedger

LIMITS = st.one_of(st.none(), st.integers(0, 12))


class LedgerMachine(RuleBasedStateMachine):
    """Charges at random; ``rows`` holds the goal of every row that was allowed."""

    @initialize(goals=st.integers(1, 4), per_goal=LIMITS, total=LIMITS)
    def start(self, goals: int, per_goal: int | None, total: int | None) -> None:
        self.goals, self.per_goal, self.total = goals, per_goal, total
        self.rows: list[int] = []
        self.told: list[int] = []
        self.ledger = QueryLedger(goals, Limit(per_goal, total), self.told.append)

    def fits(self, rows: list[int]) -> bool:
        each = [rows.count(goal) for goal in range(self.goals)]
        within_goal = self.per_goal is None or max(each) <= self.per_goal
        return within_goal and (self.total is None or len(rows) <= self.total)

    @rule(draws=st.lists(st.integers(0, 3), max_size=6))
    def charge(self, draws: list[int]) -> None:
        asked = [draw % self.goals for draw in draws]
        heard = len(self.told)
        if self.fits(self.rows + asked):
            self.ledger.charge(np.array(asked, dtype=np.int64))
            self.rows += asked
            assert self.told[heard:] == [len(self.rows)]
        else:
            with pytest.raises(BudgetExhausted, match="is spent"):
                self.ledger.charge(np.array(asked, dtype=np.int64))
            assert self.told[heard:] == []

    @rule(goal=st.integers(0, 3))
    def remaining_is_what_one_goal_can_still_be_charged(self, goal: int) -> None:
        goal %= self.goals
        left = self.ledger.remaining(goal)
        if left is None:
            assert self.per_goal is None
            assert self.total is None
        else:
            assert self.fits(self.rows + [goal] * left)
            assert not self.fits(self.rows + [goal] * (left + 1))

    @rule()
    def what_it_gives_away_is_a_copy(self) -> None:
        self.ledger.spent[:] = 99

    @invariant()
    def counts_are_those_of_the_list(self) -> None:
        if hasattr(self, "ledger"):
            each = [self.rows.count(goal) for goal in range(self.goals)]
            assert self.ledger.spent.tolist() == each
            assert self.ledger.total == len(self.rows)


TestLedger = pytest.mark.medium(LedgerMachine.TestCase)


@pytest.mark.parametrize("limit", [None, Limit()])
def test_nothing_limits_a_ledger_without_a_limit(limit: Limit | None) -> None:
    ledger = QueryLedger(2, limit)
    ledger.charge(np.repeat(np.array([0, 1]), 10_000))
    assert ledger.total == 20_000
    assert ledger.remaining(0) is None


def test_one_goal_over_its_limit_stops_the_whole_charge() -> None:
    ledger = QueryLedger(3, Limit(per_goal=2))
    ledger.charge(np.array([0, 0, 1]))
    with pytest.raises(BudgetExhausted):
        ledger.charge(np.array([2, 1, 0]))
    assert ledger.spent.tolist() == [2, 1, 0]


def test_charging_no_rows_is_always_allowed() -> None:
    ledger = QueryLedger(1, Limit(per_goal=0, total=0))
    ledger.charge(np.empty(0, dtype=np.int64))
    assert ledger.total == 0


def test_a_bill_follows_what_the_server_saw() -> None:
    told: list[int] = []
    ledger = QueryLedger(3, Limit(per_goal=2), told.append)
    bill = ledger.bill(np.array([2, 0, 2]))
    with pytest.raises(BudgetExhausted):
        bill.again(np.array([1, 2]))
    assert ledger.spent.tolist() == [1, 0, 2]
    bill.unsent(np.array([0]))
    bill.again(np.array([1, 2]))
    assert ledger.spent.tolist() == [2, 0, 2]
    assert told == [3, 2, 4]


def test_a_bill_that_cannot_be_paid_is_not_written() -> None:
    ledger = QueryLedger(1, Limit(total=2))
    with pytest.raises(BudgetExhausted):
        ledger.bill(np.zeros(3, np.int64))
    assert ledger.total == 0


def test_what_serves_all_would_have_cost_each_alone_in_full() -> None:
    ledger = QueryLedger(3)
    with ledger.shared(np.array([0, 1])):
        bill = ledger.bill(np.array([0, 0, 1, 1]))
        bill.unsent(np.array([3]))
    ledger.charge(np.array([1, 2]))
    assert ledger.spent.tolist() == [2, 2, 1]
    assert ledger.alone.tolist() == [3, 4, 1]
    assert ledger.total == 5


def test_a_limit_a_goal_is_about_what_one_alone_would_have_cost() -> None:
    ledger = QueryLedger(2, Limit(per_goal=5))
    with ledger.shared(np.arange(2)), pytest.raises(BudgetExhausted):
        ledger.charge(np.array([0, 0, 0, 1, 1, 1]))
    assert ledger.total == 0
    with ledger.shared(np.arange(2)):
        ledger.charge(np.array([0, 0, 1, 1]))
    assert [ledger.remaining(goal) for goal in range(2)] == [1, 1]


def test_a_limit_is_not_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        Limit(3).total = 5  # type: ignore[misc]


@pytest.mark.parametrize("goal", [-1, 3, 7])
def test_a_goal_that_there_is_not_is_charged_nothing(goal: int) -> None:
    ledger = QueryLedger(3)
    for goals in ([goal], [1, goal]):
        with pytest.raises(ValueError, match="goals are numbered from 0 to 2"):
            ledger.charge(np.array(goals))
    assert ledger.total == ledger.spent.sum() == 0


def test_neighbours_among_many_are_charged_alone() -> None:
    ledger = QueryLedger(10, Limit(per_goal=2))
    ledger.charge(np.array([4, 6, 6]))
    ledger.charge(np.array([5, 4]))
    assert ledger.spent.tolist() == ledger.alone.tolist() == [0, 0, 0, 0, 2, 1, 2, 0, 0, 0]
    with pytest.raises(BudgetExhausted):
        ledger.charge(np.array([5, 6]))
    ledger.refund(np.array([6]))
    ledger.charge(np.array([5, 6]))
    assert ledger.total == 6
