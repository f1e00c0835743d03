"""``darkroom guard clients``, ``show``, ``raise``, ``reset`` and ``replay``: for its operators."""

from __future__ import annotations

import getpass
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from darkroom.commands.guard_options import a_path, json_option, policy_option
from darkroom.errors import PlanError

if TYPE_CHECKING:
    from darkroom.guard.budgets.rules import Counted
    from darkroom.guard.operating.changes import Change, Operator
    from darkroom.guard.operating.replay import Replay
    from darkroom.guard.operating.standing import Standing
    from darkroom.guard.policy import Policy
    from darkroom.guard.stores.base import Store

LATEST = 10
"""Changes that are shown."""

who_argument = click.argument("who", required=False, metavar="[WHO]")
part_option = click.option(
    "--of", "part", metavar="NAME", help="Where a budget counts several models or routes, which."
)
by_option = click.option(
    "--by", metavar="NAME", help="Who does it, for the audit log; your name on this machine."
)
reason_option = click.option("--reason", required=True, help="Why, for the audit log.")


@click.command(epilog="Example: darkroom guard clients --policy guard.toml")
@policy_option
@json_option
def clients(policy: Path, as_json: bool) -> None:
    """List clients, groups and what each has spent and has left, from the live ledger."""
    from darkroom.guard.operating.standing import ledger_of, standings
    from darkroom.guard.policy import read_policy

    read = read_policy(policy)
    with ledger_of(read) as store:
        found = standings(read, store)
    if as_json:
        click.echo(json.dumps([one.record() for one in found]))
        return
    click.echo(_standings_text(found))
    held = {one.holder for one in found}
    free = [one.name for one in read.client if one.name not in held]
    if free:
        click.echo(f"\nno budget of their own: {', '.join(free)}")


@click.command(epilog="Example: darkroom guard show alice --policy guard.toml")
@who_argument
@policy_option
@json_option
def show(who: str | None, policy: Path, as_json: bool) -> None:
    """Show the ledger, or one holder of budgets: keys, budgets, and what operators changed.

    WHO is a client's name, group:NAME, class:NUMBER, or all for what everybody shares.
    """
    from darkroom.guard.operating.showing import shown
    from darkroom.guard.policy import read_policy

    made = shown(read_policy(policy), who)
    if as_json:
        click.echo(json.dumps(made.record()))
        return
    for line in made.facts:
        click.echo(line)
    if made.standings:
        click.echo("\n" + _standings_text(made.standings))
    for one in made.changes[-LATEST:]:
        click.echo(f"changed  {one}")


@click.command(
    "raise",
    epilog="Example: darkroom guard raise daily alice --rows 50 --until 2h --reason 'a demo'",
)
@click.argument("budget")
@who_argument
@click.option("--rows", type=int, help="How many rows, or tokens, more.")
@click.option(
    "--until",
    help="A span such as 2h, or a time such as 2026-12-01T18:00; the window's length if left out.",
)
@click.option("--take-back", is_flag=True, help="End the raises there are instead.")
@part_option
@by_option
@reason_option
@policy_option
@json_option
def raise_(
    budget: str,
    who: str | None,
    rows: int | None,
    until: str | None,
    take_back: bool,
    part: str | None,
    by: str | None,
    reason: str,
    policy: Path,
    as_json: bool,
) -> None:
    """Raise one limit of WHO for a time, in all workers, from their next charge on.

    WHO is a client's name, group:NAME, or class:NUMBER; all, or left out, for what everybody
    shares. The policy stays as it is. The change is written to the audit log before it is made.
    """
    from darkroom.errors import PlanError
    from darkroom.guard.operating.changes import raised, taken_back

    if take_back == (rows is not None):
        raise PlanError("give --rows, or --take-back")
    with _meant(policy, budget, who, part, by, reason) as (read, store, counted, operator):
        if rows is None:
            made = taken_back(read, store, counted, operator)
        else:
            made = raised(read, store, counted, rows=rows, until=until, operator=operator)
    _tell(made, as_json)


@click.command(epilog="Example: darkroom guard reset daily alice --reason 'their test ran wild'")
@click.argument("budget")
@who_argument
@part_option
@by_option
@reason_option
@policy_option
@json_option
def reset(
    budget: str,
    who: str | None,
    part: str | None,
    by: str | None,
    reason: str,
    policy: Path,
    as_json: bool,
) -> None:
    """Forgive what WHO has spent of one budget: its window begins anew, in all workers.

    WHO is as for raise. Nothing is taken out of the ledger. The change is written to the audit log
    before it is made.
    """
    from darkroom.guard.operating.changes import reset as forgive

    with _meant(policy, budget, who, part, by, reason) as (read, store, counted, operator):
        made = forgive(read, store, counted, operator)
    _tell(made, as_json)


