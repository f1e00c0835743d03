"""Curves of a run as lines to draw: no style inside, so that a strict page may show them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from darkroom.auditing.record import Cell, CurvePoint
from darkroom.report.wording import count

WIDE, HIGH = 640, 250
LEFT, RIGHT, TOP, BOTTOM = 46, 14, 10, 34
MOST_LINES = 6


class Mark(NamedTuple):
    """A word at an axis.

    Attributes:
        at: Where, along the axis.
        text: The word.
    """

    at: float
    text: str


class Line(NamedTuple):
    """One attack.

    Attributes:
        place: From 1; decides colour and dashes.
        label: Its name.
        points: As SVG has them.
        dots: Where each milestone is.
    """

    place: int
    label: str
    points: str
    dots: tuple[tuple[float, float], ...]


class Drawing(NamedTuple):
    """Success against queries, on a logarithmic axis.

    Attributes:
        title: What it shows, read out instead of it.
        lines: The attacks.
        across: Words below.
        upright: Words at the left.
    """

    title: str
    lines: tuple[Line, ...]
    across: tuple[Mark, ...]
    upright: tuple[Mark, ...]

    @property
    def box(self) -> tuple[int, int, int, int, int, int]:
        """Width, height, and the margins: left, right, top, bottom."""
        return WIDE, HIGH, LEFT, RIGHT, TOP, BOTTOM


def success_drawing(cells: Sequence[Cell], title: str) -> Drawing | None:
    """Draws success against queries.

    Args:
        cells: Of a run; the first with a curve are drawn.
        title: What is read out.

    Returns:
        ``None`` where no cell has a curve.
    """
    drawn = [(cell, _asked(cell)) for cell in cells if _asked(cell)][:MOST_LINES]
    if not drawn:
        return None
    queries = [point.queries for _, points in drawn for point in points]
    low, high = math.log10(min(queries)), math.log10(max(queries))
    wide = max(high - low, 1e-9)

    def across(asked: int) -> float:
        share = 0.5 if high == low else (math.log10(asked) - low) / wide
        return round(LEFT + share * (WIDE - LEFT - RIGHT), 1)

    def upright(success: float) -> float:
        return round(HIGH - BOTTOM - success * (HIGH - TOP - BOTTOM), 1)

    lines = []
    for place, (cell, points) in enumerate(drawn, 1):
        dots = tuple((across(point.queries), upright(point.success)) for point in points)
        text = " ".join(f"{x},{y}" for x, y in dots)
        lines.append(Line(place, cell.title, text, dots))
    powers = range(math.ceil(low), math.floor(high) + 1)
    ticks = [10**power for power in powers] or sorted({min(queries), max(queries)})
    return Drawing(
        title,
        tuple(lines),
        tuple(Mark(across(tick), count(tick)) for tick in ticks),
        tuple(Mark(upright(part / 4), f"{25 * part}%") for part in range(5)),
    )


def _asked(cell: Cell) -> list[CurvePoint]:
    return sorted((one for one in cell.curve if one.queries > 0), key=lambda one: one.queries)
