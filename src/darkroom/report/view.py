"""What the page shows, worked out before a template sees it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from darkroom.auditing.record import Cell, CurvePoint
from darkroom.auditing.run_record import RunRecord
from darkroom.images.record import ImageCell
from darkroom.report.budget import USUAL, Holding, answer, holdings
from darkroom.report.charts import MOST_SERIES, Chart, Series, curve_chart
from darkroom.report.defenses_view import DefensesView, defenses_view
from darkroom.report.guard_view import GuardView, guard_view
from darkroom.report.images.pictures import read_pictures
from darkroom.report.images.view import ImageView, image_view
from darkroom.report.tables.view import TableView, table_view
from darkroom.report.text.view import TextView, text_view
from darkroom.report.verdict import (
    Judged,
    Verdict,
    decide,
)
from darkroom.report.wording import percent, spread
from darkroom.tables.record import TableCell
from darkroom.text.canaries import load_key
from darkroom.text.record import TextCell


@dataclass(frozen=True)
class CellView:
    """A cell as the page shows it."""

    cell: Cell
    number: int
    name: str
    unsound: tuple[str, ...]
    chart: Chart | None
    image: ImageView | None = None
    table: TableView | None = None
    text: TextView | None = None

    @property
    def anchor(self) -> str:
        """The identifier of its section."""
        return f"cell-{self.number}"


@dataclass(frozen=True)
class BudgetView:
    """How long the usual policies hold the attacks off.

    Attributes:
        answer: In a sentence, for the first policy.
        policies: Those compared, in words.
        rows: For each attack that asks the model: its name, the queries that it needs, and how
            long each policy holds it off.
        chart: Success against days under the first policy.
    """

    answer: str
    policies: tuple[str, ...]
    rows: tuple[tuple[str, str, tuple[str, ...]], ...]
    chart: Chart | None


@dataclass(frozen=True)
class Page:
    """The whole page.

    Attributes:
        record: ``run.json``.
        verdict: What comes first.
        threats: Sentences of the threat model that hold for every cell.
        cells: In the plan's order.
        overview: All cells in one chart, when there are several.
        budget: What limits of queries are worth, when an attack asks the model.
        defenses: Which defence holds at what price, when the run has any.
        guard: What attacks get with and without a guard, when the run has both.
        plan: The plan's text, without credentials.
        digest: SHA-256 of ``results.json``.
    """

    record: RunRecord
    verdict: Verdict
    threats: tuple[str, ...]
    cells: tuple[CellView, ...]
    overview: Chart | None
    budget: BudgetView | None
    defenses: DefensesView | None
    guard: GuardView | None
    plan: str
    digest: str

    @property
    def kinds(self) -> frozenset[str]:
        """What the cells are of."""
        return frozenset(view.cell.kind for view in self.cells)

    @property
    def tables_alone(self) -> bool:
        """Whether all cells are of tables."""
        return self.kinds == {"tables"}

    @property
    def shows_people(self) -> bool:
        """Whether the page holds faces."""
        return any(view.image or (view.table and view.table.rows) for view in self.cells)


def build_page(
    run: Path,
    record: RunRecord,
    judged: Sequence[Judged],
    plan: str,
    digest: str,
    *,
    reveal: bool = False,
) -> Page:
    """Works out the page of a run.

    Args:
        run: The run folder, for the pictures.
        record: ``run.json``.
        judged: Its cells, in order.
        plan: The plan's text, without credentials.
        digest: SHA-256 of ``results.json``.
        reveal: Whether single records of tables, and secrets in the clear, are shown.

    Raises:
        RunError: If pictures are missing or damaged.
    """
    threats = _shared_threats(judged)
    secrets = _secrets(record) if reveal and record.target.key_file else {}
    cells = []
    for number, one in enumerate(judged, 1):
        image = table = text = None
        if isinstance(one.cell, TableCell):
            table = table_view(run, one.cell, threats, number, reveal=reveal)
        elif isinstance(one.cell, TextCell):
            text = text_view(one.cell.details, threats, number, secrets)
        elif isinstance(one.cell, ImageCell):
            path = run / "cells" / one.cell.key / "reconstructions.npz"
            pictures = read_pictures(path, record.target.range or (0.0, 1.0))
            image = image_view(one.cell.details, pictures, threats, len(judged))
        cells.append(_cell_view(one, number, image, table, text))
    return Page(
        record=record,
        verdict=decide(judged, record.limit.advantage if record.limit else None),
        threats=threats,
        cells=tuple(cells),
        overview=_overview(judged),
        budget=_budget([one.cell for one in judged if one.cell.kind != "tables"]),
        defenses=defenses_view([one.cell for one in judged]),
        guard=guard_view([one.cell for one in judged]),
        plan=plan,
        digest=digest,
    )


def _shared_threats(judged: Sequence[Judged]) -> tuple[str, ...]:
    models = [one.cell.details.threat_model for one in judged]
    return tuple(line for line in models[0] if all(line in model for model in models))


def _secrets(record: RunRecord) -> dict[str, str]:
    """Returns the canaries' secrets by their keyed hash, from the key file itself.

    Raises:
        DataError: If it is not where it was, or was changed.
    """
    assert record.target.key_file is not None
    canaries = load_key(Path(record.target.key_file))
    return {canaries.hashed(one.secret): one.secret for one in canaries.canaries}


def _cell_view(
    judged: Judged,
    number: int,
    image: ImageView | None,
    table: TableView | None,
    text: TextView | None,
) -> CellView:
    cell = judged.cell
    name = cell.title
    if table is not None:
        return CellView(cell, number, name, judged.unsound, None, None, table)
    title = (
        f"Success against queries, {name}: {percent(cell.success.estimate)} in the end, interval "
        f"{spread(cell.success)}; {percent(cell.baseline.estimate)} without the model"
    )
    chart = curve_chart(
        (Series("success, 95% interval shaded", cell.curve, shaded=True),),
        baseline=cell.baseline.estimate,
        name=f"chart-{number}",
        title=title,
    )
    return CellView(cell, number, name, judged.unsound, chart, image, text=text)


def _overview(judged: Sequence[Judged]) -> Chart | None:
    judged = [one for one in judged if one.cell.kind != "tables"]  # they ask but once
    if len(judged) < 2:
        return None
    strongest = sorted(judged, key=lambda one: -one.cell.advantage.low)[:MOST_SERIES]
    lines = tuple(Series(one.cell.title, one.cell.curve) for one in judged if one in strongest)
    baselines = {one.cell.baseline.estimate for one in strongest}
    return curve_chart(
        lines,
        baseline=max(baselines),
        baseline_label=f"without the model ({'highest ' if len(baselines) > 1 else ''}baseline)",
        name="chart-all",
        title=f"Success against queries of {len(lines)} cells; their figures are in the table",
    )


def _budget(cells: Sequence[Cell]) -> BudgetView | None:
    held = [holdings(cells, policy) for policy in USUAL]
    if not held[0]:
        return None
    first, days = USUAL[0], held[0]
    rows = [
        (columns[0].cell.title, columns[0].queries, tuple(one.days for one in columns))
        for columns in zip(*held, strict=True)
    ]
    # A chart of many lines shows nothing: those that get farthest stand for the rest.
    farthest = sorted(days, key=lambda one: -one.cell.success.estimate)[:MOST_SERIES]
    lines = tuple(Series(one.cell.title, _in_days(one)) for one in days if one in farthest)
    chart = curve_chart(
        lines,
        baseline=max(one.cell.baseline.estimate for one in farthest),
        name="chart-budget",
        title=f"Success against days with {first.words}; the table has the figures",
        across=f"days with {first.words} (logarithmic)",
    )
    return BudgetView(answer(days), tuple(policy.words for policy in USUAL), tuple(rows), chart)


def _in_days(held: Holding) -> tuple[CurvePoint, ...]:
    """Returns a curve with whole days in the place of queries; of a day, its last point."""
    rate = held.policy.rate
    latest = {
        -(-point.queries // rate): point
        for point in sorted(held.cell.curve, key=lambda point: point.queries)
    }
    return tuple(point.model_copy(update={"queries": day}) for day, point in latest.items())
