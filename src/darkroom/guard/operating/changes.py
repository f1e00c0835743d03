"""Opening budgets on purpose: for a time, for one holder, and never without a line in the log.

A change is kept in the ledger, as rows that raise a limit until they end, so that every worker on
every host heeds it with its next charge. It is written to the audit log before it is made, and
nothing is changed where that fails. What was charged stays charged.
"""

from __future__ import annotations

import datetime
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from darkroom.errors import PlanError
from darkroom.guard.budgets.rules import RESET_ENDS, Counted, opened_subjects, reset_subject
from darkroom.guard.operating.standing import holder_of, opened_now
from darkroom.guard.policy import Policy
from darkroom.guard.stores.base import Charge, Entry, Line, NoLedgerError, Store, StoreError
from darkroom.guard.telemetry.audit_log import append_durably
from darkroom.guard.windows import LONGEST, parse_window

LONGEST_TEXT, MOST_ROWS = 200, 10**12
MOST_PARTS = 256
"""Parts in which rows are forgiven: each is a write while nobody else can charge."""


class _OutrunError(StoreError):
    """Somebody else changed the same meanwhile, so nothing was."""


@dataclass(frozen=True)
class Operator:
    """Who changes something, and why; the log names both.

    Attributes:
        name: Who.
        reason: Why.
    """

    name: str
    reason: str

    def __post_init__(self) -> None:
        """Checks the texts.

        Raises:
            PlanError: If one is empty, too long, or cannot be shown.
        """
        for what, text in (("--by", self.name), ("--reason", self.reason)):
            if not text.strip() or len(text) > LONGEST_TEXT or not text.isprintable():
                raise PlanError(f"{what} should be 1 to {LONGEST_TEXT} signs of text")


@dataclass(frozen=True)
class Change:
    """What was changed.

    Attributes:
        model: The policy's name for the ledger.
        action: ``raise``, ``reset`` or ``take back``.
        budget: Its name.
        holder: Whose.
        part: The model or route that it counts by itself.
        rows: How many rows or tokens were opened, or taken back.
        unit: Which of the two.
        until: When the last of them end, in milliseconds since 1970.
        operator: Who, and why.
    """

    model: str
    action: Literal["raise", "reset", "take back"]
    budget: str
    holder: str
    part: str
    rows: int
    unit: str
    until: int
    operator: Operator

    def line(self, outcome: str) -> dict[str, Any]:
        """Returns it as the audit log has it.

        Args:
            outcome: ``begun`` before it is made; then ``made``, ``failed``, or ``unknown`` where
                the store failed at a moment at which it may have been made.
        """
        return {
            "time": round(time.time(), 3),
            "model": self.model,
            "operator": self.operator.name,
            "action": self.action,
            "budget": self.budget,
            "holder": self.holder,
            "part": self.part,
            "rows": self.rows,
            "unit": self.unit,
            "until": moment_text(self.until),
            "reason": self.operator.reason,
            "outcome": outcome,
        }


def raised(
    policy: Policy,
    store: Store,
    counted: Counted,
    *,
    rows: int,
    until: str | None,
    operator: Operator,
) -> Change:
    """Raises one limit for a time.

    Args:
        policy: Whose log is written to.
        store: Its ledger.
        counted: The budget, and for whom.
        rows: By how many rows or tokens, at least 1.
        until: A span such as ``2h``, or a time such as ``2026-12-01T18:00``, in the policy's zone;
            the window's length when left out, and until midnight for a day.
        operator: Who does it.

    Raises:
        DarkroomError: If it cannot be, or somebody else changed the same meanwhile.
    """
    now = store.now()
    end = _end(until, counted, policy, now)
    subject = opened_subjects(*counted)[0]
    change = _change("raise", policy, counted, rows, end, operator)
    _require_rows(rows)
    entries = [Entry(subject, end, rows)]
    return _made(policy, store, change, entries, _sum(opened_now(store, counted, now)[0]))


def reset(policy: Policy, store: Store, counted: Counted, operator: Operator) -> Change:
    """Forgives what counts now: as if nothing of it had been spent.

    Each part of it is forgiven for as long as it would have counted, and no longer, so that a
    sliding window opens no further later on. What workers have leased counts as spent, and is
    forgiven too; so are tokens of requests on their way, which give nothing back then.

    Args:
        policy: Whose log is written to.
        store: Its ledger.
        counted: The budget, and for whom.
        operator: Who does it.

    Raises:
        DarkroomError: If nothing is spent, or it cannot be.
    """
    if counted.budget.unit == "tokens":  # before anything is looked at: see Budgets._give_back
        mark = reset_subject(*counted)
        store.charge(lambda moment: Charge((Entry(mark, moment + RESET_ENDS, 1),), ()))
    now, span = store.now(), counted.budget.span
    before = opened_now(store, counted, now)[1]
    subject = opened_subjects(*counted)[1]
    leaves: Counter[int] = Counter()
    for one in store.buckets(counted.subject, span.since(now, policy.zone)):
        end = now + span.left(now, policy.zone) if span.length is None else one.until + span.length
        leaves[end] += one.rows
    entries = [Entry(subject, end, rows) for end, rows in forgiving(leaves, before)]
    if not entries:
        raise PlanError(
            f"budget {counted.budget.name} of {holder_of(counted)[0]}: nothing is spent"
        )
    change = _change("reset", policy, counted, _sum(entries), entries[-1].until, operator)
    return _made(policy, store, change, entries, _sum(before))


