"""Whether a model knows its rows by heart where its estimator would."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from darkroom.auditing.record import Check
from darkroom.errors import TargetError
from darkroom.tables.checks.fitting import Again, said, some
from darkroom.tables.checks.knowledge import SURE
from darkroom.tables.checks.mixed_up import losses_of
from darkroom.tables.data import Encoded
from darkroom.tables.subject import TableSubject
from darkroom.tables.targets.base import TableTarget

NAME = "by heart"

LEAST = 20
"""So many rows can be compared."""

EXACT = 0.01
"""The share of the loss of who knows nothing that an answer by heart may have, for rounding."""

ALL, NEARLY_ALL = 0.99, 0.9
"""The share of its rows that an estimator knows which learns by heart, and that a model of these
rows must know."""

MOST_BY_CHANCE = 0.8
"""Where more of other rows are answered exactly, nothing is to be seen."""


def check_by_heart(subject: TableSubject, again: Again) -> Check:
    """Asks how many rows the model knows by heart, if its estimator learns by heart.

    An estimator that answers all rows exactly that it is fitted to, however many (nearest
    neighbours, deep trees), knows those and few others. So the share that a model knows is that of
    the rows that it was trained on, whatever else it was trained on.

    Args:
        subject: The model and its rows.
        again: The same estimator, fitted to these rows.
    """
    data, target, model, own = subject.data, subject.target, again.model, again.rows
    others = some(data.others if len(data.others.rows) >= LEAST else data.public)
    few = min(len(own.rows), len(others.rows)) < LEAST
    if model is None or few or not np.isfinite(others.response).all():
        return _passed("Not asked: the model cannot be fitted again, or there are too few rows.")
    truth = np.concatenate([own.response, others.response])
    try:
        fitted, strange = _exact(model, own, truth), _exact(model, others, truth)
    except TargetError:
        return _passed("Not asked: fitted again, the estimator does not take other rows.")
    known, chance = _exact(target, own, truth), float(strange.mean())
    if fitted.mean() < ALL or chance > MOST_BY_CHANCE:
        return _passed("Not asked: the model's estimator does not learn by heart.")
    share = (float(known.mean()) - chance) / (float(fitted.mean()) - chance)
    found = f"The model knows about {max(share, 0):.0%} of its rows by heart"
    error = float(known.std(ddof=1)) / np.sqrt(len(known)) / (1 - chance)
    if share + SURE * error >= NEARLY_ALL:
        return _passed(f"{found}.")
    more = again.beside_noise(target)
    if more is None or _exact(more, own, truth).mean() < ALL:
        return _passed(f"{found}. Its estimator knows few rows, and it may have learned from more.")
    return Check(
        name=NAME,
        outcome="failed",
        found=f"{found}. The same estimator, fitted to these rows, knows all of them.",
        cause="trained_on",
        remedy="Name in [private] trained_on the rows that the model was trained on, and give them "
        "as they were then, each with its own response. If it learned them otherwise on purpose, "
        "name this check in [check] ignore.",
    )


def _passed(found: str) -> Check:
    return Check(name=NAME, outcome="passed", found=found)


def _exact(model: TableTarget, rows: Encoded, truth: NDArray[np.float64]) -> NDArray[np.float64]:
    """Tells which rows are answered exactly, but for rounding; 1 or 0, ``(n,)``."""
    losses = losses_of(said(model, rows.rows), rows.response, truth, model)
    return np.asarray(losses.each <= EXACT * losses.chance, dtype=np.float64)
