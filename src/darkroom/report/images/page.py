"""What the page shows of reconstructed people."""

from __future__ import annotations

from pathlib import Path

from darkroom.images.record import ImageCell
from darkroom.report.images.soundness import unsound
from darkroom.report.kind_page import KindPage, Part, Place


def view(cell: ImageCell, place: Place) -> Part:
    """Works out what the page shows of a cell; needs Pillow."""
    from darkroom.report.images.view import image_view

    return image_view(cell, place)


PAGE = KindPage(
    recovered="Reconstructed",
    view=view,
    templates=Path(__file__).parent / "templates",
    unsound=unsound,
    shared=frozenset({"label"}),
)
