"""``darkroom runs`` and ``darkroom compare``: several runs together."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.text import Text

from darkroom.commands.audits import plain_console

if TYPE_CHECKING:
    from darkroom.report.runs.comparison import Comparison
    from darkroom.report.runs.history import CellState, RunState

history = typer.Typer()

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]


@history.command(epilog="Example: darkroom runs runs/face-login")
def runs(
    folder: Annotated[
        Path, typer.Argument(help="The folder of all runs, or of one to see its cells.")
    ] = Path("runs"),
    as_json: AsJson = False,
) -> None:
    """Say what ran, what is running and by whom, how far it is, and what each cell took."""
    from darkroom.report.runs.history import runs_in

    found = runs_in(folder)
    if as_json:
        typer.echo(json.dumps([one.model_dump(mode="json") for one in found], indent=2))
        return
    console = plain_console()
    console.print(_runs(found))
    if len(found) == 1:
        console.print(_cells(found[0].cells))


@history.command(epilog="Example: darkroom compare runs/before runs/after")
def compare(
    before: Annotated[Path, typer.Argument(help="The folder of the first run.")],
    after: Annotated[Path, typer.Argument(help="The folder of the second, where the page goes.")],
    as_json: AsJson = False,
) -> None:
    """Compare two runs attack by attack, with intervals of what changed, as page and JSON."""
    from darkroom.report.runs.comparison import write_comparison

    found, page = write_comparison(before, after)
    if as_json:
        typer.echo(found.model_dump_json(indent=2))
        return
    console = plain_console()
    console.print(_changes(found))
    typer.echo(found.sentence)
    typer.echo(f"Verdict before: {found.outcomes[0]}. Verdict after: {found.outcomes[1]}.")
    console.print(f"page  {page}", soft_wrap=True)


def _runs(found: Sequence[RunState]) -> Table:
    from darkroom.report.wording import count, duration, moment

    asks = any(one.rows is not None for one in found)
    table = Table(title="Runs, the latest first", title_justify="left")
    for heading in ("run", "state", "cells done", "started", "attacks took"):
        table.add_column(heading, overflow="fold")
    if asks:
        table.add_column("rows sent", justify="right")
    for one in found:
        said = one.outcome or one.damage
        state = Text(one.state if said is None else f"{one.state}: {said}")
        done = f"{one.done} of {len(one.cells)}"
        rows = "" if one.rows is None else count(one.rows)
        row = (Text(one.folder), state, done, moment(one.started), duration(one.seconds))
        table.add_row(*row, *([rows] if asks else []))
    return table


def _cells(cells: Sequence[CellState]) -> Table:
    from darkroom.report.wording import duration, moment

    table = Table(title="Cells, in the plan's order", title_justify="left")
    for heading in ("cell", "state", "took"):
        table.add_column(heading, overflow="fold")
    for cell in cells:
        state: str = cell.state
        if (who := cell.holder) is not None:
            state += f" on {who.host}, process {who.process}, since {moment(who.since)}"
        state += "".join(f"; a block on {one.host}, process {one.process}" for one in cell.helpers)
        took = "" if cell.seconds is None else duration(cell.seconds)
        table.add_row(Text(cell.title or cell.key), state, took)
    return table


def _changes(found: Comparison) -> Table:
    from darkroom.report.wording import amount, between, percent

    table = Table(title=f"{found.after} after {found.before}", title_justify="left")
    for heading in ("attack", "success", "change of the advantage", "bits", "shown"):
        table.add_column(heading, overflow="fold")
    for cell in found.cells:
        rates = [percent(one.estimate) for one in (cell.success.before, cell.success.after)]
        bits = "" if cell.bits is None else amount(cell.bits.difference.estimate)
        change = between(cell.advantage.difference)
        table.add_row(
            cell.title, " \N{RIGHTWARDS ARROW} ".join(rates), change, bits, cell.direction
        )
    return table
