"""What ran, what is running, how far it is, and what each cell took."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from darkroom.auditing.blocks import makers
from darkroom.auditing.claims import Claims, Holder
from darkroom.auditing.record import Amount, Count, Key, Record, Words
from darkroom.auditing.store import Store
from darkroom.errors import RunError
from darkroom.files import MARK, is_leased
from darkroom.report.results import collect, read_cell, read_run

State = Literal["done", "running", "stopped", "no verdict", "damaged"]


class CellState(Record):
    """How far one cell is.

    Attributes:
        key: The cell's.
        title: What a page calls it; empty before it is done.
        state: ``done``, ``running`` or ``waiting``.
        seconds: How long the attack took.
        holder: Who works on it.
        helpers: Who else makes blocks of it.
    """

    key: Key
    title: str = ""
    state: Literal["done", "running", "waiting"]
    seconds: Amount | None = None
    holder: Holder | None = None
    helpers: tuple[Holder, ...] = ()


class RunState(Record):
    """How far a run is.

    Attributes:
        folder: Where it is.
        name: The run's.
        state: ``done``; ``running`` where a process works on it; ``stopped`` where cells are
            missing and nobody does; ``no verdict`` where the check of the subject failed;
            ``damaged`` where a file cannot be read.
        damage: Which file that is, and what is wrong with it.
        started: When it was begun, or gone on with; when ``run.json`` was written if it is damaged.
        done: How many cells are done.
        outcome: What it comes to, if it is done.
        seconds: How long the attacks that are done took together.
        rows: Rows that a server was sent, those of attacks that were ended among them; ``None``
            where no server is asked.
        cells: Each of them, in the plan's order.
    """

    folder: Words
    name: Words
    state: State
    damage: str | None = None
    started: datetime
    done: Count
    outcome: str | None
    seconds: Amount
    rows: Count | None
    cells: tuple[CellState, ...]


def runs_in(folder: Path) -> list[RunState]:
    """Returns the runs in a folder, or the one that it is, the latest first.

    Raises:
        RunError: If there is none, or a file of the one that it is is damaged.
    """
    if (folder / "run.json").exists():
        return [state_of(folder)]
    found = [_listed(file.parent) for file in sorted(folder.glob("*/run.json"))]
    if not found:
        raise RunError(f"{folder}: no run there: give the folder of a run, or of all runs")
    return sorted(found, key=lambda one: one.started, reverse=True)


def _listed(run: Path) -> RunState:
    """Returns how far a run is, or that it is damaged."""
    try:
        return state_of(run)
    except RunError as error:
        written = (run / "run.json").stat().st_mtime
        return RunState(
            folder=str(run),
            name=run.name,
            state="damaged",
            damage=str(error),
            started=datetime.fromtimestamp(int(written), UTC),
            done=0,
            outcome=None,
            seconds=0.0,
            rows=None,
            cells=(),
        )


def state_of(run: Path) -> RunState:
    """Returns how far a run is.

    Raises:
        RunError: If a file of it is damaged.
    """
    record, store = read_run(run), Store(run)
    claims = Claims(store)
    holders = claims.holders()
    cells = [_cell(store, key, holders.get(key)) for key in record.cells]
    done = sum(cell.state == "done" for cell in cells)
    return RunState(
        folder=str(run),
        name=record.run.name,
        state=_state(run, cells),
        started=record.started,
        done=done,
        outcome=collect(run).verdict.outcome if done == len(cells) else None,
        seconds=sum(cell.seconds or 0.0 for cell in cells),
        rows=claims.rows_asked(),
        cells=tuple(cells),
    )


def _state(run: Path, cells: Sequence[CellState]) -> State:
    if not cells:
        return "no verdict"
    if is_leased(run / MARK) or any(cell.state == "running" for cell in cells):
        return "running"
    return "done" if all(cell.state == "done" for cell in cells) else "stopped"


def _cell(store: Store, key: str, holder: Holder | None) -> CellState:
    if store.has_cell(key):
        cell = read_cell(store.folder, key)
        return CellState(key=key, title=cell.title, state="done", seconds=cell.seconds)
    helpers = tuple(one for one in makers(store.folder, key) if not _is_one(one, holder))
    state: Literal["running", "waiting"] = "running" if holder or helpers else "waiting"
    return CellState(key=key, state=state, holder=holder, helpers=helpers)


def _is_one(first: Holder, other: Holder | None) -> bool:
    """Tells whether two are the same process."""
    return other is not None and (first.host, first.process) == (other.host, other.process)
