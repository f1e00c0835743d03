"""Training defences for tables: what they change, and that privacy costs what it should."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from darkroom.errors import DataError, PlanError
from darkroom.tables.training.course import TableCourse
from darkroom.tables.training.estimators import PrivateRidge, PrivateTree, gaussian_deviation
from darkroom.tables.training.registry import TABLE_TRAINING_DEFENSES


def fit(name: str, model: Any, inputs: Any, response: Any, **parameters: object) -> Any:
    course = TableCourse(model, inputs, response, public=None, seed=0)
    return TABLE_TRAINING_DEFENSES.make(name, parameters).train(course).model


def linear_rows(n: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    rows = rng.uniform([0, -5], [10, 5], (n, 2))
    return rows, 3 * rows[:, 0] - 2 * rows[:, 1] + 4 + rng.normal(0, 0.1, n)


def bounds() -> dict[str, object]:
    return {"low": (0, -5), "high": (10, 5), "response_low": -10, "response_high": 50}


def test_leaves_are_large_and_trees_pruned_in_pipelines_too() -> None:
    rows, response = linear_rows(200)
    tree = DecisionTreeRegressor(random_state=0)
    large = fit("minimum-leaf", tree, rows, response, rows=20)
    leaves = large.tree_.children_left < 0
    assert large.tree_.n_node_samples[leaves].min() >= 20
    assert tree.min_samples_leaf == 1
    pipeline = make_pipeline(StandardScaler(), tree)
    pruned = fit("pruning", pipeline, rows, response, alpha=5.0)
    assert pruned[-1].get_n_leaves() < tree.fit(rows, response).get_n_leaves() / 4


def test_private_regression_nears_the_plain_one_as_epsilon_grows() -> None:
    rows, response = linear_rows(20_000)
    plain = LinearRegression().fit(rows, response)
    errors = []
    for epsilon in (0.05, 1.0, 1000.0):
        settings = {"epsilon": epsilon, "seed": 1, **bounds()}
        private = fit("dp-linear", LinearRegression(), rows, response, **settings)
        errors.append(float(np.abs(private.predict(rows) - plain.predict(rows)).mean()))
    assert errors[2] < 0.1
    assert errors[0] > errors[1] > errors[2]
    assert private.coef_ == pytest.approx([3, -2], abs=0.05)
    assert private.intercept_ == pytest.approx(4, abs=0.3)


def test_noise_in_moments_hides_one_row() -> None:
    # The attacker knows all rows but one and which of two it is: the likelihood ratio on what is
    # released cannot be right more often than epsilon and delta allow.
    rng = np.random.default_rng(0)
    epsilon, delta = 1.0, 1e-5
    deviation = gaussian_deviation(epsilon, delta)
    # The longest row changes one entry by 1 at most.
    released = np.stack([rng.normal(0, deviation, 100_000), rng.normal(1, deviation, 100_000)])
    threshold = np.quantile(released[0], 0.9)
    power = float((released[1] > threshold).mean())
    assert 0.1 < power < np.exp(epsilon) * 0.1 + delta + 0.01


def test_private_tree_learns_with_much_epsilon_and_guesses_with_little() -> None:
    rng = np.random.default_rng(0)
    rows = rng.uniform(0, 1, (4000, 2))
    named = np.where(rows[:, 0] > 0.5, "yes", "no")
    right = []
    for epsilon in (0.001, 100.0):
        settings = {"epsilon": epsilon, "classes": ("no", "yes"), "depth": 6, "seed": 3}
        tree = fit("dp-tree", DecisionTreeClassifier(), rows, named, **settings)
        chances = tree.predict_proba(rows)
        assert chances.shape == (4000, 2)
        assert np.allclose(chances.sum(axis=1), 1)
        right.append(float((tree.predict(rows) == named).mean()))
    assert right[1] > 0.85 > 0.75 > right[0]


def test_questions_of_a_private_tree_owe_nothing_to_rows() -> None:
    rng = np.random.default_rng(0)
    first, second = (
        PrivateTree(classes=(0, 1), random_state=5).fit(rng.uniform(size=(50, 3)), [0, 1] * 25)
        for _ in range(2)
    )
    assert (first.points_ == second.points_).all()
    assert (first.columns_ == second.columns_).all()
    assert (first.counts_ != second.counts_).any()


def test_one_row_moves_one_count_by_one() -> None:
    rows, named = np.random.default_rng(0).uniform(size=(50, 2)), np.arange(50) % 2
    whole, without = (
        PrivateTree(epsilon=1e9, classes=(0, 1), random_state=5).fit(rows[:n], named[:n])
        for n in (50, 49)
    )
    assert np.abs(whole.counts_ - without.counts_).sum() == pytest.approx(1, abs=1e-6)


def test_what_does_not_do_is_refused() -> None:
    rows, response = linear_rows(20)
    with pytest.raises(PlanError, match="did you mean 'pruning'"):
        TABLE_TRAINING_DEFENSES.make("prunning", {})
    for name, wrong in (
        ("minimum-leaf", {"rows": 1}),
        ("pruning", {"alpha": 0.0}),
        ("dp-linear", {"epsilon": 0.0}),
        ("dp-linear", {"low": (1.0,), "high": (0.0,)}),
        ("dp-tree", {"depth": 0}),
    ):
        with pytest.raises(PlanError, match=name):
            TABLE_TRAINING_DEFENSES.make(name, wrong)
    with pytest.raises(PlanError, match="no min_samples_leaf"):
        fit("minimum-leaf", LinearRegression(), rows, response)
    with pytest.raises(PlanError, match="regressors"):
        fit("dp-linear", DecisionTreeClassifier(), rows, response)
    with pytest.raises(PlanError, match="classifiers"):
        fit("dp-tree", LinearRegression(), rows, response)
    with pytest.raises(DataError, match="3 bounds for 2 inputs"):
        PrivateRidge(low=(0, 0, 0), high=(1, 1, 1)).fit(rows, response)
    with pytest.raises(DataError, match="none of the classes"):
        PrivateTree(classes=(0, 1)).fit(rows, np.arange(20))
