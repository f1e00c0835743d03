"""Priors of tables: frequencies and imputation, against counts by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import LinearRegression
from tests.support.examples import few

from darkroom.errors import DataError, PlanError
from darkroom.tables.candidates import Candidates
from darkroom.tables.priors import imputation
from darkroom.tables.priors.build import TABLE_PRIORS
from darkroom.tables.priors.counts import ConditionalPrior, MarginalsPrior, TablePrior, UniformPrior
from darkroom.tables.priors.imputation import ImputationPrior, Imputer
from darkroom.tables.priors.regression import sampled
from darkroom.tables.schema import Column, Rows, Schema

COLUMNS = (
    Column("race", "categorical", ("a", "b", "c")),
    Column("gene", "categorical", ("x", "y")),
    Column("age", "numeric"),
    Column("sex", "categorical", ("f", "m")),
)


def _schema(*sensitive: str, unknown: tuple[str, ...] = ()) -> Schema:
    return Schema(COLUMNS, Column("y", "numeric"), sensitive or ("gene",), unknown)


def _rows(n: int = 200, seed: int = 0) -> Rows:
    rng = np.random.default_rng(seed)
    race = rng.integers(2, size=n)  # nobody of race c
    gene = (rng.random(n) < np.where(race == 0, 0.2, 0.7)).astype(float)
    return np.column_stack([race, gene, rng.normal(50, 10, n), rng.integers(2, size=n)])


PUBLIC = _rows()


def _hidden(rows: Rows, schema: Schema) -> Rows:
    known = rows.copy()
    known[:, schema.hidden] = np.nan
    return known


def test_marginals_are_frequencies() -> None:
    schema = _schema()
    prior = MarginalsPrior(Candidates.of(schema), PUBLIC, smoothing=1e-9)
    found = prior.probabilities(_hidden(PUBLIC[:3], schema))
    share = PUBLIC[:, 1].mean()
    np.testing.assert_allclose(found, [[1 - share, share]] * 3)


def test_marginals_of_several_columns_are_independent() -> None:
    schema = _schema("gene", "sex")
    prior = MarginalsPrior(Candidates.of(schema), PUBLIC, smoothing=1e-9)
    gene, sex = PUBLIC[:, 1].mean(), PUBLIC[:, 3].mean()
    expected = np.outer([1 - gene, gene], [1 - sex, sex]).ravel()
    np.testing.assert_allclose(prior.probabilities(PUBLIC[:1])[0], expected)


def test_conditional_frequencies_are_of_the_group() -> None:
    schema = _schema()
    prior = ConditionalPrior(Candidates.of(schema), PUBLIC, ["race"], smoothing=1e-9)
    found = prior.probabilities(_hidden(PUBLIC, schema))
    for race in (0, 1):
        group = PUBLIC[:, 0] == race
        np.testing.assert_allclose(found[group][:, 1], PUBLIC[group, 1].mean())


def test_a_group_that_nobody_is_in_gets_the_frequencies_of_all() -> None:
    schema = _schema()
    prior = ConditionalPrior(Candidates.of(schema), PUBLIC, ["race", "age"], smoothing=1e-6)
    stranger = np.array([[2.0, np.nan, 50.0, 0.0]])
    np.testing.assert_allclose(prior.probabilities(stranger)[0, 1], PUBLIC[:, 1].mean(), rtol=1e-3)


@few
@given(st.integers(1, 40), st.floats(1e-3, 50), st.sampled_from([(), ("race",), ("race", "age")]))
def test_probabilities_always_sum_to_one(n: int, smoothing: float, names: tuple[str, ...]) -> None:
    schema = _schema("gene", "sex")
    prior = ConditionalPrior(Candidates.of(schema), _rows(n, seed=n), names, smoothing)
    found = prior.probabilities(_hidden(PUBLIC, schema))
    np.testing.assert_allclose(found.sum(axis=1), 1)
    assert (found > 0).all()


def test_unknown_columns_are_listed_with_their_frequencies() -> None:
    schema = _schema("gene", unknown=("sex",))
    prior = ConditionalPrior(Candidates.of(schema), PUBLIC, ["race"], smoothing=1e-9)
    unknown = prior.unknown(_hidden(PUBLIC, schema), 10, np.random.default_rng(0))
    assert unknown.values.shape == (2, 200, 1)
    assert unknown.values[:, 0, 0].tolist() == [0, 1]
    group = PUBLIC[:, 0] == PUBLIC[0, 0]
    np.testing.assert_allclose(unknown.weights[1, 0], PUBLIC[group, 3].mean())
    np.testing.assert_allclose(unknown.weights.sum(axis=0), 1)


def test_too_many_unknown_values_are_drawn_evenly() -> None:
    schema = _schema("gene", unknown=("sex", "age"))
    prior = MarginalsPrior(Candidates.of(schema), PUBLIC)
    unknown = prior.unknown(_hidden(PUBLIC, schema), 8, np.random.default_rng(0))
    assert unknown.values.shape == (8, 200, 2)
    np.testing.assert_allclose(unknown.weights, 1 / 8)
    share = unknown.values[:, 0, 0].mean()
    assert abs(share - PUBLIC[:, 3].mean()) <= 1 / 8
    assert (unknown.values[:, 0] == unknown.values[:, 7]).all()


def test_no_unknown_columns_is_one_draw_of_nothing() -> None:
    schema = _schema()
    for prior in (
        MarginalsPrior(Candidates.of(schema), PUBLIC),
        UniformPrior(Candidates.of(schema)),
    ):
        unknown = prior.unknown(PUBLIC[:5], 4, np.random.default_rng(0))
        assert unknown.values.shape == (1, 5, 0)
        assert unknown.weights.tolist() == [[1.0] * 5]


@pytest.mark.medium
def test_imputation_finds_what_the_columns_tell() -> None:
    schema = _schema()
    imputer = Imputer(Candidates.of(schema), PUBLIC)
    fresh = _rows(500, seed=1)
    right = imputer.probabilities(_hidden(fresh, schema)).argmax(axis=1) == fresh[:, 1]
    assert imputer.chosen in ("logistic", "forest")
    assert right.mean() > 0.7 > max(fresh[:, 1].mean(), 1 - fresh[:, 1].mean())


@pytest.mark.medium
def test_imputation_falls_back_on_frequencies() -> None:
    rng = np.random.default_rng(0)
    noise = PUBLIC.copy()
    noise[:, 1] = rng.permutation(noise[:, 1])
    schema = _schema()
    imputer = Imputer(Candidates.of(schema), noise)
    assert imputer.chosen == "marginals"
    found = imputer.probabilities(_hidden(PUBLIC[:2], schema))
    np.testing.assert_allclose(found[:, 1], noise[:, 1].mean(), atol=0.01)


@pytest.mark.medium
def test_imputation_may_use_the_response() -> None:
    schema = _schema()
    response = 3 * PUBLIC[:, 1] + np.random.default_rng(0).normal(0, 0.5, len(PUBLIC))
    imputer = Imputer(Candidates.of(schema), PUBLIC, response=response)
    known = _hidden(PUBLIC, schema)
    right = imputer.probabilities(known, response).argmax(axis=1) == PUBLIC[:, 1]
    assert right.mean() > 0.97


def test_a_value_that_no_public_row_has_is_rare_not_impossible() -> None:
    schema = _schema("race")
    imputer = Imputer(Candidates.of(schema), PUBLIC, model="logistic")
    found = imputer.probabilities(_hidden(PUBLIC, schema))
    assert (found[:, 2] > 0).all()
    assert found[:, 2].max() < 0.01
    same = PUBLIC[PUBLIC[:, 1] == 1]
    assert Imputer(Candidates.of(_schema()), same).chosen == "marginals"


NUMBERS = (Column("a", "numeric"), Column("b", "numeric"), Column("salary", "numeric"))


def _salaries(n: int, kind: str, seed: int = 0) -> tuple[Rows, Rows]:
    """Returns rows whose last column follows the others and the response as ``kind`` says."""
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(n, 3)) * [1, 1, 0] + [0, 0, 50]
    if kind == "linear":
        rows[:, 2] += rng.normal(0, 15, n)
        return rows, 0.5 * rows[:, 2] + 3 * rows[:, 0] - 2 * rows[:, 1] + rng.normal(size=n)
    rows[:, 2] += 20 * (rows[:, 0] > 0) * (rows[:, 1] > 0) + rng.normal(0, 1, n)
    return rows, rng.normal(size=n)


@pytest.mark.medium
@pytest.mark.parametrize(("kind", "chosen"), [("linear", "linear"), ("steps", "boosted")])
def test_a_number_is_imputed_as_well_as_by_regression(kind: str, chosen: str) -> None:
    schema = Schema(NUMBERS, Column("y", "numeric"), ("salary",))
    (public, response), (fresh, told) = _salaries(400, kind), _salaries(300, kind, seed=1)
    candidates = Candidates.of(schema, public)
    imputer = Imputer(candidates, public, response=response)
    belief = imputer.belief(_hidden(fresh, schema), told)
    middle, low, high = candidates.summary(belief, level=0.9)
    truth = fresh[:, 2]
    features, asked = (
        np.column_stack([rows[:, :2], y]) for rows, y in ((public, response), (fresh, told))
    )
    errors = [
        np.abs(model.fit(features, public[:, 2]).predict(asked) - truth).mean()
        for model in (
            LinearRegression(),
            HistGradientBoostingRegressor(max_iter=200, random_state=0),
        )
    ]
    assert imputer.chosen == chosen
    assert np.abs(middle - truth).mean() < 1.03 * min(errors)
    assert 0.85 < ((low <= truth) & (truth <= high)).mean() < 0.95
    np.testing.assert_allclose(belief.chances.sum(axis=1), 1)


@pytest.mark.medium
def test_a_number_that_nothing_tells_has_its_frequencies() -> None:
    schema = Schema(NUMBERS, Column("y", "numeric"), ("salary",))
    rows = np.random.default_rng(0).normal(size=(120, 3))
    imputer = Imputer(Candidates.of(schema, rows), rows, model="auto")
    assert imputer.chosen == "marginals"
    assert imputer.belief(rows[:3]).spread is None


@pytest.mark.medium
def test_the_same_seed_imputes_the_same() -> None:
    candidates = Candidates.of(_schema())
    first, second = (ImputationPrior(candidates, PUBLIC, model="forest", seed=3) for _ in range(2))
    np.testing.assert_array_equal(first.probabilities(PUBLIC), second.probabilities(PUBLIC))
    assert first.chosen == "forest"


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("uniform", {}),
        ("marginals", {"smoothing": 2}),
        ("conditional", {"given": ["race"]}),
        ("imputation", {"model": "logistic"}),
    ],
)
def test_priors_by_the_words_of_a_plan(name: str, parameters: dict[str, Any]) -> None:
    schema = _schema()
    prior = TABLE_PRIORS.make(name, parameters).build(Candidates.of(schema), PUBLIC, 0)
    assert isinstance(prior, TablePrior)
    assert prior.name == name
    np.testing.assert_allclose(prior.probabilities(_hidden(PUBLIC, schema)).sum(axis=1), 1)


@pytest.mark.parametrize(
    ("name", "parameters", "expected"),
    [
        ("marginal", {}, "no prior is called 'marginal': did you mean 'marginals'"),
        ("conditional", {}, "prior conditional: given: "),
        ("conditional", {"given": []}, "prior conditional: given: "),
        ("marginals", {"smoothing": 0}, "prior marginals: smoothing: "),
        ("imputation", {"modle": "auto"}, "has no parameter 'modle': did you mean 'model'"),
        ("imputation", {"model": "magic"}, "prior imputation: model: "),
    ],
)
def test_words_that_make_no_prior(name: str, parameters: dict[str, Any], expected: str) -> None:
    with pytest.raises(PlanError) as caught:
        TABLE_PRIORS.make(name, parameters)
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (["rase"], "no column 'rase': did you mean 'race'"),
        (["gene"], "the attacker does not know column 'gene'"),
        (["race"] * 7, "7 columns, more than 6: use imputation"),
    ],
)
def test_columns_that_a_table_cannot_depend_on(given: list[str], expected: str) -> None:
    with pytest.raises(PlanError, match=expected):
        ConditionalPrior(Candidates.of(_schema()), PUBLIC, given)


@pytest.mark.parametrize("kind", [MarginalsPrior, ImputationPrior])
def test_nothing_public_to_learn_from(kind: Any) -> None:
    with pytest.raises(DataError, match="no public rows to count in"):
        kind(Candidates.of(_schema()), PUBLIC[:0])


def test_without_statistics_unknown_columns_cannot_be_filled() -> None:
    with pytest.raises(DataError, match="unknown columns age need public rows"):
        UniformPrior(Candidates.of(_schema("gene", unknown=("age",))))


@pytest.mark.medium
def test_models_learn_from_a_sample_of_very_many_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    assert sampled(5, 5, 0).tolist() == [0, 1, 2, 3, 4]
    few = sampled(1000, 50, 0)
    assert len(set(few.tolist())) == 50
    assert few.tolist() == sorted(few) == sampled(1000, 50, 0).tolist()
    rng = np.random.default_rng(0)
    monkeypatch.setattr(imputation, "TRIED", 200)
    monkeypatch.setattr(imputation, "LEARNED", 400)
    known = rng.integers(0, 2, 600).astype(float)
    for kind, column in (("category", Column("s", "categorical", (0, 1))), ("number", None)):
        secret = known.copy() if kind == "category" else known + rng.normal(0, 0.01, 600)
        columns = (Column("a", "numeric"), column or Column("s", "numeric"))
        rows = np.column_stack([known, secret])
        schema = Schema(columns, Column("y", "numeric"), ("s",))
        candidates = Candidates.of(schema, rows, 4)
        imputer = Imputer(candidates, rows)
        told = imputer.probabilities(rows).argmax(axis=1)
        assert (told == candidates.place(rows)).mean() > (0.95 if kind == "category" else 0.4)
