"""What a guard's clients have spent, and how far that takes them along a measured curve."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from darkroom.auditing.record import Cell
from darkroom.errors import MissingExtraError
from darkroom.guard.budgets.rules import MODEL, class_subject, client_subject, person_subject
from darkroom.guard.policy import Policy, read_policy
from darkroom.guard.stores.base import RETENTION, Entry, Store
from darkroom.guard.stores.registry import open_store
from darkroom.guard.windows import DAY, Window
from darkroom.report.wording import count, several

RECENT = 7
"""Days over which a client's rate is taken."""


class Spender(NamedTuple):
    """One client, class, or the model in all.

    Attributes:
        name: Who.
        today: Rows since midnight in the policy's zone.
        recent: Rows in the last seven days.
        kept: Rows in all that the store still has, which is 32 days.
        days: Days since the first of the recent ones, at least 1 and at most 7.
    """

    name: str
    today: int
    recent: int
    kept: int
    days: float

    @property
    def rate(self) -> float:
        """Rows a day, lately."""
        return self.recent / self.days


class Outlook(NamedTuple):
    """How far the heaviest client is along an attack's curve.

    Attributes:
        client: Who.
        cell: The attack, from an audit.
        matches: Whether it was measured behind the policy's output defences.
        queries: After how many queries a goal the attack had even odds; ``None`` if it never had.
        tried: How many queries a goal it was given.
        days: Days at the client's rate from now on, if all that it ever asked went towards one
            goal; ``None`` if it asks nothing.
    """

    client: str
    cell: Cell
    matches: bool
    queries: int | None
    tried: int
    days: float | None

    @property
    def words(self) -> str:
        """The outlook in a sentence."""
        from darkroom.report.kind_page import nouns_of

        one = nouns_of(self.cell).goal
        attack = f"{self.cell.attack} ({self.cell.access}, defence {self.cell.defense})"
        if self.days is None:
            return f"{self.client} asks nothing lately."
        if self.queries is None:
            begin = f"{attack} had no even odds on a {one} after {count(self.tried)} queries, which"
            return f"{begin} {self.client} has asked in {_days(self.days)} at this rate."
        if self.days <= 0:
            return (
                f"{self.client} has asked as much as {attack} needs for even odds on one {one}: "
                f"{several(self.queries, 'query', 'queries')}."
            )
        return f"{self.client}: at this rate a {one} in {_days(self.days)}, by {attack}."


class Spending(NamedTuple):
    """The whole report.

    Attributes:
        model: Which.
        clients: Heaviest first.
        classes: Heaviest first; empty where classes have no budgets.
        people: Those enrolled whom rows were about, heaviest first; empty where they have none.
        model_rows: All together.
        outlook: For the heaviest client, where a run was given.
    """

    model: str
    clients: Sequence[Spender]
    classes: Sequence[Spender]
    people: Sequence[Spender]
    model_rows: Spender
    outlook: Outlook | None

    def record(self) -> dict[str, object]:
        """Returns it as JSON has it."""

        def spender(one: Spender) -> dict[str, object]:
            return {**one._asdict(), "rate": one.rate}

        outlook = self.outlook and {
            "client": self.outlook.client,
            "cell": self.outlook.cell.key,
            "defended_alike": self.outlook.matches,
            "queries_to_half": self.outlook.queries,
            "queries_tried": self.outlook.tried,
            "days": self.outlook.days,
        }
        return {
            "model": self.model,
            "clients": [spender(one) for one in self.clients],
            "classes": [spender(one) for one in self.classes],
            "people": [spender(one) for one in self.people],
            "all": spender(self.model_rows),
            "outlook": outlook,
        }

    def text(self) -> str:
        """Returns it as a terminal shows it."""
        rows: list[tuple[str, ...]] = [("rows", "today", "7 days", "32 days", "a day")]
        for one in (*self.clients, *self.classes, *self.people, self.model_rows):
            numbers = (one.today, one.recent, one.kept, round(one.rate, 1))
            rows.append((one.name, *(count(number) for number in numbers)))
        widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
        lines = [
            "  ".join(
                cell.rjust(width) if column else cell.ljust(width)
                for column, (cell, width) in enumerate(zip(row, widths, strict=True))
            )
            for row in rows
        ]
        if self.outlook is not None:
            lines += ["", self.outlook.words]
            if not self.outlook.matches:
                lines.append("The run has no cell with this policy's output defences: audit them.")
        return "\n".join(lines)


