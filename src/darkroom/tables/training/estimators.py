"""Differentially private estimators with scikit-learn's interface.

The noise is NumPy's, in floating point, not a cryptographic generator's on a grid: enough to
measure what privacy costs and stops, not to withstand attacks through the last bits of a released
model (Mironov 2012). With ``random_state`` the noise is known to who knows it.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import optimize, stats
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils.validation import check_is_fitted

from darkroom.errors import DataError

Floats = NDArray[np.float64]


def gaussian_deviation(epsilon: float, delta: float) -> float:
    """Returns the least noise that makes a sum of sensitivity 1 private (Balle & Wang 2018).

    >>> round(gaussian_deviation(1.0, 1e-5), 2)
    3.73
    """

    def excess(deviation: float) -> float:
        half, far = 1 / (2 * deviation), epsilon * deviation
        spared = np.exp(epsilon + stats.norm.logcdf(-half - far))
        return float(stats.norm.cdf(half - far) - spared - delta)

    return float(optimize.brentq(excess, 1e-3, 1e6))


class PrivateRidge(RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """Ridge regression from noisy second moments.

    Every row is scaled into bounds that are known beforehand, and cut where it lies beyond; the
    matrix of second moments of inputs, response and one, which is all that regression needs, gets
    Gaussian noise (Dwork et al. 2014), in one draw for one epsilon. Ridge as strong as the noise
    keeps the system solvable (Sheffet 2017).

    Differences from the papers: the noise is calibrated exactly (Balle & Wang 2018), and the ridge
    is the expected spectral norm of the noise. Neighbours differ by adding or removing one row.

    Attributes:
        coef_, intercept_: In the units of the inputs, as scikit-learn's linear models have them.
    """

    def __init__(
        self,
        *,
        epsilon: float = 1.0,
        delta: float = 1e-5,
        low: tuple[float, ...] = (0.0,),
        high: tuple[float, ...] = (1.0,),
        response_low: float = 0.0,
        response_high: float = 1.0,
        random_state: int | None = None,
    ) -> None:
        """Keeps parameters; see :class:`darkroom.tables.training.private.PrivateRegression`."""
        self.epsilon = epsilon
        self.delta = delta
        self.low = low
        self.high = high
        self.response_low = response_low
        self.response_high = response_high
        self.random_state = random_state

    def fit(self, X: ArrayLike, y: ArrayLike) -> PrivateRidge:  # noqa: N803
        """Learns from rows ``(n, inputs)`` and responses ``(n,)``.

        Raises:
            DataError: If there are not as many bounds as inputs.
        """
        rows, response = _numbers(X), np.asarray(y, np.float64)
        low, width = _bounds(self.low, self.high, rows.shape[1])
        inputs = (2 * ((rows - low) / width).clip(0, 1) - 1) if rows.size else rows
        middle = (self.response_low + self.response_high) / 2
        reach = (self.response_high - self.response_low) / 2
        answers = ((response - middle) / reach).clip(-1, 1)
        together = np.column_stack([inputs, np.ones(len(rows)), answers])
        # Of length 1 at most, so a row changes the moments by a matrix of norm 1 at most.
        together /= math.sqrt(together.shape[1])
        noisy = together.T @ together + self._noise(together.shape[1])
        ridge = 2 * gaussian_deviation(self.epsilon, self.delta) * math.sqrt(together.shape[1])
        inner, outer = noisy[:-1, :-1], noisy[:-1, -1]
        values, vectors = np.linalg.eigh(inner)
        kept = np.maximum(values, 0) + ridge
        weights = vectors @ ((vectors.T @ outer) / kept)
        slopes = 2 * weights[:-1] / width
        self.coef_ = slopes * reach
        self.intercept_ = float((weights[-1] - (slopes * low).sum() - weights[:-1].sum()) * reach)
        self.intercept_ += middle
        self.n_features_in_ = rows.shape[1]
        return self

    def predict(self, X: ArrayLike) -> Floats:  # noqa: N803
        """Returns responses of rows ``(n, inputs)``."""
        check_is_fitted(self)
        predicted: Floats = _numbers(X) @ self.coef_ + self.intercept_
        return predicted.clip(self.response_low, self.response_high)

    def _noise(self, size: int) -> Floats:
        """Draws a symmetric matrix of noise.

        A row changes the upper triangle by a vector of length 1 at most.
        """
        rng = np.random.default_rng(self.random_state)
        deviation = gaussian_deviation(self.epsilon, self.delta)
        upper = np.triu(rng.normal(0, deviation, (size, size)))
        noise: Floats = upper + np.triu(upper, 1).T
        return noise


class PrivateTree(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A tree with random questions and noisy counts in its leaves.

    The questions are drawn without looking at a row (Fletcher & Islam 2017), so they cost nothing;
    the leaves' counts of each class get Laplace noise of scale 1 / epsilon (Dwork et al. 2006),
    which costs epsilon once, for a row is in one leaf alone.

    Differences from the paper: one tree, and noisy counts in the place of a noisy majority, so that
    the tree has probabilities. Neighbours differ by adding or removing one row.

    Attributes:
        classes_: All classes, as told.
        counts_: Of each leaf and class, ``(2 ** depth, classes)``; 0 or more.
    """

    def __init__(
        self,
        *,
        epsilon: float = 1.0,
        classes: tuple[Any, ...] = (0, 1),
        depth: int = 5,
        low: tuple[float, ...] = (0.0,),
        high: tuple[float, ...] = (1.0,),
        random_state: int | None = None,
    ) -> None:
        """Keeps parameters; see :class:`darkroom.tables.training.private.PrivateForest`."""
        self.epsilon = epsilon
        self.classes = classes
        self.depth = depth
        self.low = low
        self.high = high
        self.random_state = random_state

    def fit(self, X: ArrayLike, y: ArrayLike) -> PrivateTree:  # noqa: N803
        """Learns from rows ``(n, inputs)`` and classes ``(n,)``.

        Raises:
            DataError: If a class is none of those told, or bounds are missing.
        """
        rows, named = _numbers(X), np.asarray(y)
        low, width = _bounds(self.low, self.high, rows.shape[1])
        rng = np.random.default_rng(self.random_state)
        self.classes_ = np.array(sorted(self.classes))
        places = np.searchsorted(self.classes_, named).clip(0, len(self.classes_) - 1)
        if (self.classes_[places] != named).any():
            raise DataError(
                "training defence dp-tree: the response has a value that is none of the classes: "
                "name all of them"
            )
        # As many questions as inner nodes, in the order of a heap. One on a column halves what an
        # earlier one on it left, at a point drawn between the bounds that are left.
        nodes = 2**self.depth - 1
        self.columns_ = rng.integers(rows.shape[1], size=nodes)
        self.points_ = self._points(low, low + width, rng)
        self.n_features_in_ = rows.shape[1]
        counts = np.zeros((nodes + 1, len(self.classes_)))
        np.add.at(counts, (self._leaves(rows), places), 1)
        self.counts_ = (counts + rng.laplace(0, 1 / self.epsilon, counts.shape)).clip(0, None)
        return self

    def predict_proba(self, X: ArrayLike) -> Floats:  # noqa: N803
        """Returns the chance of each class, ``(n, classes)``; even where a leaf has no counts."""
        check_is_fitted(self)
        counts = self.counts_[self._leaves(_numbers(X))] + 1e-9
        chances: Floats = counts / counts.sum(axis=1, keepdims=True)
        return chances

    def predict(self, X: ArrayLike) -> NDArray[Any]:  # noqa: N803
        """Returns the likeliest class of each row."""
        named: NDArray[Any] = self.classes_[self.predict_proba(X).argmax(axis=1)]
        return named

    def _points(self, low: Floats, high: Floats, rng: np.random.Generator) -> Floats:
        """Draws where each question divides its column."""
        lows, highs = (
            np.tile(low, (2 ** (self.depth + 1), 1)),
            np.tile(high, (2 ** (self.depth + 1), 1)),
        )
        points = np.empty(len(self.columns_))
        for node, column in enumerate(self.columns_):
            points[node] = rng.uniform(lows[node, column], highs[node, column])
            for child in (2 * node + 1, 2 * node + 2):
                lows[child], highs[child] = lows[node], highs[node]
            highs[2 * node + 1, column] = lows[2 * node + 2, column] = points[node]
        return points

    def _leaves(self, rows: Floats) -> NDArray[np.int64]:
        """Returns the leaf of each row, ``(n,)``."""
        nodes: NDArray[np.int64] = np.zeros(len(rows), np.int64)
        everyone = np.arange(len(rows))
        for _ in range(self.depth):
            above = rows[everyone, self.columns_[nodes]] > self.points_[nodes]
            nodes = 2 * nodes + 1 + above
        leaves: NDArray[np.int64] = nodes - (2**self.depth - 1)
        return leaves


def _numbers(rows: ArrayLike) -> Floats:
    return np.asarray(rows, np.float64)


def _bounds(low: tuple[float, ...], high: tuple[float, ...], columns: int) -> tuple[Floats, Floats]:
    """Returns the lower bound and the width of each column.

    Raises:
        DataError: If there are neither as many bounds as columns, nor one pair for all.
    """
    if len(low) not in (1, columns) or len(low) != len(high):
        raise DataError(
            f"differentially private training: {len(low)} bounds for {columns} inputs: give a low "
            "and a high for each, or one pair for all"
        )
    lows = np.broadcast_to(np.asarray(low, np.float64), columns)
    return lows, np.broadcast_to(np.asarray(high, np.float64), columns) - lows
