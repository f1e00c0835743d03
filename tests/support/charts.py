"""Charts, which take most of the time that a report takes, are left empty unless a test says so."""

from __future__ import annotations

import io
from typing import Any

import pytest
from matplotlib.backends.backend_svg import FigureCanvasSVG

_draw: Any = FigureCanvasSVG.print_svg
_drawn = False


def _print_svg(canvas: FigureCanvasSVG, buffer: io.StringIO, **options: Any) -> None:
    if _drawn:
        _draw(canvas, buffer, **options)
    else:
        buffer.write("<svg></svg>")


def leave_empty() -> None:
    """Has all charts of this process left empty from now on."""
    canvas: Any = FigureCanvasSVG
    canvas.print_svg = _print_svg


def draw_for(item: pytest.Item) -> None:
    """Has charts drawn while a test that is marked ``drawn`` and its fixtures run.

    Args:
        item: The test that begins.
    """
    global _drawn
    _drawn = item.get_closest_marker("drawn") is not None
