"""Whether a model knows its rows by heart where its estimator would."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from darkroom.auditing.record import Check
from darkroom.errors import TargetError
from darkroom.tables.checks.fitting import Again, said, some
from darkroom.tables.checks.knowledge import SURE
from darkroom.tables.checks.mixed_up import losses_of
from darkroom.tables.data import Encoded, take
from darkroom.tables.subject import TableSubject
from darkroom.tables.targets.base import TableTarget

NAME = "by heart"

LEAST = 20
"""So many rows can be compared."""

EXACT = 0.01
"""The share of the loss of who knows nothing that an answer by heart may have, as tables are
rounded: of a number, a tenth of its standard deviation."""

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
    target, model, own, others = subject.target, again.model, again.rows, _others(subject)
    if model is None:
        return _passed("Not asked: the model cannot be fitted again.")
    if min(len(own.rows), len(others.rows)) < LEAST:
        return _passed("Not asked: too few rows to compare.")
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
    error = np.hypot(_error(known), (1 - share) * _error(strange)) / (1 - chance)
    if share + SURE * error >= NEARLY_ALL:
        return _passed(f"{found}.")
    more = again.beside_noise(target)
    if more is None or _exact(more, own, truth).mean() < ALL:
        told = f"{found}, and may have learned from more than its estimator can know so."
        return Check(name=NAME, outcome="noted", found=told)
    return Check(
        name=NAME,
        outcome="failed",
        found=f"{found}. The same estimator knows all that it is fitted to.",
        cause="trained_on",
        remedy="Name in [private] trained_on the rows that the model was trained on, and give them "
        "as they were then, each with its own response. If it learned them otherwise on purpose, "
        "name this check in [check] ignore.",
    )


def _passed(found: str) -> Check:
    return Check(name=NAME, outcome="passed", found=found)


def _others(subject: TableSubject) -> Encoded:
    """Returns rows that were not learned: those held out, else public ones with a response."""
    if len(subject.data.others.rows) >= LEAST:
        return some(subject.data.others)
    public = subject.data.public
    return some(take(public, np.flatnonzero(np.isfinite(public.response))))


def _error(values: NDArray[np.float64]) -> float:
    """Returns the standard error of a mean."""
    return float(values.std(ddof=1) / np.sqrt(len(values)))


def _exact(model: TableTarget, rows: Encoded, truth: NDArray[np.float64]) -> NDArray[np.float64]:
    """Tells which rows are answered exactly, but for rounding; 1 or 0, ``(n,)``."""
    losses = losses_of(said(model, rows.rows), rows.response, truth, model)
    return np.asarray(losses.each <= EXACT * losses.chance, dtype=np.float64)
