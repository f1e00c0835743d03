"""How long a policy of so many queries a day holds an attacker off.

A curve says what an attack has after so many queries. A policy turns queries into days, so the
question "is ten requests a day enough?" is read off the curve.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from darkroom.auditing.record import Cell, CurvePoint
from darkroom.errors import PlanError
from darkroom.report.kind_page import nouns_of
from darkroom.report.wording import amount, count, several

HALF = 0.5


@dataclass(frozen=True)
class Policy:
    """What a service lets through.

    Attributes:
        per_day: Queries a day for each account, 1 or more.
        accounts: Accounts that the attacker has, 1 or more.
        total: Queries a day for all accounts together, or ``None`` for no such limit.
    """

    per_day: int
    accounts: int = 1
    total: int | None = None

    def __post_init__(self) -> None:
        """Refuses policies that let nothing through.

        Raises:
            PlanError: If a number is below 1.
        """
        for name in ("per_day", "accounts", "total"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise PlanError(f"policy: {name} must be 1 or more, got {value}")

    @property
    def rate(self) -> int:
        """Queries a day that reach the model.

        >>> Policy(10, accounts=100).rate, Policy(10, accounts=100, total=500).rate
        (1000, 500)
        """
        every = self.per_day * self.accounts
        return every if self.total is None else min(every, self.total)

    @property
    def words(self) -> str:
        """The policy in words.

        >>> Policy(10).words, Policy(10, 100, 500).words
        ('10 queries a day, 1 account', '10 queries a day, 100 accounts, 500 in all')
        """
        together = "" if self.total is None else f", {count(self.total)} in all"
        accounts = several(self.accounts, "account", "accounts")
        return f"{several(self.per_day, 'query', 'queries')} a day, {accounts}{together}"


USUAL = (Policy(10), Policy(10, accounts=100), Policy(10_000))
"""The policies that a report compares."""


class Reached(NamedTuple):
    """Where a curve reaches a share of the goals.

    Attributes:
        queries: The first milestone at which the share is reached, in queries a goal; ``None`` if
            none is.
        low: The first milestone at which the interval's upper end reaches it: it may be true so
            early. ``None`` if it never does.
        high: The first milestone at which the interval's lower end reaches it: by then it surely
            is. ``None`` if it never does.
        asked: The last milestone.
    """

    queries: int | None
    low: int | None
    high: int | None
    asked: int


def queries_to(cell: Cell, share: float = HALF) -> Reached:
    """Returns after how many queries a goal an attack has recovered a share of the goals.

    The interval inverts the 95% interval of the success at each milestone.

    Args:
        cell: One with a curve.
        share: Of the goals, in (0, 1].
    """
    points = sorted(cell.curve, key=lambda point: point.queries)

    def first(reached: Sequence[bool]) -> int | None:
        return next((p.queries for p, one in zip(points, reached, strict=True) if one), None)

    return Reached(
        first([point.success >= share for point in points]),
        first([point.high >= share for point in points]),
        first([point.low >= share for point in points]),
        points[-1].queries if points else 0,
    )


class Holding(NamedTuple):
    """How long a policy holds one attack off, until it has even odds on any one goal.

    Attributes:
        cell: The attack.
        policy: The policy.
        reached: The queries.
    """

    cell: Cell
    policy: Policy
    reached: Reached

    @property
    def days(self) -> str:
        """The days in words, with the interval.

        An attack that never got there in the run has lasted at least as long as it was tried.
        """
        reached, rate = self.reached, self.policy.rate
        if reached.queries is None:
            return f"more than {_days(reached.asked, rate)}"
        low, high = reached.low, reached.high
        earliest = _days(reached.queries if low is None else low, rate)
        latest = None if high is None else _days(high, rate)
        return _ranged(_days(reached.queries, rate), earliest, latest)

    @property
    def queries(self) -> str:
        """The queries in words, with the interval."""
        reached = self.reached
        if reached.queries is None:
            return f"more than {count(reached.asked)}"
        low = reached.queries if reached.low is None else reached.low
        high = None if reached.high is None else count(reached.high)
        return _ranged(count(reached.queries), count(low), high)

    @property
    def bits_a_day(self) -> str:
        """How many bits of a goal the first day gives away, in words; empty where none are known.

        Read off the last milestone within the day, or bounded by the first one after it.
        """
        point = self._first_day
        if point is None or point.bits is None:
            return ""
        said = f"{amount(point.bits)} bits"
        if point.queries > self.policy.rate:
            return f"at most {said}"
        return f"{said} or more" if self.policy.rate > self.reached.asked else said

    @property
    def _first_day(self) -> CurvePoint | None:
        points = sorted(
            (point for point in self.cell.curve if point.bits is not None),
            key=lambda point: point.queries,
        )
        within = [point for point in points if point.queries <= self.policy.rate]
        return within[-1] if within else next(iter(points), None)

    def record(self) -> dict[str, object]:
        """Returns it as JSON has it; days are null where queries are."""
        reached, rate = self.reached, self.policy.rate
        numbers = {name: getattr(reached, name) for name in ("queries", "low", "high")}
        return {
            "cell": self.cell.key,
            "attack": self.cell.attack,
            "access": self.cell.access,
            "prior": self.cell.prior,
            "defense": self.cell.defense,
            "queries_tried": reached.asked,
            "queries_to_half": numbers,
            "days_to_half": {
                name: None if value is None else value / rate for name, value in numbers.items()
            },
            "bits_a_day": self.bits_a_day or None,
        }


def holdings(cells: Sequence[Cell], policy: Policy) -> list[Holding]:
    """Reads every attack that asks the model; who has the weights asks nobody.

    Curves behind a guard are left out: they end where it refused.

    Args:
        cells: Of a run.
        policy: What the service lets through.
    """
    asking = [one for one in cells if one.access != "weights" and one.curve and not one.guarded]
    return [Holding(cell, policy, queries_to(cell)) for cell in asking]


def answer(held: Sequence[Holding]) -> str:
    """Says in a sentence whether a policy is enough.

    Args:
        held: Of one policy, at least one.
    """
    policy = held[0].policy
    one = nouns_of(held[0].cell).goal
    inside = [each for each in held if each.reached.queries is not None]
    if not inside:
        longest = max(held, key=lambda each: each.reached.asked)
        return (
            f"With {policy.words}, no attack of this run got even odds on a {one} within "
            f"{_days(longest.reached.asked, policy.rate)}, the longest that one was tried. A "
            "stronger or longer attack may."
        )
    fastest = min(inside, key=lambda each: each.reached.queries or 0)
    behind = "" if fastest.cell.defense == "none" else f" behind {fastest.cell.defense}"
    cell = fastest.cell
    together = cell.queries.total < cell.goals * cell.queries.per_goal_median / 2
    shared = (
        f" It asked {count(cell.queries.total)} in all, because many of its questions serve all "
        f"{cell.goals} {nouns_of(cell).goals} at once."
        if together
        else ""
    )
    return (
        f"With {policy.words}, the fastest attack of this run ({fastest.cell.attack}, "
        f"{fastest.cell.access}{behind}) has even odds on any one {one} after {fastest.days}. A "
        f"limit of queries buys that much time for each {one}, and no more.{shared}"
    )


def _ranged(estimate: str, low: str, high: str | None) -> str:
    """Writes an estimate with its interval, naming a unit that all three share once.

    >>> _ranged("30 days", "10 days", "300 days"), _ranged("3 days", "8 hours", None)
    ('30 days (10 to 300)', '3 days (8 hours to ?)')
    """
    units = {text.partition(" ")[2].removesuffix("s") for text in (estimate, low, high or low)}
    if len(units) == 1:
        low, high = low.partition(" ")[0], high and high.partition(" ")[0]
    return f"{estimate} ({low} to {high or '?'})"


def _days(queries: float, rate: int) -> str:
    """Writes days, from minutes to years.

    >>> _days(300, 10), _days(3650, 10), _days(5, 1000), _days(7300, 10)
    ('30 days', '1 year', '8 minutes', '2 years')
    """
    days = queries / rate
    if days < 1 / 24:
        return several(max(1, -(-round(days * 86400) // 60)), "minute", "minutes")
    if days < 1:
        return several(round(days * 24), "hour", "hours")
    if days < 365:
        return several(round(days), "day", "days")
    return several(round(days / 365, 1), "year", "years")
