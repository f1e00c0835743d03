"""Whether rows are in several tables that should have none in common."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import fisher_exact

from darkroom.auditing.record import Check
from darkroom.tables.data import TableData
from darkroom.tables.schema import Rows

CAUSE = "shared rows"
DIGITS = 5
"""Numbers that agree in so many digits are the same."""

BY_CHANCE = 1e-6


def check_public(data: TableData) -> Check:
    """Asks whether public rows are private ones: the baselines would know the answers."""
    private = np.concatenate([data.members.rows, data.others.rows])
    return _check(
        "public rows",
        data.public.rows,
        private,
        "public rows are private ones as well, value by value",
        "Leave private rows out of the public table: baselines learn their answers from it.",
    )


def check_others(data: TableData) -> Check | None:
    """Asks whether rows that the model was not trained on are rows that it was."""
    if not len(data.others.rows):
        return None
    return _check(
        "held-out rows",
        data.others.rows,
        data.members.rows,
        "rows that the model was not trained on are rows that it was, value by value",
        "Leave them out, or say rightly which rows the model was trained on (trained_on).",
    )


def _check(name: str, rows: Rows, known: Rows, what: str, remedy: str) -> Check:
    """Compares how many rows are known with how many are there twice by chance.

    Half of the rows against the other half tell how often two rows of these columns agree by
    chance, which those of few categories often do.
    """
    codes = _codes(np.concatenate([rows, known]))
    own, others = codes[: len(rows)], codes[len(rows) :]
    shared = np.isin(own, others)
    found = f"{int(shared.sum()):,} of {len(rows):,} {what}."
    passed = Check(name=name, outcome="passed", found=found)
    if not shared.any():
        return passed
    half = np.random.default_rng(0).permutation(len(own)) % 2 == 0
    size = min(int(half.sum()), len(others))
    usual = np.isin(own[~half], own[half][:size])
    some = np.random.default_rng(1).permutation(len(others))[:size]
    seen = np.isin(own[~half], others[some])
    table = [[part.sum(), len(part) - part.sum()] for part in (seen, usual)]
    if size < len(others) and not usual.any():
        # Nothing is there twice, so every row that is shared counts.
        table[0] = [int(shared.sum()), len(own) - int(shared.sum())]
        table[1] = [0, len(own)]
    unlikely = float(fisher_exact(table, alternative="greater").pvalue)
    if unlikely < BY_CHANCE:
        return Check(name=name, outcome="failed", found=found, cause=CAUSE, remedy=remedy)
    return passed.model_copy(update={"outcome": "noted"})


def _codes(rows: Rows) -> NDArray[np.int64]:
    """Returns a number for each different row, ``(n,)``."""
    size = np.abs(rows)
    power = np.floor(np.log10(np.where(size > 0, size, 1.0)))
    rounded = np.round(rows / 10**power, DIGITS - 1) * 10**power
    # What is missing in both rows is the same in both.
    whole = np.where(np.isnan(rows), np.inf, rounded.round(9))
    return np.unique(whole, axis=0, return_inverse=True)[1].ravel().astype(np.int64)
