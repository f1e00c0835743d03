"""A small table and models of it, to try parts on."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from darkroom.tables.candidates import Candidates
from darkroom.tables.priors.counts import MarginalsPrior, TablePrior
from darkroom.tables.schema import Column, Rows, Schema
from darkroom.tables.targets.base import TableTarget
from darkroom.tables.targets.sklearn import SklearnTableTarget

COLUMNS = (
    Column("a", "numeric"),
    Column("secret", "categorical", (0, 1, 2)),
    Column("b", "categorical", (0, 1)),
)


class Table(NamedTuple):
    """A model with the rows that it was trained on.

    Attributes:
        target: The model.
        rows: As its schema encodes them, ``(n, columns)``.
        response: The true response of each, ``(n,)``.
        prior: Frequencies in other rows.
    """

    target: TableTarget
    rows: Rows
    response: NDArray[np.float64]
    prior: TablePrior

    @property
    def known(self) -> Rows:
        """What an attacker knows of the rows; the rest is NaN."""
        known = self.rows.copy()
        known[:, self.target.schema.hidden] = np.nan
        return known


def small_rows(n: int = 240, seed: int = 0) -> Rows:
    """Returns rows of :data:`COLUMNS`, ``(n, 3)``; one value of the secret is rare."""
    rng = np.random.default_rng(seed)
    secret = rng.choice(3, size=n, p=[0.5, 0.3, 0.2])
    return np.column_stack([rng.normal(0, 1, n).round(1), secret, rng.integers(2, size=n)])


def small_schema(*, classes: bool = True, unknown: tuple[str, ...] = ()) -> Schema:
    """Returns the schema of a model that predicts a class or a number from :data:`COLUMNS`."""
    response = Column("y", "categorical", (0, 1, 2)) if classes else Column("y", "numeric")
    return Schema(COLUMNS, response, ("secret",), unknown)


def small_table(estimator: Any, *, unknown: tuple[str, ...] = ()) -> Table:
    """Fits an estimator on rows whose response hangs on the secret.

    Args:
        estimator: An unfitted classifier or regressor of scikit-learn.
        unknown: Columns that the attacker does not know beside the secret.
    """
    from sklearn.base import is_classifier

    rows, classes = small_rows(), bool(is_classifier(estimator))
    risk = rows[:, 0] + 1.5 * rows[:, 1] + 0.5 * rows[:, 2]
    risk = risk + np.random.default_rng(1).normal(0, 0.4, len(rows))
    response = np.digitize(risk, [0.5, 2.0]).astype(float) if classes else risk
    model = estimator.fit(rows, response.astype(int) if classes else response)
    schema = small_schema(classes=classes, unknown=unknown)
    prior = MarginalsPrior(Candidates.of(schema), small_rows(300, seed=2))
    return Table(SklearnTableTarget(model, schema), rows, response, prior)
