"""What the page shows of people enrolled at a verifier."""

from __future__ import annotations

from pathlib import Path

from darkroom.kinds import Nouns
from darkroom.report.faces.accuracy import accuracy_doubts
from darkroom.report.kind_page import Finding, KindPage, Part, Place, detectable_above
from darkroom.statistics.intervals import clopper_pearson
from darkroom.verifiers.record import VerifierCell


def view(cell: VerifierCell, place: Place) -> Part:
    """Works out what the page shows of a cell; needs Pillow."""
    from darkroom.report.verifiers.view import verifier_view

    return verifier_view(cell, place)


SHOWN = Nouns(
    "person",
    "people",
    "person",
    "makes pictures that show",
    "gives the faces of its people away",
    "gives the faces of some of its people away",
)
"""What sentences call likeness."""


def unsound(cell: VerifierCell) -> tuple[str, ...]:
    """Says why acceptance supports no verdict; nothing where it does."""
    if cell.queries.total:
        return ()
    return (f"the attack {cell.attack} asked nothing: its budget is below what it asks at once",)


def detectable(cell: VerifierCell, limit: float, looks: int) -> float | None:
    """Returns the smallest advantage that a cell would have shown; see :class:`KindPage`."""
    return detectable_above(
        cell.baseline, cell.goals, limit, looks * cell.details.reading.looks, clopper_pearson
    )


def likeness(cell: VerifierCell) -> tuple[Finding, ...]:
    """Returns whether the pictures show the people, above what judges mistake for them."""
    found = cell.details.likeness

    def size(limit: float, looks: int) -> float | None:
        return detectable_above(found.mistaken, cell.goals, limit, looks, clopper_pearson)

    doubts = unsound(cell) or _doubts(cell)
    return (
        Finding(
            SHOWN,
            "Shown",
            found.shown,
            found.mistaken,
            found.advantage,
            doubts,
            size,
            without="of guesses or photos of strangers, the judges take for the person",
            counted=True,
        ),
    )


def _doubts(cell: VerifierCell) -> tuple[str, ...]:
    """Says why judges support no verdict on likeness."""
    found = cell.details.likeness
    if found.others.n == 0:
        return (
            "no strangers were held apart from the judges, so it is not known whom they take for "
            "whom: name photos of others in [judges] strangers",
        )
    return () if found.advantage.low > 0 else accuracy_doubts(found.accuracy)


PAGE = KindPage(
    recovered="Accepted",
    view=view,
    templates=Path(__file__).parent / "templates",
    detectable=detectable,
    unsound=unsound,
    also=likeness,
    tells=False,
    without="one of as many strangers as it had queries is, with a chance of",
    access={
        "weights": "with the encoder and the stored templates",
        "template": "who has the stored templates and may ask the encoder",
        "score": "who sees match scores",
        "decision": "who sees whether a picture is accepted",
    },
    standards=(
        (
            "ISO/IEC 30136",
            "Type I and type II",
            "Attacks with the enrolled and with another sample, on template protection",
        ),
        ("ISO/IEC 24745", "Biometric information protection", "Irreversibility, unlinkability"),
    ),
)