@click.command(epilog="Example: darkroom guard replay audit.log --policy stricter.toml")
@click.argument("logs", nargs=-1, required=True, type=a_path, metavar="LOG...")
@policy_option
@json_option
def replay(logs: Sequence[Path], policy: Path, as_json: bool) -> None:
    """Say what a policy would have done to the traffic of audit logs; - is standard input.

    Nothing is charged, and no ledger is needed. What a log cannot tell is said in words.
    """
    from darkroom.guard.detector.detector import Detector
    from darkroom.guard.operating.log_lines import read_log
    from darkroom.guard.operating.replay import replay as replayed
    from darkroom.guard.policy import read_policy

    read = read_policy(policy)
    detector = None if read.detector is None else Detector.load(read.detector.path)
    made = replayed(read, read_log(logs, read.guard.model), detector)
    click.echo(json.dumps(made.record()) if as_json else _replay_text(made))


OPERATING = (clients, show, raise_, reset, replay)


@contextmanager
def _meant(
    policy: Path, budget: str, who: str | None, part: str | None, by: str | None, reason: str
) -> Iterator[tuple[Policy, Store, Counted, Operator]]:
    """Opens the ledger, and finds the budget that an operator means."""
    from darkroom.guard.operating.changes import Operator
    from darkroom.guard.operating.standing import every_counted, ledger_of, one_counted
    from darkroom.guard.policy import read_policy

    operator = Operator(by if by is not None else _own_name(), reason)
    read = read_policy(policy)
    with ledger_of(read) as store:
        yield read, store, one_counted(every_counted(read, store), budget, who, part), operator


def _own_name() -> str:
    """Returns the name of whoever runs this, as the machine has it.

    Raises:
        PlanError: If it has none, as in a container whose user has no name.
    """
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):  # by version of Python and system
        raise PlanError("this machine has no name for you: give yours as --by NAME") from None


def _tell(change: Change, as_json: bool) -> None:
    line = change.line("made")
    if as_json:
        click.echo(json.dumps(line))
        return
    of = f" ({change.part})" if change.part else ""
    click.echo(
        f"{change.action}: {change.rows} {change.unit} of budget {change.budget} for "
        f"{change.holder}{of}, until {line['until']}; written to the audit log"
    )


def _standings_text(found: Sequence[Standing]) -> str:
    head = ("holder", "budget", "counts", "spent", "limit", "opened", "left", "empty in")
    return _table(
        head,
        [
            (
                one.holder,
                one.counted.budget.name,
                " ".join(filter(None, (one.counted.budget.unit, one.part))),
                f"{one.spent:,}",
                f"{one.counted.budget.limit:,}",
                f"{one.raised + one.forgiven:,}",
                f"{one.left:,}",
                f"{one.seconds:,} s",
            )
            for one in found
        ],
        texts=3,
    )


def _replay_text(made: Replay) -> str:
    head = ("client", "requests", "rows", "refused then", "refused now", "rows", "by", "first")
    rows = [
        (
            one.client,
            f"{one.requests:,}",
            f"{one.rows:,}",
            f"{one.refused_then:,}",
            f"{one.refused.total():,}",
            f"{one.rows_refused:,}",
            ", ".join(one.refused),
            one.first_text,
        )
        for one in made.clients
    ]
    said = [_table(head, rows, texts=1)] if rows else ["No request in it asked for rows."]
    said += [
        f"{name}: {count} request(s) refused with 401: the policy does not know this client."
        for name, count in made.strangers.most_common()
    ]
    said += [
        f"{one.client}: {one.alarms_then} alarm(s) then, {one.alarmed_then} answer(s) under one; "
        f"now {one.alarms} alarm(s), {one.alarmed} answer(s) under one."
        for one in made.clients
        if one.alarms_then or one.alarms
    ]
    if made.elsewhere:
        said.append(f"{made.elsewhere} request(s) refused with 404: of no [[model]] of the policy.")
    said += ["", "What the log cannot tell:", *(f"- {one}" for one in made.limits)]
    return "\n".join(said)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], *, texts: int) -> str:
    """Writes columns, the first ``texts`` of them to the left and the rest to the right."""
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if column < texts else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in (head, *rows)
    )
