"""What the page shows of a cell of tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from darkroom.auditing.record import Interval, Share
from darkroom.report.charts import Chart, calibration_chart
from darkroom.report.files import damaged
from darkroom.report.kind_page import Part, Place
from darkroom.tables.record import Members, TableCell
from darkroom.tables.record import Part as RowsPart

MOST_GROUPS = 12
MOST_VALUES = 12
MOST_ROWS = 200

GUESSERS = (
    ("attack", "The attack"),
    ("imputation", "Imputation from public rows"),
    ("prior", "The prior alone"),
    ("most_frequent", "The most frequent value"),
)

MEASURES = (
    ("accuracy", "Accuracy"),
    ("surest", "Among the surest tenth"),
    ("precision", "Precision"),
    ("recall", "Recall"),
    ("mcc", "MCC"),
    ("g_mean", "G-mean"),
    ("auc", "AUC"),
)


@dataclass(frozen=True)
class MeasureRow:
    """A guesser with its measures in the order of :data:`MEASURES`."""

    name: str
    values: tuple[tuple[str, Interval | None], ...]


@dataclass(frozen=True)
class ConfusionRow:
    """A true value with how often each value was guessed, and the share of the row."""

    value: str
    cells: tuple[tuple[str, int, float], ...]
    total: int


@dataclass(frozen=True)
class RevealedRow:
    """One record, which only a report with ``--reveal`` shows."""

    row: int
    truth: str
    guess: str
    probability: float


@dataclass(frozen=True)
class PartView:
    """Members or others.

    Attributes:
        title: What they are called.
        rows: Their figures.
        success: How often each guesser is right.
        measures: More about each guesser, of categories.
    """

    title: str
    rows: RowsPart
    success: tuple[tuple[str, Share], ...]
    measures: tuple[MeasureRow, ...]


@dataclass(frozen=True)
class TableView(Part):
    """The part of a cell that only tables have.

    Attributes:
        parts: Members, and others where there are any.
        confusion: Of members, a row a true value; empty for numbers and for too many values.
        calibration: How often the attacker is right, by how sure it is.
        about: What precision, recall and AUC are about.
        rows: Single records, where they are revealed.
    """

    parts: tuple[PartView, ...]
    confusion: tuple[ConfusionRow, ...]
    calibration: Chart | None
    about: str
    rows: tuple[RevealedRow, ...]

    @property
    def groups_shown(self) -> int:
        """How many groups come first, before the rest is folded away."""
        return MOST_GROUPS


def table_view(cell: TableCell, place: Place) -> TableView:
    """Works out what the page shows of a cell.

    Args:
        cell: The cell.
        place: Where it stands.

    Raises:
        RunError: If records are to be shown and their file is missing or damaged.
    """
    details = cell.details
    bins = details.members.calibration
    chart = None
    if len(bins) > 1:
        chart = calibration_chart(
            [(one.claimed, one.right) for one in bins],
            name=f"calibration-{place.number}",
            title=f"How often the attacker is right, by how sure it is, in {len(bins)} parts",
        )
    parts = [_part_view("Members: the model was trained on them", details.members)]
    if details.others is not None:
        parts.append(_part_view("Others: the model never saw them", details.others))
    rows = _revealed(place.run, cell) if place.reveal else ()
    two = len(details.values) == 2
    return TableView(
        parts=tuple(parts),
        confusion=_confusion(details.members, details.values),
        calibration=chart,
        about=f"of the value {details.positive}" if two else "averaged over the values",
        rows=rows,
        personal="what was inferred of single records beside the truth" if rows else "",
    )


def _part_view(title: str, part: RowsPart) -> PartView:
    success = tuple((name, getattr(part.success, key)) for key, name in GUESSERS)
    if part.measures is None:
        return PartView(title, part, success, ())
    measured = [(name, getattr(part.measures, key)) for key, name in GUESSERS]
    rows = tuple(
        MeasureRow(name, tuple((label, getattr(measures, field)) for field, label in MEASURES))
        for name, measures in measured
    )
    return PartView(title, part, success, rows)


def _confusion(part: Members, values: Sequence[str]) -> tuple[ConfusionRow, ...]:
    if part.confusion is None or len(values) > MOST_VALUES:
        return ()
    rows = []
    for value, counts in zip(values, part.confusion, strict=True):
        total = sum(counts)
        cells = tuple(
            (guess, number, number / total if total else 0.0)
            for guess, number in zip(values, counts, strict=True)
        )
        rows.append(ConfusionRow(value, cells, total))
    return tuple(rows)


def _revealed(run: Path, cell: TableCell) -> tuple[RevealedRow, ...]:
    """Returns members, those of whom the attacker is surest first; none for numbers."""
    values = cell.details.values
    if not values:
        return ()
    path = run / "cells" / cell.key / "reconstructions.npz"
    try:
        with np.load(path, allow_pickle=False) as stored:
            rows, truth = stored["members_rows"], stored["members_truth"]
            posterior = stored["members_posterior"]
        sure = posterior.max(axis=1)
        order = np.argsort(-sure, kind="stable")[:MOST_ROWS]
        return tuple(
            RevealedRow(
                row=int(rows[place]),
                truth=values[truth[place]],
                guess=values[posterior[place].argmax()],
                probability=min(1.0, float(sure[place])),
            )
            for place in order
        )
    except (OSError, KeyError, ValueError, IndexError) as error:
        raise damaged(path, str(error)) from error
