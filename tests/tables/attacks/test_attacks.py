"""Attacks on tables whose answer algebra gives, and what they refuse."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import norm
from sklearn.ensemble import (
    RandomForestClassifier,
)
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.tree import DecisionTreeClassifier
from tests.support.examples import few

from darkroom.access import Access
from darkroom.errors import PlanError, TargetError
from darkroom.ledger import Limit, QueryLedger
from darkroom.tables.attacks.auto import AutoAttack
from darkroom.tables.attacks.base import Records, TableAttack
from darkroom.tables.attacks.csmia import CsmiaAttack
from darkroom.tables.attacks.errors import Errors
from darkroom.tables.attacks.lomia import LomiaAttack
from darkroom.tables.attacks.map import MapAttack
from darkroom.tables.attacks.registry import TABLE_ATTACKS
from darkroom.tables.attacks.score_map import Evidence, ScoreMapAttack
from darkroom.tables.attacks.tree_confusion import TreeConfusionAttack
from darkroom.tables.attacks.tree_counts import TreeCountsAttack
from darkroom.tables.candidates import Belief, Candidates
from darkroom.tables.priors.counts import ConditionalPrior, MarginalsPrior, TablePrior, UniformPrior
from darkroom.tables.schema import Column, Schema
from darkroom.tables.targets.base import CallableTableTarget, TableTarget
from darkroom.tables.targets.sklearn import SklearnTableTarget
from darkroom.tables.targets.view import TableView
from darkroom.testing.tables.attacks import Trial
from darkroom.testing.tables.small import COLUMNS, Table, small_rows, small_table


def test_draws_of_unknown_columns_stop_at_the_budget() -> None:
    trial = Trial(MapAttack(draws=8), small_table(LinearRegression(), unknown=("a",)))
    full, _ = trial.ran
    part, ledger = trial.run(limit=Limit(per_goal=12))
    assert ledger.spent.tolist() == [12] * len(trial.table.rows)
    assert not np.allclose(part[-1].posterior, part[0].posterior)
    assert not np.allclose(part[-1].posterior, full[-1].posterior)


@pytest.mark.parametrize(
    ("name", "parameters", "expected"),
    [
        ("mapp", {}, "no attack is called 'mapp': did you mean 'map'"),
        ("map", {"draw": 3}, "has no parameter 'draw': did you mean 'draws'"),
        ("map", {"draws": 0}, "attack map: draws and memory must be 1 or more"),
        ("tree-counts", {"response": "maybe"}, "tree-counts: response: "),
    ],
)
def test_words_that_make_no_attack(name: str, parameters: dict[str, Any], expected: str) -> None:
    with pytest.raises(PlanError) as caught:
        TABLE_ATTACKS.make(name, parameters)
    assert expected in str(caught.value)


@pytest.mark.parametrize("attack", ["csmia", "lomia", "tree-confusion"])
def test_attacks_on_classifiers_refuse_regressors(attack: str) -> None:
    case = small_table(LinearRegression())
    view = TableView(case.target, Access.WEIGHTS, QueryLedger(240))
    with pytest.raises(PlanError, match="is for classifiers, and the response 'y' is numeric"):
        next(_start(TABLE_ATTACKS.make(attack, {}), view, case))


def _start(attack: TableAttack, view: TableView, case: Table) -> Any:
    records = Records(case.rows, case.response)
    errors = Errors(1.0, None)
    return iter(list(attack.run(view, case.prior, records, errors, rng=np.random.default_rng(0))))


def test_what_an_attack_needs_and_does_not_get() -> None:
    case = small_table(DecisionTreeClassifier(random_state=0))
    label = TableView(case.target, Access.LABEL, QueryLedger(240))
    with pytest.raises(PlanError, match="attack csmia needs scores but the view allows label"):
        _start(CsmiaAttack(), label, case)
    other = small_table(RandomForestClassifier(10, random_state=0), unknown=("b",))
    with pytest.raises(PlanError, match="prior marginals is of another table"):
        _start(MapAttack(), label, case._replace(prior=other.prior))
    with pytest.raises(PlanError, match="the target takes 3 columns"):
        _start(MapAttack(), label, case._replace(rows=case.rows[:, :2]))
    with pytest.raises(PlanError, match="at least one record"):
        _start(MapAttack(), label, case._replace(rows=case.rows[:0], response=case.response[:0]))
    linear = small_table(LogisticRegression(max_iter=1000))
    weights = TableView(linear.target, Access.WEIGHTS, QueryLedger(240))
    with pytest.raises(PlanError, match="tree-counts is for models made of decision trees"):
        _start(TreeCountsAttack(), weights, linear)
    with pytest.raises(TargetError, match="answers label at most"):
        TableView(_function(lambda table: [0] * len(table)), Access.SCORES, QueryLedger(1))


# ---------------------------------------------------------------- answers known by algebra


def _function(function: Callable[[pd.DataFrame], Any], **options: Any) -> CallableTableTarget:
    schema = options.pop("schema", None) or Schema(
        COLUMNS, Column("y", "categorical", (0, 1, 2)), ("secret",)
    )
    return CallableTableTarget(function, schema, **options)


def _numeric_schema(unknown: tuple[str, ...] = ()) -> Schema:
    return Schema(COLUMNS, Column("y", "numeric"), ("secret",), unknown)


def _attack(
    attack: TableAttack,
    target: TableTarget,
    prior: TablePrior,
    known: Any,
    response: Any,
    errors: Any,
) -> NDArray[np.float64]:
    rows = np.asarray(known, dtype=float).copy()
    rows[:, target.schema.hidden] = np.nan
    view = TableView(target, attack.access, QueryLedger(len(rows)))
    records = Records(rows, np.asarray(response, dtype=float))
    *_, last = attack.run(view, prior, records, errors, rng=np.random.default_rng(0))
    return last.posterior


@few
@given(st.floats(-3, 3), st.floats(-6, 6), st.floats(0.2, 3))
def test_map_of_a_line_is_bayes_rule(a: float, y: float, sigma: float) -> None:
    target = _function(lambda table: table["a"] + 2 * table["secret"], schema=_numeric_schema())
    public = small_rows(50)
    prior = MarginalsPrior(Candidates.of(target.schema), public, smoothing=1e-9)
    found = _attack(MapAttack(), target, prior, [[a, 0, 0]], [y], Errors(sigma, None))
    shares = np.bincount(public[:, 1].astype(int)) / 50
    expected = shares * norm.pdf(y, a + 2 * np.arange(3), sigma)
    if expected.sum() > 1e-200:
        np.testing.assert_allclose(found[0], expected / expected.sum(), rtol=1e-6, atol=1e-12)


def test_map_sums_over_unknown_columns() -> None:
    schema = _numeric_schema(unknown=("b",))
    target = _function(lambda table: 2 * table["secret"] + 3 * table["b"], schema=schema)
    public = small_rows(100)
    prior = ConditionalPrior(Candidates.of(schema), public, (), smoothing=1e-9)
    found = _attack(MapAttack(), target, prior, [[0.0, 0, 0]], [3.0], Errors(1.0, None))
    secret = np.bincount(public[:, 1].astype(int)) / 100
    b = np.bincount(public[:, 2].astype(int)) / 100
    likelihood = norm.pdf(3.0, 2 * np.arange(3)[:, None] + 3 * np.arange(2), 1) @ b
    expected = secret * likelihood
    np.testing.assert_allclose(found[0], expected / expected.sum(), rtol=1e-9)


def test_map_of_a_number_nears_the_normal_posterior() -> None:
    columns = (Column("a", "numeric"), Column("weight", "numeric"))
    schema = Schema(columns, Column("y", "numeric"), ("weight",))
    target = _function(lambda table: table["a"] + 0.5 * table["weight"], schema=schema)
    rng = np.random.default_rng(0)
    public = np.column_stack([rng.normal(size=4000), rng.normal(70, 10, 4000)])
    candidates = Candidates.of(schema, public, bins=200)
    prior = MarginalsPrior(candidates, public)
    y, sigma = 40.0, 2.0
    found = _attack(MapAttack(), target, prior, [[1.0, 0]], [y], Errors(sigma, None))
    # Prior N(70, 10^2); y - 1 = 0.5 w + noise: precisions add.
    precision = 1 / 100 + 0.25 / sigma**2
    mean = (70 / 100 + 0.5 * (y - 1) / sigma**2) / precision
    middle, low, high = candidates.summary(Belief(found), level=0.9)
    assert middle[0] == pytest.approx(mean, abs=0.6)
    assert (high - low)[0] == pytest.approx(2 * 1.645 / np.sqrt(precision), rel=0.15)


def test_tree_confusion_weighs_columns_of_the_matrix() -> None:
    target = _function(lambda table: table["secret"].to_numpy())  # the prediction is the secret
    prior = UniformPrior(Candidates.of(target.schema))
    confusion = np.array([[8.0, 1, 2], [2, 6, 0], [0, 3, 2]])
    found = _attack(TreeConfusionAttack(), target, prior, [[0, 0, 0]], [0], Errors(None, confusion))
    expected = np.array([8 / 10, 1 / 10, 2 / 4])
    np.testing.assert_allclose(found[0], expected / expected.sum())
    # True class 1 was never predicted as 2, so secret 2 is out.
    found = _attack(TreeConfusionAttack(), target, prior, [[0, 0, 0]], [1], Errors(None, confusion))
    assert found[0, 2] == 0


def test_what_never_happened_leaves_the_prior() -> None:
    target = _function(lambda table: np.zeros(len(table), dtype=int))
    prior = MarginalsPrior(Candidates.of(target.schema), small_rows(50))
    confusion = np.diag([5.0, 5.0, 5.0])
    found = _attack(TreeConfusionAttack(), target, prior, [[0, 0, 0]], [2], Errors(None, confusion))
    np.testing.assert_allclose(found, prior.probabilities(np.zeros((1, 3))))


def test_errors_are_measured_onsmall_rows() -> None:
    errors = Errors.of(np.array([0.0, 1, 1, 2]), np.array([0.0, 1, 2, 2]), 3)
    assert errors.confusion is not None
    assert errors.confusion.tolist() == [[1, 0, 0], [0, 1, 1], [0, 0, 1]]
    assert Errors.of(np.array([1.0, 3]), np.array([2.0, 5]), None).sigma == pytest.approx(2.5**0.5)
    perfect = Errors.of(np.array([1.0, 3]), np.array([1.0, 3]), None)
    assert perfect.sigma == pytest.approx(1e-6)
    assert Errors.of(np.ones(3), np.ones(3), None).sigma == 1e-9


def test_tree_counts_are_the_shares_of_rows_at_the_leaves() -> None:
    # A stump on the secret: 0 goes left, 1 and 2 right; 30 rows left, 10 right, classes mixed.
    rows = np.zeros((40, 3))
    rows[30:, 1] = [1] * 5 + [2] * 5
    labels = np.array([0] * 24 + [1] * 6 + [1] * 9 + [0])
    tree = DecisionTreeClassifier(max_depth=1, random_state=0).fit(rows, labels)
    schema = Schema(COLUMNS, Column("y", "categorical", (0, 1)), ("secret",))
    target = SklearnTableTarget(tree, schema)
    prior = UniformPrior(Candidates.of(schema))
    errors = Errors(None, np.eye(2))
    ignored = _attack(TreeCountsAttack(response="ignore"), target, prior, [[0, 0, 0]], [1], errors)
    np.testing.assert_allclose(ignored[0], [0.6, 0.2, 0.2])
    weighed = _attack(TreeCountsAttack(), target, prior, [[0, 0, 0]], [1], errors)
    expected = np.array([0.75 * 6 / 30, 0.25 * 0.9, 0.25 * 0.9])
    np.testing.assert_allclose(weighed[0], expected / expected.sum(), rtol=5e-3)


def _sure(table: pd.DataFrame) -> NDArray[np.float64]:
    """Scores by the secret and b: see the test."""
    by_secret = np.array([[0.9, 0.1, 0.0], [0.6, 0.4, 0.0], [0.2, 0.7, 0.1]])
    return np.asarray(by_secret[table["secret"].to_numpy()])


@pytest.mark.parametrize(
    ("response", "guess"),
    [
        (1, 2),  # case 1: only secret 2 gives the true response
        (0, 0),  # case 2: secrets 0 and 1 do, and 0 with more confidence
        (2, 1),  # case 3: none does, and the model is least sure with secret 1
    ],
)
def test_csmia_has_three_cases(response: int, guess: int) -> None:
    target = _function(_sure, outputs="scores")
    prior = UniformPrior(Candidates.of(target.schema))
    found = _attack(CsmiaAttack(), target, prior, [[0, 0, 0]], [response], Errors(None, np.eye(3)))
    assert found[0].argmax() == guess


def test_csmia_breaks_ties_by_the_prior() -> None:
    target = _function(lambda table: np.tile([0.0, 1.0, 0.0], (len(table), 1)), outputs="scores")
    rows = small_rows(50)
    rows[:, 1] = 2
    prior = MarginalsPrior(Candidates.of(target.schema), rows)
    for response in (0, 1):
        found = _attack(
            CsmiaAttack(), target, prior, [[0, 0, 0]], [response], Errors(None, np.eye(3))
        )
        assert found[0].argmax() == 2
        np.testing.assert_allclose(found[0], 1 / 3, rtol=1e-6)


@pytest.mark.medium
def test_lomia_learns_from_records_that_give_themselves_away() -> None:
    # The secret follows a. With b = 0 only the right secret gives the true label, 1; with b = 1
    # every secret does.
    def label(table: pd.DataFrame) -> NDArray[np.int64]:
        right = table["secret"] == (table["a"] / 3).round()
        return np.asarray((table["b"] == 1) | right, dtype=np.int64)

    rng = np.random.default_rng(0)
    secret = rng.integers(3, size=300)
    rows = np.column_stack(
        [3.0 * secret + rng.normal(0, 0.3, 300), secret, rng.integers(2, size=300)]
    )
    response = np.ones(300)
    target = _function(label)
    prior = UniformPrior(Candidates.of(target.schema))
    found = _attack(LomiaAttack(), target, prior, rows, response, Errors(None, np.eye(3)))
    right = found.argmax(axis=1) == secret
    assert right[rows[:, 2] == 0].all()
    assert right[rows[:, 2] == 1].mean() > 0.95
    few = _attack(LomiaAttack(least=1000), target, prior, rows, response, Errors(None, np.eye(3)))
    learned = rows[:, 2] == 1
    np.testing.assert_allclose(few[learned], 1 / 3)


# ---------------------------------------------------------------- confidences as evidence


def _confident(n: int, sure: float, seed: int = 0) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Returns confidences in three candidates, and the truth, of which the model is surer.

    Records differ far more from each other than candidates do.
    """
    rng = np.random.default_rng(seed)
    truth = rng.integers(3, size=n)
    logits = rng.normal(2, 1.5, (n, 1)) + rng.normal(0, 0.3, (n, 3))
    logits[np.arange(n), truth] += sure
    return 1 / (1 + np.exp(-logits)), truth


