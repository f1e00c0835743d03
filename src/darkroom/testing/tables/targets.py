"""Checks of targets of tables."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from darkroom.access import Access
from darkroom.named import origin
from darkroom.tables.schema import Rows
from darkroom.tables.targets.base import TableTarget, probe_rows
from darkroom.testing.promises import refuses, require

ROWS = 7


def answers(target: TableTarget, rows: Rows) -> dict[str, NDArray[Any]]:
    """Returns all that a target shows of rows, by what it is called."""
    found = {"predictions": target.predict(rows)}
    if target.has_scores:
        found["scores"] = target.scores(rows)
    return found


def shows_what_its_access_says(target: TableTarget, rows: Rows) -> None:
    """Predictions are classes or numbers, scores are probabilities; to show more is refused."""
    name = target.name
    for part in (rows, rows[:0]):
        shown, n = answers(target, part), len(part)
        told = shown["predictions"]
        right = told.shape == (n,) and told.dtype == np.float64 and np.isfinite(told).all()
        require(right, f"target {name} predicts {told.dtype} {list(told.shape)} of {n} rows")
        if target.classes is not None:
            known = np.isin(told, np.arange(target.classes)).all()
            require(known, f"target {name} predicts what is no class")
        if "scores" in shown:
            scores = shown["scores"]
            right = scores.shape == (n, target.classes) and scores.dtype == np.float64
            require(right, f"target {name} answers scores {scores.dtype} {list(scores.shape)}")
            fair = (scores >= 0).all() and np.allclose(scores.sum(axis=1), 1)
            require(fair, f"target {name} answers scores that are no probabilities")
    if target.access is Access.LABEL:
        refuses(lambda: target.scores(rows), f"target {name} says label, and answers scores")


def answers_rows_alike(target: TableTarget, rows: Rows) -> None:
    """A batch, its rows one by one, and the same again get the same answers."""
    whole = answers(target, rows)
    alone = [answers(target, rows[row : row + 1]) for row in range(len(rows))]
    for what, value in whole.items():
        each = np.concatenate([one[what] for one in alone])
        require(
            np.allclose(each, value, rtol=1e-6, atol=1e-9),
            f"target {target.name} answers a batch otherwise than its rows one by one: {what}",
        )
        again = np.array_equal(answers(target, rows)[what], value)
        require(again, f"target {target.name} answers otherwise when asked again: {what}")


def leaves_rows_alone(target: TableTarget, rows: Rows) -> None:
    """What it is asked about is not changed."""
    before = rows.copy()
    answers(target, rows)
    require(np.array_equal(rows, before), f"target {target.name} changes the rows it is given")


def is_told_by_its_fingerprint(target: TableTarget, rows: Rows) -> None:
    """The fingerprint stays as long as the model does, and its code is in a file."""
    one = target.fingerprint()
    require(isinstance(one, str) and one, f"target {target.name} has no fingerprint")
    answers(target, rows)
    require(target.fingerprint() == one, f"target {target.name}: its fingerprint changes by itself")
    origin(type(target))


PROMISES = (
    shows_what_its_access_says,
    answers_rows_alike,
    leaves_rows_alone,
    is_told_by_its_fingerprint,
)
"""What every target of tables owes."""


def check_target(target: TableTarget) -> None:
    """Checks a target by asking it a few rows of its schema.

    Args:
        target: The target.

    Raises:
        AssertionError: If it breaks a promise; the sentence says which.
    """
    for promise in PROMISES:
        promise(target, probe_rows(target.schema, ROWS))
