"""What a model says of rows, and what the same estimator says that is fitted again."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from darkroom.errors import TargetError
from darkroom.tables.data import Encoded, take
from darkroom.tables.schema import Rows
from darkroom.tables.targets.base import TableTarget

MOST_ROWS, MOST_FITTED = 300, 2000
"""Rows of which checks ask a model, and to which an estimator is fitted again."""

NOISE = 10
"""Rows that say nothing for each row, beside which an estimator is fitted again."""


def said(target: TableTarget, rows: Rows) -> NDArray[np.float64]:
    """Returns all that a model answers to rows, ``(n, answers)``."""
    return target.scores(rows) if target.has_scores else target.predict(rows)[:, None]


def some(encoded: Encoded, most: int = MOST_ROWS) -> Encoded:
    """Returns as many rows as are needed, by lot, in their order."""
    count = len(encoded.rows)
    if count <= most:
        return encoded
    return take(encoded, np.sort(np.random.default_rng(0).permutation(count)[:most]))


def refitted(target: TableTarget, rows: Encoded) -> TableTarget | None:
    """Returns the same estimator fitted to rows.

    ``None`` where nothing can be fitted, and where fitting learns nothing from the rows: what
    only holds a model that was fitted before (scikit-learn's ``FrozenEstimator``) says nothing
    about how they are read.
    """
    answers = said(target, rows.rows)
    again = target.refitted(rows.rows, rows.response)
    found = _said(again, rows.rows)
    if found is None or not np.array_equal(found, answers):
        return None if found is None else again
    shuffled = np.random.default_rng(0).permutation(rows.response)
    other = _said(target.refitted(rows.rows, shuffled), rows.rows)
    return None if other is None or np.array_equal(other, answers) else again


def _said(model: TableTarget | None, rows: Rows) -> NDArray[np.float64] | None:
    """Returns what a model answers; ``None`` where it was fitted to too few rows to answer."""
    try:
        return None if model is None else said(model, rows)
    except TargetError:
        return None


class Again(NamedTuple):
    """The same estimator as a model's, fitted again to rows that the model was trained on.

    Attributes:
        model: What was fitted; ``None`` where nothing can be.
        rows: Some of the rows, which it was fitted to.
        members: How many rows the model was trained on.
    """

    model: TableTarget | None
    rows: Encoded
    members: int

    @classmethod
    def of(cls, target: TableTarget, members: Encoded) -> Again:
        """Fits it to no more rows than take a moment."""
        fitted = some(members, MOST_FITTED)
        return cls(refitted(target, fitted), some(fitted), len(members.rows))

    def beside_noise(self, target: TableTarget) -> TableTarget | None:
        """Returns the estimator fitted to its rows and to many more that say nothing.

        What it still knows of its rows, it knows whatever else it learned, up to as many rows.

        Returns:
            ``None`` where nothing can be fitted, or the model was trained on more rows.
        """
        rng, count = np.random.default_rng(0), NOISE * len(self.rows.rows)
        if self.members > len(self.rows.rows) + count:
            return None
        drawn = np.column_stack([rng.choice(column, count) for column in self.rows.rows.T])
        response = rng.choice(self.rows.response, count)
        more = target.refitted(
            np.concatenate([self.rows.rows, drawn]), np.concatenate([self.rows.response, response])
        )
        return None if _said(more, self.rows.rows) is None else more
