"""What statistics tell of a number: regression, with how far it is off."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from darkroom.tables.candidates import Spread
from darkroom.tables.schema import Rows

Values = NDArray[np.float64]

FOLDS = 5

TRIED = 20_000
"""Rows that models are compared on; with more, the better one is as clear."""

LEARNED = 100_000
"""Rows that the chosen one learns from: more hardly change what it says, and cost hours."""


class Regression(NamedTuple):
    """A regression of a number, trained on public rows.

    Attributes:
        name: Which it is.
        model: The estimator.
        held_out: What others of its kind say of rows that they have not seen, ``(rows,)``, in the
            public rows' order.
        residuals: By how much those are off, in increasing order, ``(rows,)``.
    """

    name: str
    model: Any
    held_out: Values
    residuals: Values

    @classmethod
    def of(cls, name: str, features: Rows, truth: Values, seed: int) -> Regression:
        """Trains a regression, and others to know how far off it is.

        Args:
            name: One of :data:`REGRESSIONS`, or ``forest``.
            features: ``(rows, features)``.
            truth: The number of each row, ``(rows,)``, two or more.
            seed: Decides the folds, and whatever the regression draws.
        """
        from sklearn.base import clone

        model, held_out = _unfitted(name, len(truth), seed), np.empty(len(truth))
        for learn, test in folds(len(truth), seed):
            fitted = clone(model).fit(features[learn], truth[learn])
            held_out[test] = fitted.predict(features[test])
        return cls(name, model.fit(features, truth), held_out, np.sort(truth - held_out))

    @property
    def error(self) -> float:
        """By how much it is off on average, on rows that it has not seen."""
        return float(np.abs(self.residuals).mean())

    def spread(self, features: Rows) -> Spread:
        """Returns where the number of each row lies, by all that is known of it."""
        middle = self.model.predict(features) if len(features) else np.empty(0)
        return Spread(np.asarray(middle, np.float64), self.residuals)


REGRESSIONS = ("linear", "boosted", "neighbours")
"""The regressions that are tried; ``forest`` is there for who asks for it."""


def _unfitted(name: str, rows: int, seed: int) -> Any:
    """Returns a regression for so many rows, not trained yet."""
    from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestRegressor
    from sklearn.linear_model import LinearRegression
    from sklearn.neighbors import KNeighborsRegressor

    return {
        "linear": LinearRegression(),
        "boosted": HistGradientBoostingRegressor(max_iter=200, random_state=seed),
        "neighbours": KNeighborsRegressor(max(1, min(10, rows // 5)), weights="distance"),
        "forest": RandomForestRegressor(
            100, min_samples_leaf=5, random_state=seed, n_jobs=jobs(rows)
        ),
    }[name]


def folds(rows: int, seed: int) -> Iterator[tuple[NDArray[np.bool_], NDArray[np.bool_]]]:
    """Yields which rows to learn from and which to try on, ``(rows,)`` each."""
    fold = np.random.default_rng(seed).permutation(rows) % FOLDS
    for one in range(FOLDS):
        learn, test = fold != one, fold == one
        if learn.any() and test.any():
            yield learn, test


def sampled(rows: int, most: int, seed: int) -> NDArray[np.int64]:
    """Returns the places of all rows in order, or of so many drawn ones, ``(rows or most,)``."""
    if rows <= most:
        return np.arange(rows)
    return np.sort(np.random.default_rng([seed, most]).choice(rows, most, replace=False))


def jobs(rows: int) -> int | None:
    """Returns how many processors a forest of so many rows is worth; ``None`` is one."""
    return -1 if rows > TRIED else None
