"""What a policy's budgets say: what rows are charged to, and which sums must fit."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple
from zoneinfo import ZoneInfo

from darkroom.guard.budget_sections import BudgetSection
from darkroom.guard.budgets.scopes import Asker
from darkroom.guard.policy import Policy
from darkroom.guard.stores.base import Charge, Entry, Line, Receipt, Store
from darkroom.guard.windows import bucket_end, bucket_length

MODEL = "model"
TOKENS = "tokens/"
RESET_ENDS = 60_000
"""Milliseconds: stores charge nothing whose bucket is over."""

LEASED_SHARE = 64
"""A lease is at most this part of each limit, so that small budgets are never tied up in one."""


def client_subject(name: str) -> str:
    """Returns under which subject a client's rows are kept."""
    return f"client/{name}"


def group_subject(name: str) -> str:
    """Returns under which subject the rows of a group's clients are kept."""
    return f"group/{name}"


def class_subject(position: int, model: str | None = None) -> str:
    """Returns under which subject the rows are kept that were predicted to be of a class."""
    return f"class/{position}" if model is None else f"class/{position}/model/{model}"


def person_subject(name: str) -> str:
    """Returns under which subject the rows about a person enrolled are kept."""
    return f"person/{name}"


def opened_subjects(subject: str, budget: BudgetSection) -> tuple[str, str]:
    """Returns under which subjects it is kept what operators opened of a budget.

    Args:
        subject: Whose rows the budget counts.
        budget: The budget.

    Returns:
        That of raises, and that of rows forgiven.
    """
    return f"raised/{budget.name}/{subject}", f"forgiven/{budget.name}/{subject}"


def reset_subject(subject: str, budget: BudgetSection) -> str:
    """Returns under which subject it is kept when operators reset a budget of tokens.

    Each reset is a row whose bucket ends :data:`RESET_ENDS` after it.

    Args:
        subject: Whose tokens the budget counts.
        budget: The budget.
    """
    return f"reset/{budget.name}/{subject}"


class Allowance(NamedTuple):
    """What a client may still ask within one budget.

    Attributes:
        name: The budget's, quoted.
        policy: Its rows and its window in seconds, as ``RateLimit-Policy`` has them.
        left: Rows.
        reset: Seconds until the window begins anew (a day), or is long enough past.
        leases: Whether what a lease holds is left of it besides.
    """

    name: bytes
    policy: bytes
    left: int
    reset: int
    leases: bool = True


class Ticket(NamedTuple):
    """Tokens that were charged before the answer, to be corrected after it.

    Attributes:
        asker: Whose.
        subjects: Where they are kept.
        time: When they were charged.
        until: When their bucket ends.
        tokens: How many.
    """

    asker: Asker
    subjects: tuple[str, ...]
    time: int
    until: int
    tokens: int


class Decision(NamedTuple):
    """What became of a request's rows.

    Attributes:
        granted: Whether they are charged.
        allowances: The client's budgets.
        budget: The name of one that is spent, if not granted.
        retry: Seconds until the same rows fit; ``None`` if they never do, or nobody knows.
        never: Whether a budget is smaller than the request.
        leased: Rows that are charged and left to the client besides.
        passed: Whole seconds since the client's budgets were as told.
        ticket: Tokens charged, for :meth:`.Budgets.correct`.
    """

    granted: bool
    allowances: tuple[Allowance, ...] = ()
    budget: str | None = None
    retry: int | None = None
    never: bool = False
    leased: int = 0
    passed: int = 0
    ticket: Ticket | None = None


class Counted(NamedTuple):
    """One budget, and whose rows it counts of a request.

    Attributes:
        subject: Under which they are kept.
        budget: The budget.
    """

    subject: str
    budget: BudgetSection

    def line(self, moment: int, zone: ZoneInfo) -> Line:
        """Returns the sum that must fit at a moment."""
        since = self.budget.span.since(moment, zone)
        opened = opened_subjects(self.subject, self.budget)
        return Line(self.subject, since, self.budget.limit, opened)


