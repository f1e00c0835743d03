"""``darkroom audit`` and what is made of its runs: report, budget, recommendation, demo."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from darkroom.auditing.plan import HIGHEST_SEED
from darkroom.auditing.record import Cell, Check, Interval

if TYPE_CHECKING:
    from darkroom.runs import Run

audits = typer.Typer()

Out = Annotated[Path, typer.Option(help="The folder of all runs.")]
Seed = Annotated[
    int, typer.Option(min=0, max=HIGHEST_SEED, help="The same seed gives the same results.")
]
Json = Annotated[bool, typer.Option("--json", help="Print results.json instead of a table.")]
Cache = Annotated[
    Path | None,
    typer.Option(help="A folder of judges, priors and trained models that runs share."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]


WAIT = 3600.0
"""Seconds for which a second process of the demo waits for the first one's audit to begin."""

STATUS = {"leak": 1, "none shown": 0, "cannot tell": 3}
"""How a command ends that was told to fail on a leak."""


@audits.command(epilog="Example: darkroom audit plan.toml --resume --fail-on-leak")
def audit(
    plan: Annotated[Path, typer.Argument(help="The plan, in TOML; see docs/start/image.md.")],
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a run.")] = False,
    fail_on_leak: Annotated[
        bool,
        typer.Option(
            "--fail-on-leak",
            help="Exit 1 for a leak above the plan's limit, 3 where none can be told.",
        ),
    ] = False,
    workers: Annotated[
        int, typer.Option(min=1, max=1024, help="Processes of this machine that share the cells.")
    ] = 1,
    cache: Cache = None,
    as_json: Json = False,
) -> None:
    """Run every attack of a plan, judge the results, write report.html and results.json."""
    from darkroom.runs import audit_plan

    run = audit_plan(plan, resume=resume, workers=workers, cache=cache)
    _print(run, as_json)
    if fail_on_leak:
        raise typer.Exit(STATUS[run.verdict.outcome])


@audits.command(epilog="Example: darkroom work runs/face-login")
def work(
    run: Annotated[Path, typer.Argument(help="The folder of a run that an audit has begun.")],
    wait: Annotated[float, typer.Option(min=0, help="Seconds to wait for the run to begin.")] = 0.0,
    cache: Cache = None,
    until_closed: Annotated[bool, typer.Option("--until-closed", hidden=True)] = False,
) -> None:
    """Share the cells of a run with the audit that began it, from another shell or machine."""
    from darkroom.runs import work_on

    work_on(run, wait=wait, cache=cache, progress=not until_closed, until_closed=until_closed)


@audits.command(epilog="Example: darkroom check plan.toml")
def check(
    plan: Annotated[Path, typer.Argument(help="The plan, in TOML; see docs/start/image.md.")],
    as_json: AsJson = False,
) -> None:
    """Ask whether model and data are what the plan says, before any attack; exit 3 if not."""
    from darkroom.runs import check_plan

    checks = check_plan(plan)
    if as_json:
        typer.echo(json.dumps([check.model_dump(mode="json") for check in checks], indent=2))
    else:
        plain_console().print(_checks(checks))
    if any(check.outcome == "failed" for check in checks):
        raise typer.Exit(STATUS["cannot tell"])


