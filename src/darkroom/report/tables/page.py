"""What the page shows of inferred attributes."""

from __future__ import annotations

from pathlib import Path

from darkroom.report.kind_page import KindPage, Part, Place
from darkroom.tables.record import TableCell


def view(cell: TableCell, place: Place) -> Part:
    """Works out what the page shows of a cell; needs Matplotlib."""
    from darkroom.report.tables.view import table_view

    return table_view(cell, place)


PAGE = KindPage(
    recovered="Inferred",
    view=view,
    templates=Path(__file__).parent / "templates",
    # An attack on a table asks everything at once.
    curves=False,
    access={"label": "who sees its predictions alone"},
    uncovered="Membership inference and regurgitation",
)
