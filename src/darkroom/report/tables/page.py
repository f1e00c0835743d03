"""What the page shows of inferred attributes."""

from __future__ import annotations

from pathlib import Path

from darkroom.report.kind_page import KindPage, Part, Place
from darkroom.statistics.power import detectable_gain
from darkroom.tables.record import TableCell


def view(cell: TableCell, place: Place) -> Part:
    """Works out what the page shows of a cell; needs Matplotlib."""
    from darkroom.report.tables.view import table_view

    return table_view(cell, place)


def detectable(cell: TableCell, limit: float, looks: int) -> float | None:
    """Returns the smallest advantage over the baseline that the same rows would have shown."""
    right = round(cell.baseline.estimate * cell.goals)
    return detectable_gain(cell.goals, right, cell.details.members.lost, limit, looks)


PAGE = KindPage(
    recovered="Inferred",
    view=view,
    templates=Path(__file__).parent / "templates",
    detectable=detectable,
    # An attack on a table asks everything at once.
    curves=False,
    narrows=False,
    access={"label": "who sees its predictions alone"},
    uncovered="Membership inference and regurgitation",
)
