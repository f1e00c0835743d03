"""What the page shows of extracted secrets."""

from __future__ import annotations

from pathlib import Path

from darkroom.report.kind_page import KindPage, Part, Place
from darkroom.text.record import TextCell


def view(cell: TextCell, place: Place) -> Part:
    """Works out what the page shows of a cell; needs Matplotlib."""
    from darkroom.report.text.view import text_view

    return text_view(cell, place)


PAGE = KindPage(
    recovered="Extracted",
    view=view,
    templates=Path(__file__).parent / "templates",
    standards=(
        ("MITRE ATLAS", "AML.T0057", "LLM Data Leakage"),
        ("NIST AI 100-2", "NISTAML.038", "Data extraction, among the privacy attacks"),
        (
            "OWASP Top 10 for LLM applications",
            "LLM02:2025",
            "Sensitive Information Disclosure",
        ),
    ),
)