def spending_report(path: Path, run: Path | None) -> Spending:
    """Reads a policy's store, and a run's curve.

    Args:
        path: The policy.
        run: An audit's folder, or ``None``.

    Raises:
        DarkroomError: If one cannot be read.
        MissingExtraError: If runs cannot be read here, where the guard alone is installed.
    """
    cells = [] if run is None else _cells(run)
    policy = read_policy(path)
    store = open_store(policy)
    store.open()
    try:
        made = _spending(policy, store)
    finally:
        store.close()
    if run is None:
        return made
    return made._replace(outlook=outlook(policy, made.clients, cells))


def _cells(run: Path) -> Sequence[Cell]:
    try:
        from darkroom.report.results import collect
    except ModuleNotFoundError as error:
        raise MissingExtraError(error.name or "scipy", "audit") from error
    return collect(run).cells


def outlook(policy: Policy, clients: Sequence[Spender], cells: Sequence[Cell]) -> Outlook | None:
    """Puts the heaviest client on the curve of the fastest attack that asks the model.

    Attacks measured behind the policy's output defences come first; where there is none, all do.
    """
    from darkroom.report.budget import queries_to

    asking = [one for one in cells if one.access != "weights" and one.curve and not one.guarded]
    defended = {one.name for one in policy.pipelines().values()}
    alike = [cell for cell in asking if cell.defense in defended]
    if not asking or not clients:
        return None
    fastest = min(
        alike or asking,
        key=lambda cell: (queries_to(cell).queries or float("inf"), queries_to(cell).asked),
    )
    reached, heaviest = queries_to(fastest), clients[0]
    goal = reached.asked if reached.queries is None else reached.queries
    days = (goal - heaviest.kept) / heaviest.rate if heaviest.rate else None
    return Outlook(heaviest.name, fastest, bool(alike), reached.queries, reached.asked, days)


def _spending(policy: Policy, store: Store) -> Spending:
    now = store.now()
    subjects = set(store.subjects())

    def spender(name: str, subject: str) -> Spender:
        buckets = store.buckets(subject, now - RETENTION) if subject in subjects else []
        recent = [one for one in buckets if one.until > now - RECENT * DAY]
        midnight = Window(None).since(now, policy.zone)
        today = sum(one.rows for one in buckets if one.until > midnight)
        return Spender(name, today, _rows(recent), _rows(buckets), _observed(recent, now))

    clients = [spender(one.name, client_subject(one.name)) for one in policy.client]

    def apart(start: str) -> list[Spender]:
        """Returns those whose subjects begin alike, heaviest first."""
        found = [
            spender(subject.replace("/", " ", 1), subject)
            for subject in sorted(subjects)
            if subject.startswith(start)
        ]
        return sorted(found, key=lambda one: -one.kept)

    return Spending(
        policy.guard.model,
        sorted(clients, key=lambda one: -one.kept),
        apart(class_subject(0).removesuffix("0")),
        apart(person_subject("")),
        spender("all", MODEL),
        None,
    )


def _rows(entries: Sequence[Entry]) -> int:
    return sum(one.rows for one in entries)


def _observed(recent: Sequence[Entry], now: int) -> float:
    first = min((one.until for one in recent if one.rows), default=now)
    return min(float(RECENT), max(1.0, (now - first) / DAY))


def _days(days: float) -> str:
    return several(max(1, round(days)), "day", "days")
