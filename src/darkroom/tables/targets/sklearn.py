"""scikit-learn estimators and pipelines as table targets."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from darkroom.access import Access
from darkroom.errors import MissingExtraError, TargetError
from darkroom.tables.schema import Rows, Schema
from darkroom.tables.targets.base import (
    Linear,
    Predictions,
    Scores,
    TableTarget,
    Trees,
    answered,
    checked_predictions,
    checked_scores,
    class_places,
)


class SklearnTableTarget(TableTarget):
    """Any fitted scikit-learn classifier, regressor or pipeline.

    Models that were fitted on a DataFrame get one with the same columns; others get an array.
    Decision trees, forests of them and gradient boosting (not its histogram kind) show their
    structure, linear models their coefficients; within a pipeline the last step does.
    """

    def __init__(self, model: Any, schema: Schema, *, name: str | None = None) -> None:
        """Wraps a fitted estimator.

        Args:
            model: Has ``predict``; ``predict_proba`` if it shall answer scores.
            schema: The tables it takes and what it predicts.
            name: What reports call it; the estimator's class when left out.

        Raises:
            TargetError: If it is no fitted estimator, or does not fit the schema.
        """
        try:
            from sklearn.base import is_classifier, is_regressor
            from sklearn.exceptions import NotFittedError
            from sklearn.utils.validation import check_is_fitted
        except ImportError as error:
            raise MissingExtraError("scikit-learn", "tables") from error
        model = getattr(model, "best_estimator_", model)
        steps = getattr(model, "steps", None)
        self._last = steps[-1][1] if steps else model
        self._prepare = model[:-1] if steps and len(steps) > 1 else None
        self._model, self.schema = model, schema
        self.name = name or type(self._last).__name__
        if not hasattr(model, "predict"):
            raise TargetError(f"target {self.name}: it has no predict: give a fitted estimator")
        try:
            check_is_fitted(self._last)
        except (NotFittedError, TypeError) as error:
            raise TargetError(f"target {self.name}: not fitted: call fit first") from error
        self._check_kind(is_classifier(model), is_regressor(model))
        self._named = self._check_columns()
        self._order = self._class_order() if self.classes is not None else None
        self.access = self._access()

    def _check_kind(self, classifies: bool, regresses: bool) -> None:
        response = self.schema.response
        if classifies and response.kind == "numeric":
            raise TargetError(
                f"target {self.name} is a classifier, but the response {response.name!r} is "
                "numeric: declare it categorical with the model's classes"
            )
        if regresses and response.kind == "categorical":
            raise TargetError(
                f"target {self.name} is a regressor, but the response {response.name!r} is "
                "categorical: declare it numeric"
            )

    def _check_columns(self) -> bool:
        """Tells whether the model wants a DataFrame, after comparing its columns."""
        names = getattr(self._model, "feature_names_in_", None)
        if names is None:
            width = getattr(self._model, "n_features_in_", len(self.schema.columns))
            if width != len(self.schema.columns):
                raise TargetError(
                    f"target {self.name} takes {width} columns, but the schema has "
                    f"{len(self.schema.columns)}: name its inputs in [target] inputs"
                )
            return False
        for name in names:
            if name not in self.schema.names:
                raise TargetError(
                    f"target {self.name} was trained on column {name!r}, which the table lacks: "
                    "add it, or rename it"
                )
        for name in self.schema.names:
            if name not in names:
                raise TargetError(
                    f"target {self.name} was not trained on column {name!r}: leave it out of "
                    "[target] inputs"
                )
        if list(names) != list(self.schema.names):
            raise TargetError(
                f"target {self.name} takes its columns in another order, {names[0]!r} first: "
                "give [target] inputs in the model's order"
            )
        return True

    def _class_order(self) -> NDArray[np.int64]:
        """Returns the place among the response's values of each class of the model."""
        classes = getattr(self._model, "classes_", None)
        if classes is None:
            raise TargetError(
                f"target {self.name} has no classes_: declare the response numeric, or wrap the "
                "model in a function of your own"
            )
        return class_places(np.asarray(classes), self)

    def _access(self) -> Access:
        if self.trees is not None or self.linear is not None:
            return Access.WEIGHTS
        return Access.SCORES if self.has_scores else Access.LABEL

    @property
    def has_scores(self) -> bool:
        """Whether it is a classifier with ``predict_proba``."""
        return self.classes is not None and hasattr(self._model, "predict_proba")

    def _table(self, rows: Rows) -> Any:
        frame = self.schema.decode(rows)
        if self._named:
            return frame
        if any(getattr(dtype, "kind", "O") not in "biuf" for dtype in frame.dtypes):
            return frame.to_numpy(object)
        # pandas' own types of numbers that may be missing have one of NumPy's inside.
        types = [getattr(dtype, "numpy_dtype", dtype) for dtype in frame.dtypes]
        return frame.to_numpy(np.result_type(*types))

    def predict(self, rows: Rows) -> Predictions:
        """Asks the model; see :meth:`TableTarget.predict`."""
        if not len(rows):
            return np.empty(0)
        answer = answered(self._model.predict, self._table(rows), self.name)
        return checked_predictions(answer, len(rows), self)

    def scores(self, rows: Rows) -> Scores:
        """Asks the model; see :meth:`TableTarget.scores`."""
        if self._order is None or not self.has_scores:
            return super().scores(rows)
        assert self.classes is not None
        filled = np.zeros((len(rows), self.classes))
        if len(rows):
            answer = answered(self._model.predict_proba, self._table(rows), self.name)
            filled[:, self._order] = answer
        return checked_scores(filled, len(rows), self)

    @property
    def trees(self) -> Trees | None:
        """The structure of a model made of trees, else ``None``."""
        found = _trees(self._last)
        if found is None:
            return None
        counts = tuple(np.asarray(tree.n_node_samples, np.int64) for tree in found)
        values = tuple(np.asarray(tree.value[:, 0], np.float64) for tree in found)
        shares = self._order is not None and all(
            value.shape[1] == len(self._order) for value in values
        )
        order = self._order if shares and self._order is not None else np.empty(0, np.int64)
        return Trees(counts, values, order)

    @property
    def linear(self) -> Linear | None:
        """The weights of a linear model, else ``None``."""
        coefficients = getattr(self._last, "coef_", None)
        if coefficients is None or not hasattr(self._last, "intercept_"):
            return None
        if hasattr(self._last, "support_vectors_"):
            return None
        return Linear(
            np.atleast_2d(np.asarray(coefficients, np.float64)),
            np.atleast_1d(np.asarray(self._last.intercept_, np.float64)),
        )

    def leaves(self, rows: Rows) -> NDArray[np.int64]:
        """Returns the leaf that each row reaches in each tree; see :class:`TableTarget`."""
        found = _trees(self._last)
        if found is None:
            return super().leaves(rows)
        if not len(rows):
            return np.empty((0, len(found)), np.int64)

        def apply(table: Any) -> Any:
            prepared = table if self._prepare is None else self._prepare.transform(table)
            if hasattr(prepared, "tocsr"):
                matrix = prepared.tocsr().astype(np.float32)
            else:
                matrix = np.ascontiguousarray(prepared, dtype=np.float32)
            # Straight to the trees: a booster's own apply warns of names its trees do not have.
            return np.stack([tree.apply(matrix) for tree in found], axis=1)

        return np.asarray(answered(apply, self._table(rows), self.name), dtype=np.int64)

    def refitted(self, rows: Rows, response: NDArray[np.float64]) -> TableTarget | None:
        """Fits an unfitted copy; see :meth:`TableTarget.refitted`."""
        from sklearn.base import clone

        try:
            fitted = clone(self._model).fit(
                self._table(rows), self.schema.response.decode(response)
            )
            return SklearnTableTarget(fitted, self.schema, name=self.name)
        except Exception:  # an estimator of one's own may refuse anything
            return None

    def fingerprint(self) -> str:
        """Returns a hash of the fitted estimator and of the columns that it gets."""
        import joblib

        fitted = joblib.hash(self._model, hash_name="sha1")
        return hashlib.sha256(repr((fitted, self.schema)).encode()).hexdigest()


