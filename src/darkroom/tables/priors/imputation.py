"""Imputation: what statistics tell of a sensitive value, without the model under audit."""

from __future__ import annotations

import warnings
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from darkroom.errors import MissingExtraError
from darkroom.tables.candidates import Belief, Candidates, Spread
from darkroom.tables.priors.counts import (
    MarginalsPrior,
    Probabilities,
    TablePrior,
    Unknown,
    marginals,
    require_public,
)
from darkroom.tables.priors.regression import (
    LEARNED,
    REGRESSIONS,
    TRIED,
    Regression,
    folds,
    jobs,
    sampled,
)
from darkroom.tables.schema import MOST_VALUES, Column, Rows

Model = Literal["auto", "logistic", "forest"]


class Imputer:
    """What the public rows tell of a sensitive value, without the model under audit.

    Of a category, ``auto`` takes whichever of a logistic regression and a random forest has the
    lower cross-validated log-loss. Of a number, it takes whichever of linear regression, boosted
    trees and nearest neighbours is off least on rows that it has not seen; how far it is off there
    says how probable other values are. Where that is no better than the plain frequencies, those
    are what is left.

    Attributes:
        chosen: ``logistic``, ``linear``, ``boosted``, ``neighbours``, ``forest`` or ``marginals``.
    """

    def __init__(
        self,
        candidates: Candidates,
        public: Rows,
        *,
        response: NDArray[np.float64] | None = None,
        model: Model = "auto",
        seed: int = 0,
    ) -> None:
        """Trains.

        Args:
            candidates: The values to choose among.
            public: Rows whose sensitive columns are known, ``(n, columns)``. A number that is
                missing in another one is taken for their mean, and that it is missing for a feature
                of its own.
            response: Their true response, if the attacker may use it, ``(n,)``.
            model: Which kind; for a number, ``logistic`` is linear regression.
            seed: Decides whatever is drawn, and the folds.

        Raises:
            DataError: If there are no public rows.
            MissingExtraError: If scikit-learn is not installed.
        """
        require_public(public, "imputation")
        schema = candidates.schema
        self.candidates = candidates
        self._columns = [(int(place), schema.columns[place]) for place in schema.visible]
        self._response = schema.response if response is not None else None
        self._shares = marginals(candidates, public, 1.0)
        self._holes: NDArray[np.bool_] = np.asarray(np.isnan(public).any(axis=0))
        features = self._raw_features(public, response)
        self._mean, self._spread = np.nanmean(features, axis=0), np.nanstd(features, axis=0)
        truth = candidates.place(public)
        self._trust = len(public) / (len(public) + 1)
        self._regression: Regression | None = None
        self._model: Any = None
        if candidates.numeric:
            number = public[:, candidates.positions[0]]
            self._regression = self._regressed(self._scaled(features), number, truth, model, seed)
            self.chosen = "marginals" if self._regression is None else self._regression.name
        else:
            self.chosen, self._model = _fitted(self._scaled(features), truth, model, seed)

    def belief(self, known: Rows, response: NDArray[np.float64] | None = None) -> Belief:
        """Returns how probable each candidate is, and where a number lies between them.

        Args:
            known: ``(n, columns)``; hidden columns are not looked at.
            response: The rows' true response if the imputer was trained with it, ``(n,)``.
        """
        filled = np.tile(self._shares, (len(known), 1))
        if not len(known) or (self._model is None and self._regression is None):
            return Belief(filled)
        features, spread = self._scaled(self._raw_features(known, response)), None
        if self._regression is not None:
            spread = self._regression.spread(features)
            found = self.candidates.chances(spread)
        else:
            found = np.zeros_like(filled)
            found[:, self._model.classes_] = self._model.predict_proba(features)
        # A value that no public row has is rare, not impossible.
        return Belief(self._trust * found + (1 - self._trust) * filled, spread)

    def probabilities(
        self, known: Rows, response: NDArray[np.float64] | None = None
    ) -> Probabilities:
        """Returns how probable each candidate is, ``(n, candidates)``; see :meth:`belief`."""
        return self.belief(known, response).chances

    def _regressed(
        self,
        features: Rows,
        number: NDArray[np.float64],
        truth: NDArray[np.int64],
        model: Model,
        seed: int,
    ) -> Regression | None:
        """Returns the regression that is off least, if it is better than none."""
        require_learning()
        if len(np.unique(truth)) < 2:
            return None
        names = {"auto": REGRESSIONS, "logistic": ("linear",), "forest": ("forest",)}[model]
        if len(truth) > TRIED:
            names = tuple(name for name in names if name != "neighbours")  # it looks at every row
        few = sampled(len(truth), TRIED, seed)
        tried = [Regression.of(name, features[few], number[few], seed) for name in names]
        best = min(tried, key=lambda one: one.error)
        found = self.candidates.chances(Spread(best.held_out, best.residuals))
        usual = self._shares[truth[few]]
        told = self._trust * found[np.arange(len(few)), truth[few]] + (1 - self._trust) * usual
        if model == "auto" and np.log(told).mean() <= np.log(usual).mean():
            return None
        if len(few) == len(truth):
            return best
        learned = sampled(len(truth), LEARNED, seed)
        return best._replace(model=best.model.fit(features[learned], number[learned]))

    def _raw_features(self, rows: Rows, response: NDArray[np.float64] | None) -> Rows:
        parts = [
            _features(rows[:, place], column, holes=bool(self._holes[place]))
            for place, column in self._columns
            if len(column.values) <= MOST_VALUES  # more of them name rows, which tell nothing else
        ]
        if self._response is not None:
            assert response is not None
            parts.append(_features(response, self._response))
        return np.concatenate(parts, axis=1) if parts else np.zeros((len(rows), 1))

    def _scaled(self, features: Rows) -> Rows:
        scaled = (features - self._mean) / np.where(self._spread > 0, self._spread, 1)
        return np.asarray(np.nan_to_num(scaled, nan=0.0))


