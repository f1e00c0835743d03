"""What a policy's budgets say: what rows are charged to, and which sums must fit."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple
from zoneinfo import ZoneInfo

from darkroom.guard.policy import Policy
from darkroom.guard.sections import BudgetSection
from darkroom.guard.stores.base import Charge, Entry, Line, Receipt
from darkroom.guard.windows import bucket_end, bucket_length

MODEL = "model"
LEASED_SHARE = 64
"""A lease is at most this part of each limit, so that small budgets are never tied up in one."""


def client_subject(name: str) -> str:
    """Returns under which subject a client's rows are kept."""
    return f"client/{name}"


def class_subject(position: int) -> str:
    """Returns under which subject the rows are kept that were predicted to be of a class."""
    return f"class/{position}"


class Allowance(NamedTuple):
    """What a client may still ask within one budget.

    Attributes:
        name: The budget's, quoted.
        policy: Its rows and its window in seconds, as ``RateLimit-Policy`` has them.
        left: Rows.
        reset: Seconds until the window begins anew (a day), or is long enough past.
    """

    name: bytes
    policy: bytes
    left: int
    reset: int


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
    """

    granted: bool
    allowances: tuple[Allowance, ...] = ()
    budget: str | None = None
    retry: int | None = None
    never: bool = False
    leased: int = 0
    passed: int = 0


@dataclass(frozen=True)
class Rules:
    """The budgets of one policy.

    Attributes:
        zone: Whose midnight begins a day.
        block: The most rows of a lease.
        bucket: Milliseconds of a bucket.
        clients: The budgets of each client.
        model: Those of the model in all.
        classes: Those of each predicted class.
    """

    zone: ZoneInfo
    block: int
    bucket: int
    clients: Mapping[str, Sequence[BudgetSection]]
    model: Sequence[BudgetSection]
    classes: Sequence[BudgetSection]

    def charge(self, client: str, rows: int, returns: tuple[Entry, ...], moment: int) -> Charge:
        """Returns what rows of a client are charged to, and which sums must fit."""
        until = bucket_end(moment, self.bucket)
        places = (client_subject(client), MODEL)
        return Charge(
            tuple(Entry(place, until, rows) for place in places),
            tuple(
                Line(place, one.span.since(moment, self.zone), one.rows)
                for place, budgets in zip(places, (self.clients[client], self.model), strict=True)
                for one in budgets
            ),
            returns,
        )

    def charge_classes(self, rows: Mapping[int, int], moment: int) -> Charge:
        """Returns the same for rows that were predicted to be of some classes."""
        until = bucket_end(moment, self.bucket)
        return Charge(
            tuple(Entry(class_subject(one), until, count) for one, count in rows.items()),
            tuple(
                Line(class_subject(one), budget.span.since(moment, self.zone), budget.rows)
                for one in rows
                for budget in self.classes
            ),
        )

    def ahead(self, client: str, rows: int, used: int) -> int:
        """Returns how many rows to lease beyond those asked for: a share of what is used."""
        if self.bucket < 1000:
            return 0
        limits = [one.rows // LEASED_SHARE for one in (*self.clients[client], *self.model)]
        return max(0, min(self.block - rows, 2 * used, *limits))

    def allowances(self, client: str, receipt: Receipt) -> tuple[Allowance, ...]:
        """Returns a client's budgets after a charge."""
        return tuple(
            Allowance(
                f'"{one.name}"'.encode(),
                f'"{one.name}";q={one.rows};w={max(1, round(one.span.seconds))}'.encode(),
                max(0, one.rows - spent),
                math.ceil(one.span.left(receipt.time, self.zone) / 1000),
            )
            # The client's lines are the first of a charge.
            for one, spent in zip(self.clients[client], receipt.spent, strict=False)
        )


def rules_of(policy: Policy) -> Rules:
    """Returns the budgets of a policy."""
    return Rules(
        policy.zone,
        policy.store.block,
        bucket_length(one.span for one in policy.budget),
        {
            client.name: [
                one
                for one in policy.budget
                if one.per == "client" and (one.clients is None or client.name in one.clients)
            ]
            for client in policy.client
        },
        [one for one in policy.budget if one.per == "model"],
        [one for one in policy.budget if one.per == "class"],
    )