@pytest.mark.parametrize("sure", [0.0, 0.4, 1.0])
def test_evidence_is_as_strong_as_bayes_rule_has_it(sure: float) -> None:
    found, truth = _confident(3000, sure)
    even = np.full(found.shape, 1 / 3)
    told = found[np.arange(len(truth)), truth]
    logits = np.log(found / (1 - found))
    # Within a record a step of the logit weighs sure / 0.3 ** 2.
    best = np.exp(sure / 0.09 * (logits - logits.max(axis=1, keepdims=True)))
    best = best / best.sum(axis=1, keepdims=True)
    weights = Evidence.of(told, found, even).weigh(found)
    ours = np.exp(weights - weights.max(axis=1, keepdims=True))
    ours = ours / ours.sum(axis=1, keepdims=True)
    rows = np.arange(len(truth))
    bits = [np.log2(3 * one[rows, truth]).mean() for one in (ours, best)]
    # It is bounded where Bayes' rule is all but sure.
    assert bits[0] == pytest.approx(bits[1], abs=0.02 + 0.1 * bits[1])


def test_a_sure_model_is_believed_and_an_indifferent_one_is_not() -> None:
    # With the secret known the model is sure of what happened, with any other it is sure of else.
    def told(table: pd.DataFrame) -> NDArray[np.float64]:
        return np.asarray(np.eye(3)[table["secret"].to_numpy()])

    target = _function(told, outputs="scores")
    prior = MarginalsPrior(Candidates.of(target.schema), small_rows(50))
    rows = small_rows(100)
    sure = Errors(None, np.eye(3), told=np.ones(100))
    found = _attack(ScoreMapAttack(), target, prior, rows, rows[:, 1], sure)
    assert (found.argmax(axis=1) == rows[:, 1]).all()
    assert found.max(axis=1).min() > 0.99
    flat = _function(lambda table: np.tile([0.2, 0.3, 0.5], (len(table), 1)), outputs="scores")
    same = Errors(None, np.eye(3), told=np.full(100, 0.4))
    found = _attack(ScoreMapAttack(), flat, prior, rows, rows[:, 1], same)
    np.testing.assert_allclose(found, prior.probabilities(rows))


