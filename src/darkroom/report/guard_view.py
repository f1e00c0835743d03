"""What the page shows of a guard: each attack's success against queries, with it and without."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from darkroom.auditing.record import Cell, GuardLimit, GuardRecord, Interval
from darkroom.report.budget import Holding, Policy, holdings
from darkroom.report.charts import MOST_SERIES, Chart, Series, curve_chart
from darkroom.report.wording import DASH, count, percent, several


@dataclass(frozen=True)
class GuardRow:
    """One attack, with the guard and without.

    Attributes:
        attack: Its name and prior.
        free: Success without the guard; ``None`` where the run has no such cell.
        free_rows: Rows that it cost.
        held: Success behind the guard.
        rows: Rows that the guard answered and charged.
        refusals: Requests that it refused.
        days: How long its strictest limit holds the attack off, in words.
    """

    attack: str
    free: Interval | None
    free_rows: str
    held: Interval
    rows: str
    refusals: str
    days: str


@dataclass(frozen=True)
class GuardView:
    """The section on a guard.

    Attributes:
        lead: Its first sentence.
        rows: Of the table.
        per_day: The heading of the column of days.
        limits: What the guard told of its limits, in words.
        opened: What it cost to find out about it, in words.
        chart: Both curves of each attack.
    """

    lead: str
    rows: tuple[GuardRow, ...]
    per_day: str
    limits: str
    opened: str
    chart: Chart | None


def guard_view(cells: Sequence[Cell]) -> GuardView | None:
    """Works out the section, or ``None`` for a run without a guard.

    Args:
        cells: Of one run.
    """
    found = [(cell, cell.details.guard) for cell in cells if cell.details.guard is not None]
    if not found:
        return None
    plain = [cell for cell in cells if cell.defense == "none"]
    pairs = [(_same(cell, plain), cell, record) for cell, record in found]
    record = found[0][1]
    return GuardView(
        lead=_lead(pairs),
        rows=tuple(_row(*pair) for pair in pairs),
        per_day=f"Days at {count(record.per_day)} a day" if record.per_day else "Days",
        limits=_limits(record.limits),
        opened=several(record.opened, "row", "rows"),
        chart=_chart([(free, held) for free, held, _ in pairs]),
    )


def _same(cell: Cell, plain: Sequence[Cell]) -> Cell | None:
    """Returns the cell of the same attack without the guard."""
    alike = [one for one in plain if (one.attack, one.prior) == (cell.attack, cell.prior)]
    equal = [one for one in alike if one.access == cell.access]
    return next(iter(equal or alike), None)


def _row(free: Cell | None, held: Cell, record: GuardRecord) -> GuardRow:
    return GuardRow(
        attack=f"{held.attack} with {held.prior}",
        free=None if free is None else free.success,
        free_rows=DASH if free is None else count(free.queries.total),
        held=held.success,
        rows=count(record.rows),
        refusals=count(record.refusals),
        days=_held_off(free, record),
    )


def _held_off(free: Cell | None, record: GuardRecord) -> str:
    if free is None or record.per_day is None:
        return DASH
    read: list[Holding] = holdings([free], Policy(record.per_day))
    return read[0].days if read else DASH


def _lead(pairs: Sequence[tuple[Cell | None, Cell, GuardRecord]]) -> str:
    free, held, record = max(pairs, key=lambda pair: pair[0].success.estimate if pair[0] else -1.0)
    ended = (
        f"was refused after {several(record.rows, 'row', 'rows')}"
        if record.refusals
        else f"was never refused in {several(record.rows, 'row', 'rows')}"
    )
    without = "" if free is None else f"; without the guard, {percent(free.success.estimate)}"
    return (
        f"Behind the guard {held.attack} {ended}, with {percent(held.success.estimate)} "
        f"recovered{without}; without the model, {percent(held.baseline.estimate)}."
    )


def _limits(limits: Sequence[GuardLimit]) -> str:
    told = [
        f"{one.name}: {several(one.rows, 'row', 'rows')} in "
        + ("a day" if one.seconds == 86_400 else several(one.seconds, "second", "seconds"))
        for one in limits
    ]
    return "; ".join(told) or "none"


def _chart(pairs: Sequence[tuple[Cell | None, Cell]]) -> Chart | None:
    cells = [cell for pair in pairs for cell in pair if cell is not None][:MOST_SERIES]
    return curve_chart(
        [Series(cell.title, cell.curve) for cell in cells],
        baseline=max(cell.baseline.estimate for cell in cells),
        name="chart-guard",
        title=f"Success against queries of {len(cells)} cells, with the guard and without",
    )
