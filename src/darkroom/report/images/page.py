"""What the page shows of reconstructed people."""

from __future__ import annotations

from pathlib import Path

from darkroom.images.record import ImageCell
from darkroom.report.images.soundness import unsound
from darkroom.report.kind_page import KindPage, Part, Place, detectable_above
from darkroom.statistics.intervals import clopper_pearson


def view(cell: ImageCell, place: Place) -> Part:
    """Works out what the page shows of a cell; needs Pillow."""
    from darkroom.report.images.view import image_view

    return image_view(cell, place)


def detectable(cell: ImageCell, limit: float, looks: int) -> float | None:
    """Returns the smallest advantage that a cell would have shown; see :class:`KindPage`."""
    return detectable_above(cell.baseline, cell.goals, limit, looks, clopper_pearson)


PAGE = KindPage(
    recovered="Reconstructed",
    view=view,
    templates=Path(__file__).parent / "templates",
    unsound=unsound,
    detectable=detectable,
    counted=True,
)