def test_no_confidences_no_evidence() -> None:
    target = _function(_sure, outputs="scores")
    prior = UniformPrior(Candidates.of(target.schema))
    with pytest.raises(PlanError, match="shows no confidences: use map"):
        _attack(ScoreMapAttack(), target, prior, [[0, 0, 0]], [1], Errors(None, np.eye(3)))
    with pytest.raises(PlanError, match="repeats must be 1 or more"):
        ScoreMapAttack(repeats=0)


@pytest.mark.parametrize(
    ("model", "access", "chosen"),
    [
        (DecisionTreeClassifier(random_state=0), Access.WEIGHTS, "tree-counts"),
        (DecisionTreeClassifier(random_state=0), Access.SCORES, "score-map"),
        (DecisionTreeClassifier(random_state=0), Access.LABEL, "map"),
        (RandomForestClassifier(5, random_state=0), Access.WEIGHTS, "score-map"),
        (LogisticRegression(max_iter=1000), Access.WEIGHTS, "score-map"),
        (LinearRegression(), Access.WEIGHTS, "map"),
    ],
)
def test_auto_takes_the_strongest_for_what_is_shown(
    model: Any, access: Access, chosen: str
) -> None:
    table = small_table(model)
    view = TableView(table.target, access, QueryLedger(240))
    auto = AutoAttack(draws=3)
    assert auto.choose(view).name == chosen
    assert auto.choose(view).draws == 3
    assert auto.adaptation(view)[0].startswith(f"auto chose {chosen}, ")
    ours, theirs = (
        Trial(one, table).run(access=access)[0][-1]
        for one in (auto, TABLE_ATTACKS.make(chosen, {}))
    )
    np.testing.assert_array_equal(ours.posterior, theirs.posterior)
