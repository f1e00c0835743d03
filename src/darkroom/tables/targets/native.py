"""Boosters of XGBoost, LightGBM and CatBoost without scikit-learn around them, and statsmodels."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from darkroom.access import Access
from darkroom.errors import TargetError
from darkroom.imports import library
from darkroom.tables.schema import Rows, Schema
from darkroom.tables.targets.base import (
    Predictions,
    Scores,
    TableTarget,
    Trees,
    answered,
    checked_predictions,
    checked_scores,
)
from darkroom.tables.targets.forests import forest_of

CONSTANTS = ("const", "Intercept", "intercept")
"""What statsmodels and those who use it call a column of ones."""


class Native(NamedTuple):
    """A model with an interface of its own.

    Attributes:
        columns: The inputs that it was fitted on, in order; empty where it does not tell.
        ask: Takes a DataFrame; returns probabilities, labels or values.
        content: All that decides its answers, for a hash.
    """

    columns: Sequence[str]
    ask: Callable[[Any], Any]
    content: bytes


def native_of(model: Any) -> Native | None:
    """Returns how a model without scikit-learn's interface is asked; ``None`` for any other."""
    kinds = {f"{one.__module__}.{one.__qualname__}" for one in type(model).__mro__}
    if "xgboost.core.Booster" in kinds:
        return _xgboost(model)
    if "lightgbm.basic.Booster" in kinds:
        return Native(model.feature_name(), model.predict, model.model_to_string().encode())
    named = {"catboost.core.CatBoostClassifier", "catboost.core.CatBoostRegressor"}
    if "catboost.core.CatBoost" in kinds and not kinds & named:
        return _catboost(model)
    if type(model).__module__.startswith("statsmodels."):
        return _statsmodels(model)
    return None


def _xgboost(model: Any) -> Native:
    xgboost = library("xgboost", "a model of XGBoost")

    def ask(table: Any) -> Any:
        return model.predict(xgboost.DMatrix(table, enable_categorical=True))

    return Native(model.feature_names or (), ask, bytes(model.save_raw("ubj")))


def _catboost(model: Any) -> Native:
    loss = str(model.get_all_params().get("loss_function", ""))
    kind = "Probability" if loss in ("Logloss", "CrossEntropy", "MultiClass") else "RawFormulaVal"

    def ask(table: Any) -> Any:
        return model.predict(table, prediction_type=kind)

    return Native(model.feature_names_, ask, catboost_content(model))


def catboost_content(model: Any) -> bytes:
    """Returns all that decides a CatBoost model's answers, without when it was trained."""
    parts = [model.get_leaf_values(), model.get_leaf_weights(), model.get_tree_leaf_counts()]
    borders = model.get_borders() if not model.get_cat_feature_indices() else {}
    words = repr((model.get_scale_and_bias(), borders, model.feature_names_))
    return words.encode() + b"".join(np.ascontiguousarray(part).tobytes() for part in parts)


def _statsmodels(results: Any) -> Native:
    model = results.model
    formula = getattr(model, "formula", None)
    names = [] if formula is not None else list(model.exog_names or ())

    def ask(table: Any) -> Any:
        if not names:
            return np.asarray(results.predict(table))
        whole = table.assign(**{one: 1.0 for one in names if one in CONSTANTS and one not in table})
        return np.asarray(results.predict(whole[names].astype(float)))

    words = (type(model).__qualname__, formula, names, np.asarray(results.params).tolist())
    columns = [name for name in names if name not in CONSTANTS]
    return Native(columns, ask, repr(words).encode())


