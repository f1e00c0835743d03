"""What the page shows of real secrets: a row a type, and each by the line of its file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from darkroom.errors import DataError
from darkroom.report.kind_page import Group, KindPage, Part, Place
from darkroom.text.real.record import RealCell, SecretRecord
from darkroom.text.real.secrets_file import read_secrets

MOST_SECRETS = 20


@dataclass(frozen=True)
class SecretView:
    """A secret, and how the page names it.

    Attributes:
        record: What was measured of it.
        shown: Its line of the file, or in the clear where that is revealed.
    """

    record: SecretRecord
    shown: str


@dataclass(frozen=True)
class SecretsView(Part):
    """The part of a cell that only real secrets have.

    Attributes:
        secrets: The most evident first.
        revealed: Whether secrets and owners are shown in the clear.
    """

    secrets: tuple[SecretView, ...] = ()
    revealed: bool = False

    @property
    def shown_first(self) -> int:
        """How many secrets stand in the open; the others are folded away."""
        return MOST_SECRETS


def view(cell: RealCell, place: Place) -> SecretsView:
    """Works out what the page shows of a cell.

    Args:
        cell: The cell.
        place: Where it stands.

    Raises:
        DataError: If secrets are to be revealed, and their file is not what it was.
    """
    names: dict[int, str] = {}
    if place.reveal and place.target.key_file:
        file = Path(place.target.key_file)
        names = {one.line: f"{one.owner}: {one.secret}" for one in read_secrets(file)}
        if not {row.line for row in cell.details.secrets} <= set(names):
            raise DataError(f"{file}: other lines than were audited: audit it again")

    def evident(row: SecretRecord) -> tuple[float, bool, float, int]:
        bits = row.exposure.bits if row.exposure is not None else 0.0
        p_value = 1.0 if row.p_value is None else row.p_value
        return (p_value, not row.extracted, -bits, row.line)

    rows = sorted(cell.details.secrets, key=evident)
    return SecretsView(
        personal="real secrets and whose they are" if names else "",
        secrets=tuple(SecretView(row, names.get(row.line, f"line {row.line}")) for row in rows),
        revealed=bool(names),
    )


def groups(cell: RealCell) -> tuple[Group, ...]:
    """Divides the secrets of a cell by type."""
    return tuple(
        Group(f"{one.type} ({one.n})", one.extracted, one.before or one.decoys)
        for one in cell.details.types
    )


PAGE = KindPage(
    recovered="Extracted",
    view=view,
    groups=groups,
    templates=Path(__file__).parent / "templates",
    standards=(
        ("MITRE ATLAS", "AML.T0057", "LLM Data Leakage"),
        ("NIST AI 100-2", "NISTAML.038", "Data extraction, among the privacy attacks"),
        ("OWASP Top 10 for LLM applications", "LLM02:2025", "Sensitive Information Disclosure"),
    ),
)