class Account(NamedTuple):
    """What an asker's rows are charged to.

    Attributes:
        subjects: Where they are kept.
        rows: Budgets of rows that count them, those of the client first.
        tokens: Budgets of tokens, likewise.
    """

    subjects: tuple[str, ...]
    rows: tuple[Counted, ...]
    tokens: tuple[Counted, ...]

    @property
    def budgets(self) -> tuple[Counted, ...]:
        """All of them, in the order of a charge's lines."""
        return (*self.rows, *self.tokens)


@dataclass(frozen=True)
class Rules:
    """The budgets of one policy.

    Attributes:
        zone: Whose midnight begins a day.
        block: The most rows of a lease.
        bucket: Milliseconds of a bucket.
        budgets: All but those of classes and of people.
        classes: Those of each predicted class.
        people: Those of each person enrolled.
        groups: For each client, those it belongs to.
    """

    zone: ZoneInfo
    block: int
    bucket: int
    budgets: Sequence[BudgetSection]
    classes: Sequence[BudgetSection]
    people: Sequence[BudgetSection]
    groups: Mapping[str, tuple[str, ...]]
    _accounts: dict[Asker, Account] = field(default_factory=dict)

    def account(self, asker: Asker) -> Account:
        """Returns what an asker's rows are charged to."""
        found = self._accounts.get(asker)
        if found is None:
            found = self._accounts[asker] = self._made(asker)
        return found

    def _made(self, asker: Asker) -> Account:
        groups = self.groups[asker.client]
        per: dict[str, list[tuple[str, str]]] = {
            "client": [(asker.client, client_subject(asker.client))],
            "group": [(one, group_subject(one)) for one in groups],
            "model": [("", MODEL)],
        }
        counted = [
            Counted(subject + place, budget)
            for kind, holders in per.items()
            for budget in self.budgets
            if budget.per == kind and _concerns(budget, asker.client, groups)
            for holder, subject in holders
            if kind != "group" or budget.groups is None or holder in budget.groups
            for place in _places(budget, asker)
        ]
        subjects = [base + end for each in per.values() for _, base in each for end in asker.places]
        return Account(
            tuple(subjects),
            tuple(one for one in counted if one.budget.unit == "rows"),
            tuple(
                Counted(TOKENS + one.subject, one.budget)
                for one in counted
                if one.budget.unit == "tokens"
            ),
        )

    def charge(
        self, asker: Asker, rows: int, returns: tuple[Entry, ...], moment: int, tokens: int = 0
    ) -> Charge:
        """Returns what rows of a client are charged to, and which sums must fit.

        Args:
            asker: Whose.
            rows: How many.
            returns: What is taken back first.
            moment: The moment of the charge.
            tokens: Charged besides; 0 where nobody counts them.
        """
        until = bucket_end(moment, self.bucket)
        account = self.account(asker)
        entries = [Entry(one, until, rows) for one in account.subjects]
        if tokens:
            entries += [Entry(TOKENS + one, until, tokens) for one in account.subjects]
        lines = account.budgets if tokens else account.rows
        return Charge(tuple(entries), tuple(one.line(moment, self.zone) for one in lines), returns)

    def counted_classes(self, asker: Asker, rows: Mapping[int, int]) -> list[tuple[Counted, int]]:
        """Returns the budgets of predicted classes, each with the rows that it counts."""
        return [
            (Counted(class_subject(one, asker.model), budget), count)
            for one, count in rows.items()
            for budget in self.classes
            if budget.models is None or asker.model in budget.models
        ]

    def charge_classes(self, asker: Asker, rows: Mapping[int, int], moment: int) -> Charge:
        """Returns the same for rows that were predicted to be of some classes."""
        until = bucket_end(moment, self.bucket)
        return Charge(
            tuple(
                Entry(class_subject(one, asker.model), until, count) for one, count in rows.items()
            ),
            tuple(one.line(moment, self.zone) for one, _ in self.counted_classes(asker, rows)),
        )

    def counted_person(self, asker: Asker, person: str) -> list[Counted]:
        """Returns the budgets of people that count a request about one of them."""
        return [
            Counted(person_subject(person) + place, budget)
            for budget in self.people
            for place in _places(budget, asker)
        ]

    def charge_person(self, asker: Asker, person: str, rows: int, moment: int) -> Charge:
        """Returns what rows about a person are charged to, and which sums must fit."""
        until, counted = bucket_end(moment, self.bucket), self.counted_person(asker, person)
        subjects = dict.fromkeys(one.subject for one in counted)
        return Charge(
            tuple(Entry(one, until, rows) for one in subjects),
            tuple(one.line(moment, self.zone) for one in counted),
        )

    def ahead(self, asker: Asker, rows: int, used: int) -> int:
        """Returns how many rows to lease beyond those asked for: a share of what is used."""
        if self.bucket < 1000:
            return 0
        limits = [one.budget.limit // LEASED_SHARE for one in self.account(asker).rows]
        return max(0, min(self.block - rows, 2 * used, *limits))

    def allowances(self, asker: Asker, receipt: Receipt) -> tuple[Allowance, ...]:
        """Returns a client's budgets after a charge."""
        return tuple(
            _allowance(
                one.budget,
                receipt.opened_at(position) - spent,
                math.ceil(one.budget.span.left(receipt.time, self.zone) / 1000),
            )
            for position, (one, spent) in enumerate(
                zip(self.account(asker).budgets, receipt.spent, strict=False)
            )
            if one.budget.per == "client"
        )


def rules_of(policy: Policy) -> Rules:
    """Returns the budgets of a policy."""
    return Rules(
        policy.zone,
        policy.store.block,
        bucket_length(one.span for one in policy.budget),
        [one for one in policy.budget if one.per not in ("class", "person")],
        [one for one in policy.budget if one.per == "class"],
        [one for one in policy.budget if one.per == "person"],
        {client.name: tuple(dict.fromkeys(client.groups)) for client in policy.client},
    )


def fits_again(
    store: Store, zone: ZoneInfo, counted: Counted, rows: int, moment: int
) -> int | None:
    """Returns when rows fit into a budget, if ever.

    Args:
        store: Where they are kept.
        zone: Whose midnight begins a day.
        counted: The budget, and whose rows it counts.
        rows: How many.
        moment: Now.
    """
    budget = counted.budget

    def found(subject: str, since: int) -> list[tuple[int, int]]:
        return [(one.until, one.rows) for one in store.buckets(subject, since)]

    opened = [
        one
        for subject in opened_subjects(counted.subject, budget)
        for one in found(subject, moment)
    ]
    spent = found(counted.subject, budget.span.since(moment, zone))
    return budget.span.reset(moment, zone, spent, budget.limit - rows, opened)


def _concerns(budget: BudgetSection, client: str, groups: Sequence[str]) -> bool:
    if budget.clients is not None:
        return client in budget.clients
    return budget.groups is None or not set(budget.groups).isdisjoint(groups)


def _places(budget: BudgetSection, asker: Asker) -> list[str]:
    """Returns what the subjects of a budget end with, for each thing that it counts by itself."""
    if budget.models is not None:
        return [f"/model/{asker.model}"] if asker.model in budget.models else []
    if budget.routes is not None:
        return [f"/route/{one}" for one in asker.routes if one in budget.routes]
    return [""]


def _allowance(budget: BudgetSection, more: int, reset: int) -> Allowance:
    """Returns what is left of a budget to which ``more`` was added."""
    seconds = max(1, round(budget.span.seconds))
    unit = "" if budget.unit == "rows" else ';qu="tokens"'
    policy = f'"{budget.name}";q={budget.limit};w={seconds}{unit}'
    left = max(0, budget.limit + more)
    return Allowance(f'"{budget.name}"'.encode(), policy.encode(), left, reset, not unit)
