"""What an operator is shown of a ledger, or of one who holds budgets."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import NamedTuple

from darkroom.guard.operating.changes import moment_text
from darkroom.guard.operating.log_lines import LoggedChange, read_changes
from darkroom.guard.operating.standing import (
    Standing,
    known_holder,
    ledger_of,
    opened_now,
    standings,
)
from darkroom.guard.policy import Policy
from darkroom.guard.sections import ClientSection, KeySection
from darkroom.guard.stores.base import Store

SHORT = 15
"""Signs of a key's hash that tell it from others."""


class Shown(NamedTuple):
    """What is shown.

    Attributes:
        facts: In lines: of the ledger, or of a client's keys and groups, and raises in force.
        standings: Of the budgets concerned.
        changes: What operators did about them, the oldest first, from the policy's log.
    """

    facts: Sequence[str]
    standings: Sequence[Standing]
    changes: Sequence[str]

    def record(self) -> dict[str, object]:
        """Returns it as JSON has it."""
        return {
            "facts": list(self.facts),
            "budgets": [one.record() for one in self.standings],
            "changes": list(self.changes),
        }


def shown(policy: Policy, who: str | None) -> Shown:
    """Returns what is known of a holder of budgets; of the whole ledger where none is named.

    Args:
        policy: Whose ledger.
        who: As :func:`.holder_of` names holders.

    Raises:
        DarkroomError: If the ledger or the log cannot be read, or nobody is called so.
    """
    if who is not None:
        known_holder(policy, who)
    with ledger_of(policy) as store:
        found = [one for one in standings(policy, store) if who in (None, one.holder)]
        facts = _of_ledger(store) if who is None else _of_holder(policy, who)
        facts += _of_raises(store, found)
    changes = [_change(one) for one in _changes(policy) if who in (None, one.holder)]
    return Shown(facts, found if who is not None else [], changes)


def _of_ledger(store: Store) -> list[str]:
    ledger = store.ledger()
    assert ledger is not None
    return [
        f"ledger   {store.title}, model {store.model}",
        f"identity {ledger.identity[:8]}",
        f"charges  {ledger.turn}, the last at {moment_text(ledger.mark)}",
        f"holds    {len(store.subjects())} sums of rows, tokens and raises",
    ]


def _of_holder(policy: Policy, who: str) -> list[str]:
    client = next((one for one in policy.client if one.name == who), None)
    if client is not None:
        return _of_client(client)
    kind, _, name = who.partition(":")
    if kind != "group":
        return []
    members = [one.name for one in policy.client if name in one.groups]
    return [f"clients  {', '.join(members)}"]


def _of_client(client: ClientSection) -> list[str]:
    said = [f"groups   {', '.join(client.groups)}"] if client.groups else []
    said += [f"key      {_key(one)}" for one in client.every_key]
    said += [f"subject  {client.subject}"] if client.subject is not None else []
    return said + ([f"user     {client.user}"] if client.user is not None else [])


def _key(key: KeySection) -> str:
    times = [
        f"{word} {moment.isoformat()}"
        for word, moment in (("since", key.since), ("until", key.until))
        if moment is not None
    ]
    counts = "counts now" if key.counts_at(time.time()) else "does not count now"
    return ", ".join([f"{key.hash[:SHORT]}…", *times, counts])


def _of_raises(store: Store, found: Sequence[Standing]) -> list[str]:
    now = store.now()
    return [
        f"raised   {one.counted.budget.name} of {one.holder} by {entry.rows} until "
        f"{moment_text(entry.until)}"
        for one in found
        if one.raised
        for entry in opened_now(store, one.counted, now)[0]
        if entry.rows
    ]


def _changes(policy: Policy) -> Sequence[LoggedChange]:
    if policy.log is None or not policy.log.path.exists():
        return []
    return read_changes(policy.log.path, policy.guard.model)


def _change(one: LoggedChange) -> str:
    of = f" ({one.part})" if one.part else ""
    return (
        f"{moment_text(int(one.time * 1000))[:19]} {one.action} {one.budget} of {one.holder}{of}: "
        f"{one.rows} {one.unit} until {one.until.isoformat()[:16]}, by {one.operator}, "
        f"{one.outcome}: {one.reason}"
    )