def _features(values: NDArray[np.float64], column: Column, *, holes: bool = False) -> Rows:
    if column.kind == "numeric":
        return np.column_stack([values, np.isnan(values)] if holes else [values])
    return np.asarray(values[:, None] == np.arange(len(column.values)), dtype=np.float64)


def require_learning() -> None:
    """Refuses to go on without scikit-learn.

    Raises:
        MissingExtraError: If it is not installed.
    """
    try:
        import sklearn  # noqa: F401 - imported for what it raises
    except ImportError as error:
        raise MissingExtraError("scikit-learn", "tables") from error


def _fitted(
    features: Rows, truth: NDArray[np.int64], model: Model, seed: int
) -> tuple[str, Any | None]:
    """Returns the better classifier's name and itself, trained."""
    require_learning()
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.linear_model import LogisticRegression

    if len(np.unique(truth)) < 2:
        return "marginals", None
    kinds = {
        "logistic": LogisticRegression(max_iter=2000),
        "forest": RandomForestClassifier(
            100, min_samples_leaf=5, random_state=seed, n_jobs=jobs(len(truth))
        ),
    }
    if model == "auto":
        tried = sampled(len(truth), TRIED, seed)
        few, told = features[tried], truth[tried]
        losses = {name: _loss(kind, few, told, seed) for name, kind in kinds.items()}
        losses["marginals"] = _loss(None, few, told, seed)
        model_name = min(losses, key=lambda name: losses[name])
    else:
        model_name = model
    if model_name == "marginals":
        return "marginals", None
    learned = sampled(len(truth), LEARNED, seed)
    return model_name, _fit(kinds[model_name], features[learned], truth[learned])


def _fit(kind: Any, features: Rows, truth: NDArray[np.int64]) -> Any:
    """Trains a classifier; one that has not quite converged is weighed like any other."""
    with warnings.catch_warnings(action="ignore"):
        return kind.fit(features, truth)


def _loss(kind: Any, features: Rows, truth: NDArray[np.int64], seed: int) -> float:
    """Returns the mean log-loss over folds; ``None`` is the frequencies alone."""
    from sklearn.base import clone

    values = int(truth.max()) + 1
    total = 0.0
    for learn, test in folds(len(truth), seed):
        counts = np.bincount(truth[learn], minlength=values)
        shares = (counts + 1 / values) / (counts.sum() + 1)
        chances = np.tile(shares, (int(test.sum()), 1))
        if kind is not None and (counts > 0).sum() > 1:
            fitted = _fit(clone(kind), features[learn], truth[learn])
            trust = learn.sum() / (learn.sum() + 1)
            chances *= 1 - trust
            chances[:, fitted.classes_] += trust * fitted.predict_proba(features[test])
        total -= float(np.log(chances[np.arange(len(chances)), truth[test]]).sum())
    return total / len(truth)


class ImputationPrior(TablePrior):
    """A trained imputation model as prior.

    It does not use the response: the attack weighs that itself, and would count it twice.
    """

    name: ClassVar[str] = "imputation"

    def __init__(
        self, candidates: Candidates, public: Rows, *, model: Model = "auto", seed: int = 0
    ) -> None:
        """Trains; see :class:`Imputer`."""
        self.candidates = candidates
        self._imputer = Imputer(candidates, public, model=model, seed=seed)
        self._usual = MarginalsPrior(candidates, public)

    @property
    def chosen(self) -> str:
        """Which classifier it is."""
        return self._imputer.chosen

    def probabilities(self, known: Rows) -> Probabilities:
        """Asks the imputation model."""
        return self._imputer.probabilities(known)

    def spread(self, known: Rows) -> Spread | None:
        """Asks it where a number lies."""
        return self._imputer.belief(known).spread

    def unknown(self, known: Rows, most: int, rng: np.random.Generator) -> Unknown:
        """Lists or draws values by their frequencies in public rows."""
        return self._usual.unknown(known, most, rng)
