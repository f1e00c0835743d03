"""What the page shows of a cell of a language model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from darkroom.report.charts import Chart
from darkroom.report.kind_page import Part, Place
from darkroom.report.text.charts import exposure_chart, repetition_chart, tree_chart
from darkroom.text.canaries import load_key
from darkroom.text.record import CanaryRecord, Repetition, TextCell, TextDetails

MOST_CANARIES = 12


@dataclass(frozen=True)
class CanaryView:
    """A canary, and how the page names its secret: masked, or in the clear where revealed."""

    record: CanaryRecord
    shown: str


@dataclass(frozen=True)
class TextView(Part):
    """The part of a cell that only language models have.

    Attributes:
        exposure: Exposure by repetition, where it was measured.
        extraction: Extraction by repetition, where there are several numbers of them.
        tree: The search for one secret, for attacks that search.
        canaries: Inserted ones, the most exposed first.
        revealed: Whether secrets are shown in the clear.
    """

    exposure: Chart | None
    extraction: Chart | None
    tree: Chart | None
    canaries: tuple[CanaryView, ...]
    revealed: bool

    @property
    def shown_first(self) -> int:
        """How many canaries stand in the open; the others are folded away."""
        return MOST_CANARIES


def text_view(cell: TextCell, place: Place) -> TextView:
    """Works out what the page shows of a cell.

    Args:
        cell: The cell.
        place: Where it stands.

    Raises:
        DataError: If secrets are to be revealed, and their key file is not where it was, or was
            changed.
    """
    details, number = cell.details, place.number
    secrets = _secrets(place.target.key_file) if place.reveal and place.target.key_file else {}
    controls = next(group for group in details.groups if not group.repetitions)
    groups = [group for group in details.groups if group.repetitions]
    extraction = None
    if len(groups) > 1:
        extraction = repetition_chart(
            [(group.repetitions, group.extracted) for group in groups],
            controls.extracted,
            name=f"extraction-{number}",
            title="Share of secrets extracted by how often they were in the training data",
        )
    tree = None
    if details.tree is not None and len(details.tree.nodes) > 1:
        tree = tree_chart(
            details.tree.nodes,
            name=f"tree-{number}",
            title=f"The search for one secret: {details.tree.asked} partial secrets asked about",
        )
    inserted = [canary for canary in details.canaries if canary.repetitions]
    inserted.sort(key=lambda one: (-_bits(one), not one.extracted, one.queries))
    return TextView(
        exposure=_exposure(details, groups, number),
        extraction=extraction,
        tree=tree,
        canaries=tuple(CanaryView(one, secrets.get(one.secret, one.masked)) for one in inserted),
        revealed=bool(secrets),
    )


def _secrets(key_file: str) -> dict[str, str]:
    """Returns the canaries' secrets by their keyed hash, from the key file itself."""
    canaries = load_key(Path(key_file))
    return {canaries.hashed(one.secret): one.secret for one in canaries.canaries}


def _bits(canary: CanaryRecord) -> float:
    return canary.exposure.bits if canary.exposure is not None else 0.0


def _exposure(details: TextDetails, groups: Sequence[Repetition], number: int) -> Chart | None:
    if any(canary.exposure is None for canary in details.canaries):
        return None
    rows = []
    for count in (0, *(group.repetitions for group in groups)):
        bits = [_bits(one) for one in details.canaries if one.repetitions == count]
        rows.append((_times(count), bits))
    return exposure_chart(
        rows,
        max(one.bits for one in details.formats),
        name=f"exposure-{number}",
        title="Exposure of every secret in bits, by how often it was in the training data",
    )


def _times(count: int) -> str:
    if count == 0:
        return "controls"
    return "once" if count == 1 else f"{count} times"
