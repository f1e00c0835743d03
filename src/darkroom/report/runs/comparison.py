"""The same attacks in two runs: what changed between the model before and after."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from darkroom.auditing.record import Cell, Count, Interval, Rate, Record, Words
from darkroom.auditing.run_record import Results
from darkroom.errors import RunError
from darkroom.files import write_private
from darkroom.report.html import rendered
from darkroom.report.results import collect
from darkroom.report.wording import several
from darkroom.statistics.intervals import Interval as Bounds
from darkroom.statistics.intervals import difference_of

_UNDECIDING = ("memory",)
"""Parameters that change no answer."""

Direction = Literal["more", "less", "no change shown"]


class Change(Record):
    """A figure before and after, each with its 95% interval, and after less before with its own."""

    before: Interval
    after: Interval
    difference: Interval


class Compared(Record):
    """One attack against one defence, in both runs.

    Attributes:
        title: What a page calls it.
        kind: The kind of audit.
        access: What a query returned.
        goals: How many things it tried to recover, before and after.
        queries: The median over goals, before and after.
        success: The share that it recovered.
        advantage: Success less baseline.
        bits: How far it narrows down the truth, where both runs measured that.
        accuracy: The model's, before and after, where both runs measured it.
        direction: Whether it has more or less of an advantage than before, by the interval.
    """

    title: Words
    kind: Words
    access: Words
    goals: tuple[Count, Count]
    queries: tuple[float, float]
    success: Change
    advantage: Change
    bits: Change | None
    accuracy: tuple[Rate, Rate] | None
    direction: Direction


class Comparison(Record):
    """Two runs.

    Attributes:
        before: The first, by name; and
        after: the second.
        outcomes: What each comes to.
        sentence: What changed, in a sentence.
        cells: What both have, in the order of the second.
        gone: What the first alone has; and
        new: what the second alone has.
    """

    before: Words
    after: Words
    outcomes: tuple[Words, Words]
    sentence: Words
    cells: tuple[Compared, ...]
    gone: tuple[str, ...]
    new: tuple[str, ...]


def compare(before: Path, after: Path) -> Comparison:
    """Compares two runs, cell by cell.

    Cells belong together that have the same attack, prior, defence, access and parameters; what
    was attacked may differ. Intervals of differences take the runs as independent of one another,
    which makes them wider than they need be where both attacked the same goals.

    Args:
        before: The folder of the first run; and
        after: of the second.

    Raises:
        RunError: If a run is not finished, or they have no cell in common.
    """
    first, second = collect(before), collect(after)
    earlier: dict[str, list[Cell]] = {}
    for cell in first.cells:
        earlier.setdefault(_identity(cell), []).append(cell)
    pairs, new = [], []
    for cell in second.cells:
        same = earlier.get(_identity(cell))
        if same:
            pairs.append((same.pop(0), cell))
        else:
            new.append(cell.title)
    if not pairs:
        raise RunError(
            f"{after}: no attack in common with {before}: compare runs of the same plan, or of "
            "plans that share attacks with the same parameters"
        )
    cells = [_compared(*pair) for pair in pairs]
    return Comparison(
        before=_name(first, before),
        after=_name(second, after),
        outcomes=(first.verdict.outcome, second.verdict.outcome),
        sentence=_sentence(cells),
        cells=tuple(cells),
        gone=tuple(cell.title for left in earlier.values() for cell in left),
        new=tuple(new),
    )


def write_comparison(before: Path, after: Path) -> tuple[Comparison, Path]:
    """Compares two runs, and writes the page and the JSON into the second's folder.

    Returns:
        What changed, and the page.

    Raises:
        RunError: As :func:`compare`, or if the folder cannot be written to.
    """
    found = compare(before, after)
    name = f"compared-with-{found.before}"
    write_private(after / f"{name}.json", f"{found.model_dump_json(indent=2)}\n".encode())
    page = rendered("comparison.html.jinja", comparison=found)
    return found, write_private(after / f"{name}.html", page.encode())


def _name(results: Results, folder: Path) -> str:
    return folder.resolve().name or results.run.name


def _identity(cell: Cell) -> str:
    """Returns what tells a cell from the others of its run."""
    details = cell.details
    parts = (details.attack, details.prior)
    words = [[part.name, _deciding(part.parameters)] for part in parts]
    return json.dumps([cell.kind, cell.defense, cell.attacker, cell.access, *words], sort_keys=True)


def _deciding(parameters: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in parameters.items() if key not in _UNDECIDING}


def _compared(before: Cell, after: Cell) -> Compared:
    advantage = _change(before.advantage, after.advantage)
    low, high = advantage.difference.low, advantage.difference.high
    return Compared(
        title=after.title,
        kind=after.kind,
        access=str(after.access),
        goals=(before.goals, after.goals),
        queries=(before.queries.per_goal_median, after.queries.per_goal_median),
        success=_change(before.success, after.success),
        advantage=advantage,
        bits=_change(before.bits, after.bits) if before.bits and after.bits else None,
        accuracy=_both(before.utility.accuracy, after.utility.accuracy),
        direction="more" if low > 0 else "less" if high < 0 else "no change shown",
    )


def _change(before: Interval, after: Interval) -> Change:
    ends = [Bounds(one.estimate, one.low, one.high) for one in (after, before)]
    return Change(
        before=Interval.of(ends[1]),
        after=Interval.of(ends[0]),
        difference=Interval.of(difference_of(*ends)),
    )


def _both(before: float | None, after: float | None) -> tuple[float, float] | None:
    return None if before is None or after is None else (before, after)


def _sentence(cells: Sequence[Compared]) -> str:
    """Says what changed."""
    counts = {
        direction: sum(cell.direction == direction for cell in cells)
        for direction in ("less", "more", "no change shown")
    }
    attacks = several(len(cells), "attack", "attacks")
    return (
        f"Of {attacks} that both runs have, {counts['less']} have less of an advantage than "
        f"before, {counts['more']} have more, and {counts['no change shown']} show no change."
    )
