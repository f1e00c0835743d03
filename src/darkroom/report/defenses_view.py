"""What the page and the command line show of defences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from darkroom.auditing.record import Cell, Cost, Interval, Utility
from darkroom.report.charts import Chart
from darkroom.report.defenses import (
    NONE,
    Match,
    Measure,
    Recommendation,
    Standing,
    dead_sentence,
    dominators,
    judged,
    matches,
    measure_of,
    standings,
)
from darkroom.report.frontier import Spot, frontier_chart
from darkroom.report.kind_page import attacker
from darkroom.report.wording import amount, percent, points, several

_DASH = "\N{EN DASH}"


@dataclass(frozen=True)
class DefenseRow:
    """A line of the table: one attack against one defence."""

    defense: str
    attack: str
    access: str
    naive: Interval | None
    adaptive: Interval | None
    bits: str | None
    worth: str
    calibration: str
    changes: str
    cost: str
    of_forward: str
    dominated: str
    first: bool

    @property
    def falls(self) -> bool:
        """Whether the defence stops an attack only until the attacker knows of it."""
        if self.naive is None or self.adaptive is None:
            return False
        return self.adaptive.low > max(0.0, self.naive.high)


@dataclass(frozen=True)
class DefensesView:
    """The section on defences.

    Attributes:
        lead: Its first sentence.
        rows: Of the table, undefended ones first.
        worth_heading: What the column with accuracy, error or perplexity is called.
        worth_word: That in running text.
        better: Where the better defences lie on the chart.
        chart: Leak against accuracy.
        bits_chart: The same with leaks in bits, where every defence has them.
        dominated: A sentence that names dominated defences.
        dead: A sentence that names those behind which the model is of no use.
        fallen: Defences that stop none but the naive.
    """

    lead: str
    rows: tuple[DefenseRow, ...]
    worth_heading: str
    worth_word: str
    better: str
    chart: Chart | None
    bits_chart: Chart | None
    dominated: str
    dead: str
    fallen: str


def defenses_view(cells: Sequence[Cell]) -> DefensesView | None:
    """Works out the section, or ``None`` for a run without defences of answers.

    Args:
        cells: Of one run.
    """
    all_of = standings(cells)
    if len(all_of) < 2:
        return None
    beaten = dominators(all_of)
    names = {one.defense: f"{place}" for place, one in enumerate(all_of)}
    plain = [cell for cell in judged(cells) if cell.defense == NONE]
    found = [*(Match(NONE, one.attack, one.access, None, one) for one in plain), *matches(cells)]
    rows, seen = [], set()
    for match in found:
        rows.append(_row(match, names, beaten, first=match.defense not in seen))
        seen.add(match.defense)
    measure = measure_of(*(one.utility for one in all_of))
    fallen = dict.fromkeys(row.defense for row in rows if row.falls)
    return DefensesView(
        lead=_lead(all_of),
        rows=tuple(rows),
        worth_heading=measure.heading,
        worth_word=measure.name if measure.sign > 0 else f"the model's {measure.name}",
        better=f"the lower and farther {'right' if measure.sign > 0 else 'left'}, the better",
        chart=_chart(all_of, beaten, names, measure),
        bits_chart=_chart(all_of, beaten, names, measure, in_bits=True),
        dominated=_dominated(beaten),
        dead=dead_sentence(all_of),
        fallen=", ".join(fallen),
    )


def _row(match: Match, names: dict[str, str], beaten: dict[str, str], *, first: bool) -> DefenseRow:
    cell = match.cell
    attack = match.attack
    if match.adaptive is not None and match.adaptive.attack != match.attack:
        attack += f", then {match.adaptive.attack}"
    microseconds, share = _cost(cell.cost)
    return DefenseRow(
        defense=f"{names[match.defense]} \N{MIDDLE DOT} {match.defense}",
        attack=attack,
        access=match.access,
        naive=match.naive.advantage if match.naive else None,
        adaptive=match.adaptive.advantage if match.adaptive else None,
        bits=None if cell.bits is None else amount(cell.bits.estimate),
        worth=_worth(cell.utility),
        calibration=_share(cell.utility.calibration_error),
        changes=_share(cell.utility.label_changes),
        cost=microseconds,
        of_forward=share,
        dominated=beaten.get(match.defense, ""),
        first=first,
    )


def _lead(all_of: Sequence[Standing]) -> str:
    plain = next((one for one in all_of if one.defense == NONE), None)
    others = [one for one in all_of if one.defense != NONE]
    living = [one for one in others if one.utility.dead is None] or others
    best = min(living, key=lambda one: (one.leak.estimate, one.leak.high))
    before = (
        ""
        if plain is None
        else f" Undefended, the strongest ({plain.by.attack}) has {_advantage(plain)}."
    )
    return (
        f"Every attack that asks the model met {several(len(others), 'defence', 'defences')}."
        f"{before} The least is left by {best.defense}: {_advantage(best)} to an attacker "
        f"{attacker(best.by)}."
    )


def _advantage(one: Standing) -> str:
    return (
        f"an advantage of {points(one.leak.estimate)} points "
        f"({points(one.leak.low)} to {points(one.leak.high)})"
    )


def _chart(
    all_of: Sequence[Standing],
    beaten: dict[str, str],
    names: dict[str, str],
    measure: Measure,
    *,
    in_bits: bool = False,
) -> Chart | None:
    """Draws the frontier of the defences of known worth; ``None`` where there is none to draw."""
    known = [one for one in all_of if one.worth is not None]
    leaks = [one.bits if in_bits else one.leak for one in known]
    if len(known) < 2 or None in leaks:
        return None
    spots = [
        Spot(names[one.defense], abs(one.worth or 0.0), leak, one.defense in beaten)
        for one, leak in zip(known, leaks, strict=True)
        if leak is not None
    ]
    return frontier_chart(
        spots,
        name="chart-frontier-bits" if in_bits else "chart-frontier",
        title=f"{'Bits' if in_bits else 'Advantage'} left to the attacker against {measure.name} "
        f"for {len(spots)} defences; the figures are in the table, by number",
        across=measure.name,
        bits=max(one.bits.most for one in known if one.bits is not None) if in_bits else None,
    )


def _dominated(beaten: dict[str, str]) -> str:
    if not beaten:
        return "None of them is dominated."
    said = [f"{name} by {better}" for name, better in beaten.items()]
    return f"Dominated: {'; '.join(said)}."


def recommendation_rows(found: Recommendation) -> list[tuple[str, ...]]:
    """Returns the table of ``darkroom recommend``, headings first."""
    headings = ("defence", "naive", "adaptive", "worth", "labels changed", "keeps the limit")
    rows = [
        (
            one.defense,
            _points(one.naive),
            _points(one.adaptive),
            _worth(one.utility),
            _share(one.utility.label_changes),
            "yes" if one in found.within else "no",
        )
        for one in (*found.within, *found.beyond)
    ]
    return [headings, *rows]


def _points(interval: Interval | None) -> str:
    if interval is None:
        return _DASH
    return f"{points(interval.estimate)} ({points(interval.low)} to {points(interval.high)})"


def _worth(utility: Utility) -> str:
    said = measure_of(utility).written(utility)
    return f"{said}, dead" if utility.dead else said


def _share(value: float | None) -> str:
    return _DASH if value is None else percent(value)


def _cost(cost: Cost | None) -> tuple[str, str]:
    if cost is None:
        return _DASH, ""
    return f"{cost.microseconds:.2g} \N{MICRO SIGN}s", f"{100 * cost.of_forward:.2g}%"