class NativeTableTarget(TableTarget):
    """A booster or a result of statsmodels, asked as its library does.

    What it answers for a categorical response is read as probabilities: of the second of two
    values where it answers one number a row, else one a class. Values are in the schema's order,
    which is how these libraries number classes.
    """

    def __init__(self, model: Any, schema: Schema, *, name: str | None = None) -> None:
        """Wraps a fitted model.

        Args:
            model: See :func:`native_of`.
            schema: The tables it takes and what it predicts.
            name: What reports call it; its class when left out.

        Raises:
            TargetError: If it is no such model, or was fitted on other columns.
        """
        found = native_of(model)
        self.name, self.schema = name or type(model).__name__, schema
        if found is None:
            raise TargetError(f"target {self.name}: no booster and no result of statsmodels")
        self._native = found
        require_columns(found.columns, schema, self.name)
        home = type(model).__module__
        self._forest = None if home.startswith("statsmodels.") else forest_of(model)
        scored = self.classes is not None
        self.access = Access.SCORES if scored else Access.LABEL
        if self._forest is not None:
            self.access = Access.WEIGHTS

    @property
    def has_scores(self) -> bool:
        """Whether it predicts classes."""
        return self.classes is not None

    def predict(self, rows: Rows) -> Predictions:
        """Asks the model; see :meth:`TableTarget.predict`."""
        if self.classes is not None:
            return np.asarray(self.scores(rows).argmax(axis=1), dtype=np.float64)
        if not len(rows):
            return np.empty(0)
        return checked_predictions(self._ask(rows), len(rows), self)

    def scores(self, rows: Rows) -> Scores:
        """Asks the model; see :meth:`TableTarget.scores`."""
        if self.classes is None:
            return super().scores(rows)
        if not len(rows):
            return np.empty((0, self.classes))
        answer = np.asarray(self._ask(rows), dtype=np.float64)
        if self.classes == 2 and answer.shape in ((len(rows),), (len(rows), 1)):
            second = answer.reshape(-1)
            answer = np.stack([1 - second, second], axis=1)
        return checked_scores(answer, len(rows), self)

    def _ask(self, rows: Rows) -> Any:
        return answered(self._native.ask, self.schema.decode(rows), self.name)

    @property
    def trees(self) -> Trees | None:
        """The structure of a booster; see :class:`TableTarget`."""
        found = self._forest
        if found is None:
            return None
        return Trees(found.counts, found.totals, found.values, np.empty(0, np.int64))

    def leaves(self, rows: Rows) -> NDArray[np.int64]:
        """Returns the leaf that each row reaches in each tree; see :class:`TableTarget`."""
        if self._forest is None:
            return super().leaves(rows)
        if not len(rows):
            return np.empty((0, len(self._forest.counts)), np.int64)
        found = answered(self._forest.leaves, self.schema.decode(rows), self.name)
        return np.asarray(found, dtype=np.int64)

    def fingerprint(self) -> str:
        """Returns a hash of the model and of the columns that it gets."""
        words = repr((self._native.columns, self.schema)).encode()
        return hashlib.sha256(words + self._native.content).hexdigest()


def require_columns(names: Sequence[str], schema: Schema, target: str) -> None:
    """Refuses a table whose columns are not those that a model was fitted on, in its order.

    Args:
        names: The model's; empty where it does not tell.
        schema: The table's.
        target: What messages call the model.

    Raises:
        TargetError: The message names the first column that is wrong.
    """
    if not len(names):
        return
    # LightGBM has no blanks in names.
    blank = {name.replace(" ", "_"): name for name in schema.names}
    names = [name if name in schema.names else blank.get(name, name) for name in names]
    for name in names:
        if name not in schema.names:
            raise TargetError(
                f"target {target} was trained on column {name!r}, which the table lacks: "
                "add it, or rename it"
            )
    for name in schema.names:
        if name not in names:
            raise TargetError(
                f"target {target} was not trained on column {name!r}: leave it out of "
                "[target] inputs"
            )
    if list(names) != list(schema.names):
        raise TargetError(
            f"target {target} takes its columns in another order, {names[0]!r} first: "
            "give [target] inputs in the model's order"
        )


def refuse_survival(model: Any) -> None:
    """Refuses models of survival: they answer risks or logarithms of times, and no times.

    Raises:
        TargetError: The message says what can be audited in their place.
    """
    if any(_is_survival(word) for word in _words_of(model)):
        raise TargetError(
            f"target {type(model).__name__}: a model of survival answers risks, not times: audit "
            "a function that returns what users see, such as the chance to live five years, with "
            '[target] kind = "function"'
        )


def _is_survival(word: str) -> bool:
    first = word.partition(".")[0]
    return first in ("lifelines", "sksurv", "pycox") or word.startswith(
        ("survival:", "Cox", "SurvivalAft", "statsmodels.duration")
    )


def _words_of(model: Any) -> Iterator[str]:
    """Yields where a model comes from, and what it was fitted to."""
    kind = type(model)
    yield f"{kind.__module__}.{kind.__qualname__}"
    if kind.__module__.startswith("statsmodels."):
        return
    yield str(getattr(model, "objective", ""))
    if kind.__module__.startswith("xgboost") and hasattr(model, "save_config"):
        yield str(json.loads(model.save_config())["learner"]["objective"]["name"])
    if kind.__module__.startswith("catboost"):
        yield str(model.get_all_params().get("loss_function", "") if model.is_fitted() else "")
