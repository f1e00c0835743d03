"""scikit-learn estimators and pipelines as table targets."""

from __future__ import annotations

import hashlib
import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from darkroom.access import Access
from darkroom.errors import MissingExtraError, TargetError, one_line
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
from darkroom.tables.targets.forests import forest_of
from darkroom.tables.targets.native import catboost_content, refuse_survival, require_columns

AS_FUNCTION = """with [target] kind = "function" (and outputs = "scores" for confidences)"""
"""How whatever is no estimator is audited."""


class SklearnTableTarget(TableTarget):
    """Any fitted scikit-learn classifier, regressor or pipeline.

    Models that were fitted on a DataFrame get one with the same columns; others get an array.
    Decision trees, forests of them, gradient boosting of both kinds, XGBoost, LightGBM and CatBoost
    show their structure, linear models their coefficients; within a pipeline the last step does.
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
        refuse_survival(self._last)
        if not hasattr(model, "predict"):
            raise TargetError(f"target {self.name}: it has no predict: give a fitted estimator")
        try:
            check_is_fitted(self._last)
        except NotFittedError as error:
            raise TargetError(f"target {self.name}: not fitted: call fit first") from error
        except TypeError as error:
            raise TargetError(
                f"target {self.name}: it has no fit, and is no scikit-learn estimator: give a "
                f"function that calls it {AS_FUNCTION}"
            ) from error
        self._forest = forest_of(self._last)
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
        names = self._fitted_names()
        if names is None:
            width = getattr(self._model, "n_features_in_", len(self.schema.columns))
            if width != len(self.schema.columns):
                raise TargetError(
                    f"target {self.name} takes {width} columns, but the schema has "
                    f"{len(self.schema.columns)}: name its inputs in [target] inputs"
                )
            return False
        require_columns(names, self.schema, self.name)
        return True

    def _fitted_names(self) -> list[str] | None:
        """Returns the columns that the model was fitted on, ``None`` if on an array."""
        found = getattr(self._model, "feature_names_in_", None)
        if found is None:
            found = getattr(self._model, "feature_names_", None)  # CatBoost's word
        if found is None:
            return None
        names = [str(name) for name in found]
        # CatBoost and LightGBM number the columns of arrays.
        if all(re.fullmatch(r"(Column_)?[0-9]+", name) for name in names) and not set(names) & set(
            self.schema.names
        ):
            return None
        return names

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
        found = self._forest
        if found is None:
            return None
        shares = self._order is not None and all(
            value.shape[1] == len(self._order) for value in found.values
        )
        order = self._order if shares and self._order is not None else np.empty(0, np.int64)
        return Trees(found.counts, found.totals, found.values, order)

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
        found = self._forest
        if found is None:
            return super().leaves(rows)
        if not len(rows):
            return np.empty((0, len(found.counts)), np.int64)

        def apply(table: Any) -> Any:
            return found.leaves(table if self._prepare is None else self._prepare.transform(table))

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
        fitted = fitted_hash(self._model, self._last, self.name)
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


def fitted_hash(model: Any, last: Any, name: str) -> str:
    """Returns a hash of a fitted estimator.

    Args:
        model: The estimator or pipeline.
        last: Its last step, or itself.
        name: What messages call it.

    Raises:
        TargetError: If a part of it cannot be hashed.
    """
    import joblib

    if type(last).__module__.startswith("catboost"):
        # CatBoost keeps the hour of its training; the steps before it are hashed as others are.
        steps = model[:-1] if model is not last else None
        own = hashlib.sha1(catboost_content(last), usedforsecurity=False).hexdigest()
        return own + str(joblib.hash(steps, hash_name="sha1"))
    try:
        return str(joblib.hash(model, hash_name="sha1"))
    except Exception as error:
        raise TargetError(
            f"target {name}: a part of it cannot be hashed ({one_line(error)}): replace lambdas "
            "and local classes in it by named functions of a module"
        ) from error
