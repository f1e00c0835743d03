"""What an attack sees of a table target, and what it is charged."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from darkroom.access import Access
from darkroom.defenses.noise import Noise
from darkroom.defenses.pipeline import Pipeline
from darkroom.defenses.rounding import Rounding
from darkroom.defenses.top_k import LabelOnly
from darkroom.errors import TargetError
from darkroom.ledger import BudgetExhausted, Limit, QueryLedger
from darkroom.tables.schema import Column, Schema
from darkroom.tables.targets.base import TableTarget
from darkroom.tables.targets.sklearn import SklearnTableTarget
from darkroom.tables.targets.view import TableView

COLUMNS = (Column("x", "numeric"), Column("s", "categorical", (0, 1)))
ROWS = np.column_stack([np.linspace(-2, 2, 40), np.arange(40) % 2])
LABELS = (ROWS[:, 0] + ROWS[:, 1] > 0.5).astype(int)
GOALS = np.arange(40)


def _target(model: object) -> TableTarget:
    classes = isinstance(model, LogisticRegression | DecisionTreeClassifier)
    response = Column("y", "categorical", (0, 1)) if classes else Column("y", "numeric")
    fitted = model.fit(ROWS, LABELS if classes else ROWS.sum(axis=1))  # type: ignore[attr-defined]
    return SklearnTableTarget(fitted, Schema(COLUMNS, response, ("s",)))


def _view(
    model: object, access: Access, limit: Limit | None = None, *defenses: object
) -> TableView:
    return TableView(
        _target(model),
        access,
        QueryLedger(40, limit),
        defense=Pipeline(defenses),  # type: ignore[arg-type]
        noise=np.random.default_rng(0),
    )


def test_every_row_is_charged_before_it_is_answered() -> None:
    view = _view(LogisticRegression(), Access.SCORES, Limit(per_goal=2))
    view.scores(ROWS, GOALS)
    view.predict(ROWS[:10], GOALS[:10])
    assert view.ledger.total == 50
    with pytest.raises(BudgetExhausted):
        view.predict(ROWS, GOALS)
    assert view.ledger.total == 50


def test_a_path_through_the_trees_is_one_query() -> None:
    view = _view(DecisionTreeClassifier(), Access.WEIGHTS)
    paths = view.paths(ROWS, GOALS)
    assert view.ledger.spent.tolist() == [1] * 40
    assert paths.scores is not None
    assert paths.predictions.tolist() == LABELS.tolist()
    assert view.trees is not None
    assert view.trees.values[0][paths.leaves[:, 0]].argmax(axis=1).tolist() == LABELS.tolist()
    regressor = _view(DecisionTreeRegressor(), Access.WEIGHTS).paths(ROWS, GOALS)
    assert regressor.scores is None
    np.testing.assert_allclose(regressor.predictions, ROWS.sum(axis=1))


@pytest.mark.parametrize("access", [Access.SCORES, Access.LABEL])
def test_less_access_shows_less(access: Access) -> None:
    view = _view(DecisionTreeClassifier(), access)
    with pytest.raises(TargetError, match="the attack asked for weights"):
        view.paths(ROWS, GOALS)
    with pytest.raises(TargetError, match="the attack asked for weights"):
        _ = view.trees
    with pytest.raises(TargetError, match="the attack asked for weights"):
        _ = view.linear
    if access is Access.LABEL:
        with pytest.raises(TargetError, match="the attack asked for scores"):
            view.scores(ROWS, GOALS)
    assert view.ledger.total == 0


def test_a_regressor_has_no_scores_and_no_defence_of_scores() -> None:
    view = _view(LinearRegression(), Access.WEIGHTS)
    assert view.linear is not None
    np.testing.assert_allclose(view.linear.coefficients, [[1, 1]])
    with pytest.raises(TargetError, match="has no confidence scores"):
        view.scores(ROWS, GOALS)
    with pytest.raises(TargetError, match="predicts numbers, and defence rounding"):
        _view(LinearRegression(), Access.LABEL, None, Rounding())


def test_defences_stand_between_the_model_and_the_attacker() -> None:
    plain = _view(LogisticRegression(), Access.SCORES)
    rounded = _view(LogisticRegression(), Access.SCORES, None, Rounding(1))
    assert set(np.round(10 * rounded.scores(ROWS, GOALS)[:, 0], 6) % 1) == {0.0}
    assert not np.allclose(plain.scores(ROWS, GOALS), rounded.scores(ROWS, GOALS))
    noisy = _view(LogisticRegression(), Access.SCORES, None, Noise(0.5))
    assert (noisy.predict(ROWS, GOALS) != plain.predict(ROWS, GOALS)).any()
    label = _view(LogisticRegression(), Access.SCORES, None, LabelOnly())
    assert label.access is Access.LABEL
    assert label.predict(ROWS, GOALS).tolist() == plain.predict(ROWS, GOALS).tolist()
    weights = _view(LogisticRegression(), Access.WEIGHTS, None, Noise(0.5))
    np.testing.assert_allclose(weights.scores(ROWS, GOALS), plain.scores(ROWS, GOALS))
