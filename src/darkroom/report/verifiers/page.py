"""What the page shows of people enrolled at a verifier."""

from __future__ import annotations

from pathlib import Path

from darkroom.report.kind_page import KindPage, Part, Place
from darkroom.statistics.intervals import Interval, clopper_pearson
from darkroom.statistics.power import detectable_rate
from darkroom.verifiers.record import VerifierCell


def view(cell: VerifierCell, place: Place) -> Part:
    """Works out what the page shows of a cell; needs Pillow."""
    from darkroom.report.verifiers.view import verifier_view

    return verifier_view(cell, place)


def detectable(cell: VerifierCell, limit: float, looks: int) -> float | None:
    """Returns the smallest advantage that a cell would have shown; see :class:`KindPage`."""
    baseline = Interval(cell.baseline.estimate, cell.baseline.low, cell.baseline.high)
    return detectable_rate(cell.goals, baseline, limit, looks, of_rate=clopper_pearson)


PAGE = KindPage(
    recovered="Accepted",
    view=view,
    templates=Path(__file__).parent / "templates",
    detectable=detectable,
    guesses=False,
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
