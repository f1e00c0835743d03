"""What the page shows, worked out before a template sees it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from darkroom.auditing.record import Cell, CurvePoint
from darkroom.auditing.run_record import RunRecord
from darkroom.report.budget import USUAL, Holding, answer, holdings
from darkroom.report.charts import MOST_SERIES, Chart, Series, bits_chart, curve_chart
from darkroom.report.defenses import Measure, measure_of
from darkroom.report.defenses_view import DefensesView, defenses_view
from darkroom.report.guard_view import GuardView, guard_view
from darkroom.report.kind_page import KindPage, Part, Place, findings_of, page_of
from darkroom.report.verdict.decision import Verdict, decide
from darkroom.report.wording import amount, percent, spread


@dataclass(frozen=True)
class CellView:
    """A cell as the page shows it.

    Attributes:
        cell: The cell.
        number: Its place on the page, from 1.
        unsound: Why its judges cannot support a verdict.
        threats: Sentences of its threat model that do not hold for every cell.
        chart: Success against queries, for kinds with such a curve.
        bits_chart: Bits against queries, where they were measured along the way.
        part: What its kind alone shows.
    """

    cell: Cell
    number: int
    unsound: tuple[str, ...]
    threats: tuple[str, ...]
    chart: Chart | None
    bits_chart: Chart | None
    part: Part

    @property
    def name(self) -> str:
        """What the page calls it."""
        return self.cell.title

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
        rows: For each attack that asks the model: its name, the queries that it needs, and for
            each policy how long it holds the attack off, and the bits that the first day gives
            away.
        chart: Success against days under the first policy.
    """

    answer: str
    policies: tuple[str, ...]
    rows: tuple[tuple[str, str, tuple[tuple[str, str], ...]], ...]
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
        bits_overview: The same in bits.
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
    bits_overview: Chart | None
    budget: BudgetView | None
    defenses: DefensesView | None
    guard: GuardView | None
    plan: str
    digest: str

    @property
    def kinds(self) -> dict[str, KindPage]:
        """What the cells are of, with what each kind brings."""
        return {view.cell.kind: page_of(view.cell.kind) for view in self.cells}

    @property
    def has_bits(self) -> bool:
        """Whether any cell says how far its attack narrows down the truth."""
        return any(view.cell.bits is not None for view in self.cells)

    @property
    def trained(self) -> bool:
        """Whether the audit trained models with differential privacy."""
        trainings = [view.cell.details.training for view in self.cells]
        return any(one is not None and one.privacy is not None for one in trainings)

    @property
    def measure(self) -> Measure:
        """What says what the models are worth."""
        return measure_of(*(view.cell.utility for view in self.cells))

    @property
    def personal(self) -> str:
        """What personal data the page shows; empty for none."""
        return next((view.part.personal for view in self.cells if view.part.personal), "")


def build_page(
    run: Path,
    record: RunRecord,
    cells: Sequence[Cell],
    plan: str,
    digest: str,
    *,
    reveal: bool = False,
) -> Page:
    """Works out the page of a run.

    Args:
        run: The run folder.
        record: ``run.json``.
        cells: Its cells, in order.
        plan: The plan's text, without credentials.
        digest: SHA-256 of ``results.json``.
        reveal: Whether single records of tables, and secrets in the clear, are shown.

    Raises:
        DarkroomError: If pictures, or what is to be revealed, are missing or damaged.
    """
    threats = _shared_threats(cells)
    curved = [cell for cell in cells if page_of(cell.kind).curves]
    return Page(
        record=record,
        verdict=decide(cells, record.limit, record.checks),
        threats=threats,
        cells=tuple(
            _cell_view(one, Place(run, record.target, number, len(cells), reveal), threats)
            for number, one in enumerate(cells, 1)
        ),
        overview=_overview(curved),
        bits_overview=_bits_overview(curved),
        budget=_budget(curved),
        defenses=defenses_view(cells),
        guard=guard_view(cells),
        plan=plan,
        digest=digest,
    )


def _shared_threats(cells: Sequence[Cell]) -> tuple[str, ...]:
    models = [cell.details.threat_model for cell in cells]
    first = models[0] if models else ()
    return tuple(line for line in first if all(line in model for model in models))


def _cell_view(cell: Cell, place: Place, threats: Sequence[str]) -> CellView:
    page = page_of(cell.kind)
    return CellView(
        cell=cell,
        number=place.number,
        unsound=tuple(why for one in findings_of(cell) for why in one.unsound),
        threats=tuple(line for line in cell.details.threat_model if line not in threats),
        chart=_curve(cell, place.number) if page.curves else None,
        bits_chart=_bits_curve(cell, place.number) if page.curves else None,
        part=page.view(cell, place),
    )


def _curve(cell: Cell, number: int) -> Chart | None:
    title = (
        f"Success against queries, {cell.title}: {percent(cell.success.estimate)} in the end, "
        f"interval {spread(cell.success)}; {percent(cell.baseline.estimate)} without the model"
    )
    return curve_chart(
        (Series("success, 95% interval shaded", cell.curve, shaded=True),),
        baseline=cell.baseline.estimate,
        name=f"chart-{number}",
        title=title,
    )


def _bits_curve(cell: Cell, number: int) -> Chart | None:
    if cell.bits is None:
        return None
    title = (
        f"Bits against queries, {cell.title}: {amount(cell.bits.estimate)} in the end, interval "
        f"{amount(cell.bits.low)} to {amount(cell.bits.high)}, of {amount(cell.bits.most)}"
    )
    lines = (Series("bits gained over a guess", cell.curve),)
    return bits_chart(lines, cell.bits.most, name=f"chart-{number}-bits", title=title)


def _overview(cells: Sequence[Cell]) -> Chart | None:
    if len(cells) < 2:
        return None
    strongest = sorted(cells, key=lambda cell: -cell.advantage.low)[:MOST_SERIES]
    lines = tuple(Series(cell.title, cell.curve) for cell in cells if cell in strongest)
    baselines = {cell.baseline.estimate for cell in strongest}
    return curve_chart(
        lines,
        baseline=max(baselines),
        baseline_label=f"without the model ({'highest ' if len(baselines) > 1 else ''}baseline)",
        name="chart-all",
        title=f"Success against queries of {len(lines)} cells; their figures are in the table",
    )


def _bits_overview(cells: Sequence[Cell]) -> Chart | None:
    known = [(cell, cell.bits) for cell in cells if cell.bits is not None]
    if len(known) < 2:
        return None
    strongest = sorted(known, key=lambda one: -one[1].estimate)[:MOST_SERIES]
    lines = tuple(Series(cell.title, cell.curve) for cell, _ in strongest)
    return bits_chart(
        lines,
        max(bits.most for _, bits in strongest),
        name="chart-all-bits",
        title=f"Bits against queries of {len(lines)} cells; their figures are in the table",
    )


def _budget(cells: Sequence[Cell]) -> BudgetView | None:
    held = [holdings(cells, policy) for policy in USUAL]
    if not held[0]:
        return None
    first, days = USUAL[0], held[0]
    rows = [
        (
            columns[0].cell.title,
            columns[0].queries,
            tuple((one.days, one.bits_a_day) for one in columns),
        )
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
