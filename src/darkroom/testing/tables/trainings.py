"""Checks of training defences for models of tables."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from darkroom.tables.schema import pandas_module
from darkroom.tables.training.base import TableTraining
from darkroom.tables.training.columns import PublicTable
from darkroom.tables.training.course import TableCourse
from darkroom.testing.trainings import check_training


def small_course(response: Literal["dose", "grade"] = "dose") -> TableCourse:
    """Returns sixty rows, and a tree that draws which columns it looks at.

    Args:
        response: A number or one of two classes.
    """
    from sklearn.compose import make_column_transformer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder
    from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

    rng, words = np.random.default_rng(0), ("no", "yes")
    table = np.column_stack([rng.uniform(20, 80, 60), rng.integers(0, 2, 60)])
    smokes = np.take(words, table[:, 1].astype(int))
    inputs = pandas_module().DataFrame({"age": table[:, 0], "smokes": smokes})
    dose = table[:, 0] + 5 * table[:, 1] + rng.normal(0, 1, 60)
    answers = dose if response == "dose" else (dose > 50).astype(float)
    classes = () if response == "dose" else (0.0, 1.0)
    public = PublicTable(("age", "smokes"), ((), words), classes, table, answers)
    tree = DecisionTreeRegressor if response == "dose" else DecisionTreeClassifier
    encoder = make_column_transformer((OneHotEncoder(), ["smokes"]), remainder="passthrough")
    model = make_pipeline(encoder, tree(max_features=1))
    return TableCourse(model, inputs, answers, public, seed=5)


def fitted(model: Any) -> list[Any]:
    """Returns what a pipeline answers, if it is fitted, and its parameters."""
    inputs = small_course().inputs
    answers = model.predict(inputs).tolist() if hasattr(model[-1], "n_features_in_") else []
    return [answers, {key: repr(value) for key, value in model.get_params().items()}]


def check_training_defense(
    defense: TableTraining, response: Literal["dose", "grade"] = "dose"
) -> None:
    """Checks a training defence on :func:`small_course`.

    Args:
        defense: The defence.
        response: Whether it is to train a regressor, for a ``dose``, or a classifier.

    Raises:
        AssertionError: If it breaks a promise; the sentence says which.
    """
    check_training(defense, small_course(response), fitted, lambda: np.random.rand(1))  # noqa: NPY002
