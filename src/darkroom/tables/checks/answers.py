"""Whether a model answers the same question alike, and looks at the sensitive column."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from darkroom.auditing.record import Check
from darkroom.tables.checks.fitting import said
from darkroom.tables.schema import Rows
from darkroom.tables.subject import TableSubject
from darkroom.tables.targets.base import TableTarget

ALONE = 8
TOGETHER = 64
MOST_ASKED = 2000

OFTEN = 0.2
"""The share of rows for which a model that ignores a column would look at it, fitted again."""


def check_answers(subject: TableSubject) -> Check:
    """Asks the same rows twice, and some of them alone."""
    name, target, rows = "answers", subject.target, subject.data.members.rows[:TOGETHER]
    few = rows[:ALONE]
    first, second = said(target, rows), said(target, rows)
    if not np.allclose(first, second, rtol=1e-6, atol=1e-9):
        return Check(
            name=name,
            outcome="failed",
            found="The model answers the same rows otherwise when it is asked again.",
            cause="random answers",
            remedy="Turn off what is random in the model, and audit noise as a [[defense]].",
        )
    alone = np.concatenate([said(target, few[row : row + 1]) for row in range(len(few))])
    if not np.allclose(alone, first[: len(few)], rtol=1e-4, atol=1e-6):
        return Check(
            name=name,
            outcome="failed",
            found="The model answers a row alone otherwise than among others.",
            cause="answers by batch",
            remedy="Make the model answer every row for itself: it may scale or encode its input "
            "by what else is asked.",
        )
    found = f"{len(rows)} rows get the same answer twice, and {len(few)} of them alone."
    return Check(name=name, outcome="passed", found=found)


def check_use(subject: TableSubject, again: TableTarget | None) -> Check:
    """Asks whether answers change with the sensitive value, and whether they should.

    Args:
        subject: The model and its rows.
        again: The same estimator, fitted to these rows; ``None`` where it cannot be.
    """
    candidates, name = subject.candidates, "sensitive use"
    rows = subject.data.members.rows[: max(2, MOST_ASKED // len(candidates))]
    changed = int(_changes(subject, subject.target, rows).sum())
    columns = ", ".join(subject.data.schema.sensitive)
    found = f"Of {len(rows):,} rows, {changed:,} get another answer where {columns} is another."
    if changed:
        return Check(name=name, outcome="passed", found=found)
    if again is not None:
        share = float(_changes(subject, again, rows).mean())
        if share >= OFTEN:
            return Check(
                name=name,
                outcome="failed",
                found=f"{found} Fitted to these rows, the same estimator would change {share:.0%}.",
                cause="unknown values",
                remedy=f"Give {columns} the values that the model learned: encoders may leave out "
                "those that they do not know. If the model was not to learn it, name this check in "
                "[check] ignore.",
            )
    return Check(name=name, outcome="noted", found=found)


def _changes(subject: TableSubject, target: TableTarget, rows: Rows) -> NDArray[np.bool_]:
    """Tells for which rows a model answers otherwise where the sensitive value is another."""
    candidates = subject.candidates
    answers = said(target, candidates.fill(rows)).reshape(len(rows), len(candidates), -1)
    return np.asarray(np.ptp(answers, axis=1).max(axis=1) > 1e-9)
