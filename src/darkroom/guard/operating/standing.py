"""How the budgets of a policy stand in its ledger."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from darkroom.errors import PlanError
from darkroom.guard.budget_sections import BudgetSection
from darkroom.guard.budgets.rules import (
    TOKENS,
    Counted,
    class_subject,
    opened_subjects,
    person_subject,
    rules_of,
)
from darkroom.guard.budgets.scopes import Asker
from darkroom.guard.policy import Policy
from darkroom.guard.stores.base import Entry, Store
from darkroom.guard.stores.registry import open_store

CLASSES, PEOPLE = class_subject(0).removesuffix("0"), person_subject("")


class Standing(NamedTuple):
    """How one budget stands for one of those who hold it.

    Attributes:
        counted: The budget, and under which subject it counts.
        holder: Whose it is: ``alice``, ``group:partners``, ``class:3``, ``person:ada`` or ``all``.
        part: Of several models or routes, the one that it counts, such as ``model/faces``.
        spent: Rows or tokens that count now.
        raised: By how many an operator has raised the limit.
        forgiven: How many of those spent an operator has forgiven.
        seconds: After how many all that counts now has surely left the window.
    """

    counted: Counted
    holder: str
    part: str
    spent: int
    raised: int
    forgiven: int
    seconds: int

    @property
    def left(self) -> int:
        """How many more fit now."""
        return max(0, self.counted.budget.limit + self.raised + self.forgiven - self.spent)

    def record(self) -> dict[str, object]:
        """Returns it as JSON has it."""
        budget = self.counted.budget
        return {
            "budget": budget.name,
            "holder": self.holder,
            "part": self.part,
            "unit": budget.unit,
            "window": budget.window,
            "limit": budget.limit,
            "spent": self.spent,
            "raised": self.raised,
            "forgiven": self.forgiven,
            "left": self.left,
            "seconds": self.seconds,
        }


@contextmanager
def ledger_of(policy: Policy) -> Iterator[Store]:
    """Opens a policy's ledger, which must be there, and closes it again.

    Raises:
        DarkroomError: If it cannot be opened.
    """
    store = open_store(policy)
    store.create = False  # whoever looks begins nothing
    try:
        store.open()
        yield store
    finally:
        store.close()


def every_counted(policy: Policy, store: Store) -> list[Counted]:
    """Returns all budgets of a policy with all that they count by itself.

    Args:
        policy: The policy.
        store: Its ledger, which knows the classes that were predicted, and who was asked about.
    """
    rules, routes = rules_of(policy), tuple(one.name for one in policy.route)
    models: list[str | None] = [one.name for one in policy.model]
    found = [
        one
        for client in policy.client
        for model in models or [None]
        for one in rules.account(Asker(client.name, model, routes)).budgets
    ]
    subjects = store.subjects() if rules.classes or rules.people else []
    found += [
        Counted(one, budget)
        for one in subjects
        if one.startswith(CLASSES)
        for budget in rules.classes
        if budget.models is None or one.rpartition("/model/")[2] in budget.models
    ]
    found += [
        Counted(one, budget)
        for one in subjects
        if one.startswith(PEOPLE)
        for budget in rules.people
        if one.removeprefix(PEOPLE).partition("/")[2] in _parts(budget)
    ]
    return list({(one.subject, one.budget.name): one for one in found}.values())


def _parts(budget: BudgetSection) -> list[str]:
    """Returns what a budget counts by itself, as subjects have it."""
    if budget.models is None and budget.routes is None:
        return [""]
    of_models = [f"model/{one}" for one in budget.models or ()]
    return of_models + [f"route/{one}" for one in budget.routes or ()]


def standings(policy: Policy, store: Store) -> list[Standing]:
    """Returns how all budgets of a policy stand."""
    now = store.now()
    return [_standing(one, policy, store, now) for one in every_counted(policy, store)]


def holder_of(counted: Counted) -> tuple[str, str]:
    """Returns who holds a budget, and which part of what it counts is counted by itself.

    >>> from darkroom.guard.budget_sections import BudgetSection
    >>> holder_of(Counted("client/alice/model/faces", BudgetSection(name="daily", rows=3)))
    ('alice', 'model/faces')
    """
    first, _, rest = counted.subject.removeprefix(TOKENS).partition("/")
    if first == "model":
        return "all", rest
    name, _, part = rest.partition("/")
    return (name if first == "client" else f"{first}:{name}"), part


def one_counted(
    every: Sequence[Counted], budget: str, who: str | None, part: str | None
) -> Counted:
    """Finds what an operator means.

    Args:
        every: Of :func:`every_counted`.
        budget: The name of a budget.
        who: Its holder; not needed where there is one.
        part: Of several models or routes, the name of the one.

    Raises:
        PlanError: If there is none, or several.
    """
    of_budget = [one for one in every if one.budget.name == budget]
    if not of_budget:
        names = ", ".join(dict.fromkeys(one.budget.name for one in every))
        raise PlanError(f"no budget of the policy is called {budget!r}: it has {names or 'none'}")
    found = [one for one in of_budget if who is None or holder_of(one)[0] == who]
    if not found:
        holders = ", ".join(dict.fromkeys(holder_of(one)[0] for one in of_budget))
        raise PlanError(f"budget {budget} is not held by {who!r}, but by {holders}")
    if part is not None:
        found = [one for one in found if holder_of(one)[1].rpartition("/")[2] == part]
    if len(found) != 1:
        named = ", ".join(" ".join(filter(None, holder_of(one))) for one in found or of_budget)
        raise PlanError(f"budget {budget} counts {named}: say which, and --of for a model or route")
    return found[0]


def known_holder(policy: Policy, who: str) -> str:
    """Returns a holder that a policy has.

    Raises:
        PlanError: If it has none of this name.
    """
    groups = sorted({name for one in policy.client for name in one.groups})
    known = [*(one.name for one in policy.client), *(f"group:{one}" for one in groups), "all"]
    if who not in known and not who.startswith(("class:", "person:")):
        raise PlanError(f"nobody is called {who!r}: the policy has {', '.join(known)}")
    return who


def opened_now(store: Store, counted: Counted, now: int) -> tuple[list[Entry], list[Entry]]:
    """Returns what operators have opened of a budget: raises, and rows forgiven."""
    raised, forgiven = opened_subjects(*counted)
    return store.buckets(raised, now), store.buckets(forgiven, now)


def _standing(counted: Counted, policy: Policy, store: Store, now: int) -> Standing:
    span, zone = counted.budget.span, policy.zone
    buckets = store.buckets(counted.subject, span.since(now, zone))
    raised, forgiven = opened_now(store, counted, now)
    reset = span.reset(now, zone, [(one.until, one.rows) for one in buckets], 0)
    assert reset is not None  # at some time nothing is left
    return Standing(
        counted,
        *holder_of(counted),
        _rows(buckets),
        _rows(raised),
        _rows(forgiven),
        max(0, (reset - now) // 1000),
    )


def _rows(entries: Sequence[Entry]) -> int:
    return sum(one.rows for one in entries)