class UntrainedTableTarget(TableTarget):
    """A scikit-learn estimator that an audit is going to train; it answers nothing.

    Attributes:
        estimator: As its code made it; never fitted here.
    """

    access = Access.LABEL

    def __init__(self, estimator: Any, schema: Schema, *, name: str | None = None) -> None:
        """Wraps an estimator.

        Args:
            estimator: Has ``fit`` and ``predict``.
            schema: The tables it takes and what it predicts.
            name: What reports call it; the class of the last step when left out.

        Raises:
            TargetError: If it is none.
        """
        steps = getattr(estimator, "steps", None)
        self.name = name or type(steps[-1][1] if steps else estimator).__name__
        self.schema = schema
        self.estimator = estimator
        if not (hasattr(estimator, "fit") and hasattr(estimator, "get_params")):
            raise TargetError(
                f"target {self.name}: no scikit-learn estimator: [[training]] fits what [target] "
                "load returns"
            )

    @property
    def has_scores(self) -> bool:
        """Whether it will be a classifier with ``predict_proba``."""
        return self.classes is not None and hasattr(self.estimator, "predict_proba")

    def predict(self, rows: Rows) -> Predictions:  # noqa: ARG002
        """Refuses; see :meth:`TableTarget.predict`."""
        raise TargetError(f"target {self.name} is not trained yet")

    def fingerprint(self) -> str:
        """Returns a hash of the estimator's parameters and of the columns that it gets."""
        import joblib

        return hashlib.sha256(repr((joblib.hash(self.estimator), self.schema)).encode()).hexdigest()


def _trees(model: Any) -> list[Any] | None:
    """Returns the trees of a model in the order of its ``apply``, or ``None``."""
    if not hasattr(model, "apply"):
        return None
    if hasattr(model, "tree_"):
        return [model.tree_]
    estimators = getattr(model, "estimators_", None)
    if estimators is None:
        return None
    flat = np.asarray(estimators, dtype=object).ravel().tolist()
    return [one.tree_ for one in flat] if all(hasattr(one, "tree_") for one in flat) else None
