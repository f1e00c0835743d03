"""A kind of audit that Darkroom does not bring: its record of a cell, and its part of the page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from darkroom.auditing.record import Cell, Details
from darkroom.kinds import Kind, Nouns
from darkroom.report.kind_page import KindPage, Part, Place


class SoundDetails(Details):
    """What stands behind a cell of sounds."""

    loudest: float


class SoundCell(Cell):
    """One attack on the voices in a model."""

    kind: Literal["sounds"] = "sounds"
    details: SoundDetails


@dataclass(frozen=True)
class SoundPart(Part):
    """A loudness in words."""

    loudness: str


def view(cell: SoundCell, place: Place) -> SoundPart:
    return SoundPart(
        f"{cell.details.loudest:.0f} decibels in cell {place.number}", personal="voices"
    )


def unsound(cell: SoundCell) -> tuple[str, ...]:
    return ("nobody can hear them",) if cell.details.loudest < 1 else ()


PAGE = KindPage(
    recovered="Heard",
    view=view,
    unsound=unsound,
    standards=(("ISO 226", "2003", "Equal loudness"),),
    uncovered="Silence",
)

SOUNDS = Kind(
    name="sounds",
    mark="sounds",
    plan="",
    load="",
    record="tests.support.sounds:SoundCell",
    page="tests.support.sounds:PAGE",
    demo="",
    nouns=Nouns("voice", "voices", "voice", "overhears", "shouts", "whispers"),
)