def forgiving(leaves: Mapping[int, int], before: Sequence[Entry]) -> list[tuple[int, int]]:
    """Returns how many rows more to forgive until when.

    At each moment no more is forgiven than is spent and still counts. Few parts do: where there are
    many, some end a little before the rows that they forgive.

    Args:
        leaves: For each moment at which rows leave the window, how many do.
        before: What is forgiven already.

    >>> forgiving({10: 2, 20: 3}, [])
    [(10, 2), (20, 3)]
    >>> forgiving({10: 2, 20: 3}, [Entry("", 10, 2)])
    [(20, 3)]
    >>> forgiving({10: 2, 20: 3}, [Entry("", 30, 1)])
    [(10, 2), (20, 2)]
    """
    changes = Counter(leaves)
    for one in before:
        changes[one.until] -= one.rows
    open_ = level = max(0, sum(changes.values()))
    parts: list[tuple[int, int]] = []
    for end in sorted(changes):
        open_ -= changes[end]
        if open_ < level:
            parts.append((end, level - max(0, open_)))
            level = max(0, open_)
    parts = [(end, rows) for end, rows in parts if rows]
    size = -(-len(parts) // MOST_PARTS) or 1
    chunks = [parts[at : at + size] for at in range(0, len(parts), size)]
    return [(chunk[0][0], sum(rows for _, rows in chunk)) for chunk in chunks]


def taken_back(policy: Policy, store: Store, counted: Counted, operator: Operator) -> Change:
    """Takes back all raises of one limit that are in force.

    Args:
        policy: Whose log is written to.
        store: Its ledger.
        counted: The budget, and for whom.
        operator: Who does it.

    Raises:
        DarkroomError: If there is none, or it cannot be.
    """
    found = [one for one in opened_now(store, counted, store.now())[0] if one.rows]
    if not found:
        raise PlanError(
            f"budget {counted.budget.name} of {holder_of(counted)[0]}: no raise is left"
        )
    last = max(one.until for one in found)
    change = _change("take back", policy, counted, _sum(found), last, operator)
    return _logged(policy, change, lambda: store.charge(lambda _: Charge((), (), tuple(found))))


def moment_text(moment: int) -> str:
    """Writes a moment in milliseconds since 1970 for people and programs.

    >>> moment_text(0)
    '1970-01-01T00:00:00+00:00'
    """
    return datetime.datetime.fromtimestamp(moment / 1000, datetime.UTC).isoformat()


def _change(
    action: Literal["raise", "reset", "take back"],
    policy: Policy,
    counted: Counted,
    rows: int,
    until: int,
    operator: Operator,
) -> Change:
    budget = counted.budget
    holder, part = holder_of(counted)
    model = policy.guard.model
    return Change(model, action, budget.name, holder, part, rows, budget.unit, until, operator)


def _made(
    policy: Policy, store: Store, change: Change, entries: Sequence[Entry], before: int
) -> Change:
    """Adds rows that open a budget, if nobody has opened it meanwhile."""
    subject = entries[0].subject

    def make(moment: int) -> Charge:
        # Of an entry that ends meanwhile nothing is left to open.
        left = tuple(one for one in entries if one.until > moment)
        return Charge(left, (Line(subject, moment, before + change.rows),))

    def charge() -> None:
        if not store.charge(make).granted:
            raise _OutrunError("somebody else opened this budget meanwhile: look, and try again")

    return _logged(policy, change, charge)


def _logged(policy: Policy, change: Change, make: Callable[[], object]) -> Change:
    """Makes a change between two lines of the audit log."""
    if policy.log is None:
        raise PlanError("a change must be written down: give the policy a [log] with a path")
    append_durably(policy.log.path, change.line("begun"))
    try:
        make()
    except (_OutrunError, NoLedgerError):
        append_durably(policy.log.path, change.line("failed"))
        raise
    except StoreError as error:  # a store may do what it is told, and go before it says so
        append_durably(policy.log.path, change.line("unknown"))
        raise StoreError(
            f"{error}; it may have been made all the same: look with darkroom guard show"
        ) from error
    except BaseException:
        append_durably(policy.log.path, change.line("unknown"))
        raise
    append_durably(policy.log.path, change.line("made"))
    return change


def _end(until: str | None, counted: Counted, policy: Policy, now: int) -> int:
    """Returns when a raise ends."""
    if until is None:
        return now + counted.budget.span.left(now, policy.zone)
    try:
        length = parse_window(until).length
    except ValueError:
        length = None
    if length is not None:
        return now + length
    try:
        told = datetime.datetime.fromisoformat(until)
    except ValueError:
        raise PlanError(
            f"--until {until!r} is neither a span such as '2h' nor a time such as "
            "'2026-12-01T18:00'"
        ) from None
    end = int((told if told.tzinfo else told.replace(tzinfo=policy.zone)).timestamp() * 1000)
    if not now < end <= now + LONGEST:
        raise PlanError(f"--until {until} should lie ahead, by 31 days at most")
    return end


def _require_rows(rows: int) -> None:
    if not 1 <= rows <= MOST_ROWS:
        raise PlanError(f"--rows should be 1 to {MOST_ROWS}")


def _sum(entries: Sequence[Entry]) -> int:
    return sum(one.rows for one in entries)