@audits.command(epilog="Example: darkroom report runs/face-login")
def report(
    run: Annotated[Path, typer.Argument(help="The folder of a run.")],
    reveal: Annotated[
        bool, typer.Option("--reveal", help="Show single records of tables with what was inferred.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Write the report of a finished run anew."""
    from darkroom.runs import open_run

    opened = open_run(run, reveal=reveal)
    _print(opened, as_json)


@audits.command(epilog="Example: darkroom budget runs/face-login --per-day 10 --accounts 1")
def budget(
    run: Annotated[Path, typer.Argument(help="The folder of a run.")],
    per_day: Annotated[int, typer.Option(help="Queries a day for each account.")] = 10,
    accounts: Annotated[int, typer.Option(help="Accounts that the attacker has.")] = 1,
    total: Annotated[
        int | None, typer.Option(help="Queries a day for all accounts together.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Say how long a limit of queries a day holds each attack of a run off."""
    from darkroom.report.budget import Policy, answer, holdings
    from darkroom.report.results import collect

    policy = Policy(per_day, accounts, total)
    held = holdings(collect(run).cells, policy)
    if as_json:
        typer.echo(json.dumps({"rate": policy.rate, "cells": [one.record() for one in held]}))
    elif not held:
        typer.echo("Every attack of this run holds the weights: no limit of queries concerns it.")
    else:
        table = Table(title=f"Until half are recovered, with {policy.words}", title_justify="left")
        for heading in ("attack", "access", "defence", "queries", "time", "first day"):
            table.add_column(heading)
        for one in held:
            cell = one.cell
            day = one.bits_a_day or "\N{EN DASH}"
            table.add_row(cell.attack, cell.access, cell.defense, one.queries, one.days, day)
        plain_console().print(table)
        typer.echo(answer(held))


@audits.command(epilog="Example: darkroom recommend runs/face-login --max-accuracy-loss 0.02")
def recommend(
    run: Annotated[
        Path, typer.Argument(help="The folder of a run with [[defense]] or [[training]] entries.")
    ],
    max_accuracy_loss: Annotated[
        float,
        typer.Option(
            min=0.0,
            max=1.0,
            help="The accuracy that may be lost; for models of numbers and of language, the share "
            "by which the error or the perplexity may grow.",
        ),
    ] = 0.02,
    as_json: AsJson = False,
) -> None:
    """Name the measured defence that leaks least and keeps the model's accuracy."""
    from darkroom.report.defenses import recommend as find
    from darkroom.report.defenses_view import recommendation_rows
    from darkroom.report.results import collect

    found = find(collect(run).cells, max_accuracy_loss)
    if as_json:
        typer.echo(json.dumps(found.record()))
        return
    table = Table(title="Measured defences, the least leak first", title_justify="left")
    headings, *rows = recommendation_rows(found)
    for heading in headings:
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(*row)
    plain_console().print(table)
    typer.echo(found.sentence)
    typer.echo(found.caution)


@audits.command(epilog="Example: darkroom demo --out runs")
def demo(
    out: Out = Path("runs"),
    seed: Seed = 0,
    kind: Annotated[
        list[str] | None,
        typer.Option(
            help="images, tables, text, secrets or verifiers; the first four if left out."
        ),
    ] = None,
    as_json: Json = False,
    until_closed: Annotated[bool, typer.Option("--until-closed", hidden=True)] = False,
    join: Annotated[Path | None, typer.Option(hidden=True)] = None,
) -> None:
    """Reconstruct people from a model of faces, infer an attribute, extract secrets from text."""
    from darkroom.demo.run import run_demo
    from darkroom.runs import end_with_input, work_on

    if until_closed:
        end_with_input()
    runs = run_demo(out, seed=seed, progress=not until_closed, kinds=kind or ())
    if join is not None:
        work_on(join, wait=WAIT, progress=False)
    if as_json:
        typer.echo(json.dumps([run.results for run in runs], indent=2))
        return
    for run in runs:
        _print(run, as_json)
    where = "" if out == Path("runs") else f" --out {out}"
    typer.echo(f"Watch a face emerge, and turn the knobs yourself: darkroom lab{where}")


def plain_console() -> Console:
    """Returns a console that shows names as they are, though they may look like markup."""
    return Console(markup=False, highlight=False, emoji=False)


def _print(run: Run, as_json: bool) -> None:
    """Prints a summary, or the whole document for machines."""
    if as_json:
        typer.echo(json.dumps(run.results, indent=2))
        return
    console = plain_console()
    if run.cells:
        console.print(_table(run.cells))
    verdict = run.verdict
    console.print(f"verdict  {verdict.sentence}")
    if verdict.outcome == "cannot tell":
        for reason in verdict.reasons:
            console.print(f"         {reason}")
    console.print(f"report   {run.report}", soft_wrap=True)
    console.print(f"results  {run.folder / 'results.json'}", soft_wrap=True)


def _checks(checks: Sequence[Check]) -> Table:
    """Lays out what was found of a subject."""
    table = Table(title="Check of the subject", title_justify="left")
    for heading in ("check", "outcome", "what was found"):
        table.add_column(heading, overflow="fold")
    for check in checks:
        cause = f" ({check.cause})" if check.cause else ""
        found = f"{check.found} {check.remedy}".strip()
        table.add_row(Text(check.name), f"{check.outcome}{cause}", Text(found))
    return table


def _table(cells: Sequence[Cell]) -> Table:
    """Lays cells out so that they fit a terminal of 80 columns."""
    from darkroom.report.kind_page import page_of

    table = Table(title="What the attacker recovered, with 95% intervals", title_justify="left")
    table.add_column("attack: what it sees, prior, defence", overflow="fold")
    for heading in ("queries", "success", "without model", "advantage"):
        table.add_column(heading, justify="right")
    for cell in cells:
        defense = "" if cell.defense == "none" else f", {cell.defense}"
        defense += ", not told" if cell.attacker == "naive" else ""
        table.add_row(
            f"{cell.attack}: {cell.access}, {cell.prior}{defense}",
            f"{cell.queries.per_goal_median:.0f}",
            *(_percent(rate) for rate in (cell.success, cell.baseline, cell.advantage)),
        )
        for group in page_of(cell.kind).groups(cell):
            rates = (_percent(group.success), _percent(group.baseline))
            table.add_row(f"  {group.name}", "", *rates, "")
    return table


def _percent(interval: Interval) -> str:
    low, high = 100 * interval.low, 100 * interval.high
    return f"{interval.estimate:.0%} ({low:.0f}-{high:.0f})"
