"""Defences of models of numbers, and attackers who know of them and who do not."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm
from sklearn.linear_model import LinearRegression, LogisticRegression
from tests.support.examples import few

from darkroom.access import Access
from darkroom.defenses.noise import Noise
from darkroom.defenses.pipeline import Pipeline
from darkroom.defenses.registry import TABLE_DEFENSES
from darkroom.defenses.values import ValueNoise, ValueRounding
from darkroom.errors import PlanError, TargetError
from darkroom.ledger import Limit, QueryLedger
from darkroom.tables.attacks.base import Records
from darkroom.tables.attacks.errors import Errors
from darkroom.tables.attacks.map import MapAttack
from darkroom.tables.candidates import Candidates
from darkroom.tables.priors.counts import UniformPrior
from darkroom.tables.schema import Column, Schema
from darkroom.tables.targets.base import CallableTableTarget
from darkroom.tables.targets.sklearn import SklearnTableTarget
from darkroom.tables.targets.view import TableView

COLUMNS = (Column("a", "numeric"), Column("gene", "categorical", (0, 1)))
SCHEMA = Schema(COLUMNS, Column("dose", "numeric"), ("gene",))


def dose_of(table: pd.DataFrame) -> pd.Series:
    return table["a"] + 7 * table["gene"]


@pytest.mark.parametrize("name", ["value-rounding", "value-noise"])
@pytest.mark.parametrize("rows", [0, 1, 5])
def test_shapes_are_kept(name: str, rows: int) -> None:
    values = np.linspace(-3, 40, rows)[:, None]
    answers = Pipeline((TABLE_DEFENSES.make(name, {}),))(values, np.random.default_rng(0))
    assert answers.shape == (rows, 1)
    assert np.isfinite(answers).all()


def test_doses_are_rounded_to_multiples_of_a_step() -> None:
    doses = np.array([[12.4], [37.5], [-1.0]])
    rounded = ValueRounding(5.0)(doses, np.random.default_rng(0))
    assert rounded.ravel().tolist() == [10.0, 40.0, 0.0]


@pytest.mark.parametrize(
    ("name", "parameters"),
    [("value-rounding", {"step": 0.0}), ("value-noise", {"deviation": -1.0})],
)
def test_words_that_make_no_defence(name: str, parameters: dict[str, float]) -> None:
    with pytest.raises(PlanError, match=name):
        TABLE_DEFENSES.make(name, parameters)


def test_each_kind_of_model_takes_its_own_defences() -> None:
    rows = np.array([[0.0, 0], [1, 1], [2, 0], [3, 1]])
    classes = Schema(COLUMNS, Column("dose", "categorical", (0, 1)), ("gene",))
    classifier = SklearnTableTarget(LogisticRegression().fit(rows, rows[:, 1]), classes)
    regressor = SklearnTableTarget(LinearRegression().fit(rows, rows[:, 0]), SCHEMA)
    rounding, noise = Pipeline((ValueRounding(),)), Pipeline((Noise(),))
    with pytest.raises(TargetError, match="predicts classes, and defence value-rounding"):
        TableView(classifier, Access.LABEL, QueryLedger(1), defense=rounding)
    with pytest.raises(TargetError, match="predicts numbers, and defence noise"):
        TableView(regressor, Access.LABEL, QueryLedger(1), defense=noise)


@few
@given(st.floats(-30, 30), st.floats(0.05, 20), st.floats(0.01, 40))
def test_rounding_is_weighed_by_the_integral_over_the_cell(
    off: float, sigma: float, step: float
) -> None:
    errors = Errors(sigma, None).behind(ValueRounding(step).effect)
    found = errors.log_likelihood(np.array([off, 0.0]), np.zeros(2))
    ends = np.array([[off - step / 2, off + step / 2], [-step / 2, step / 2]])
    # By symmetry the mass can be taken where the distribution function loses no digits.
    ends = np.where(ends.sum(axis=1, keepdims=True) > 0, -ends[:, ::-1], ends)
    mass = norm.cdf(ends[:, 1] / sigma) - norm.cdf(ends[:, 0] / sigma)
    if mass[0] > 1e-250:
        np.testing.assert_allclose(
            found[0] - found[1], np.log(mass[0] / mass[1]), rtol=1e-6, atol=1e-9
        )
    assert np.isfinite(found).all()
    assert found[0] <= found[1] + 1e-12


def test_a_step_far_finer_than_the_error_changes_nothing() -> None:
    plain, fine = Errors(5.0, None), Errors(5.0, None).behind(ValueRounding(1e-7).effect)
    response, predictions = np.array([3.0, 11.0]), np.zeros(2)
    np.testing.assert_allclose(
        np.diff(fine.log_likelihood(response, predictions)),
        np.diff(plain.log_likelihood(response, predictions)),
    )


def _posterior(
    defense: Pipeline, response: list[float], *, told: bool, limit: Limit | None = None
) -> tuple[np.ndarray[tuple[int, ...], np.dtype[np.float64]], list[int]]:
    target = CallableTableTarget(dose_of, SCHEMA)
    known = np.column_stack([np.zeros(len(response)), np.full(len(response), np.nan)])
    view = TableView(
        target,
        Access.LABEL,
        QueryLedger(len(response), limit),
        defense=defense,
        noise=np.random.default_rng(3),
        told=told,
    )
    prior = UniformPrior(Candidates.of(SCHEMA))
    records = Records(known, np.array(response))
    *_, last = MapAttack().run(
        view, prior, records, Errors(1.0, None), rng=np.random.default_rng(0)
    )
    return last.posterior, last.queries.tolist()


def test_who_knows_of_rounding_is_not_fooled_by_it() -> None:
    # Doses 0 and 7 are told as 0 and 10: a response of 7 lies as near to one as to the other can.
    coarse = Pipeline((ValueRounding(10.0),))
    naive, _ = _posterior(coarse, [4.9], told=False)
    adaptive, _ = _posterior(coarse, [4.9], told=True)
    assert naive[0, 0] == pytest.approx(norm.pdf(4.9) / (norm.pdf(4.9) + norm.pdf(5.1)))
    low = norm.cdf(5 - 4.9) - norm.cdf(-5 - 4.9)
    high = norm.cdf(15 - 4.9) - norm.cdf(5 - 4.9)
    assert adaptive[0, 0] == pytest.approx(low / (low + high))


def test_fresh_noise_is_averaged_by_who_knows_of_it() -> None:
    noisy, responses = Pipeline((ValueNoise(6.0),)), [0.0, 7.0] * 100
    truth = np.array([0, 1] * 100)
    naive, once = _posterior(noisy, responses, told=False)
    adaptive, often = _posterior(noisy, responses, told=True)
    assert set(once) == {2}
    assert set(often) == {32}
    hits = [float((found.argmax(axis=1) == truth).mean()) for found in (naive, adaptive)]
    assert hits[1] > 0.95 > hits[0] + 0.1
    # A budget cuts the repeats and not the answer.
    fewer, spent = _posterior(noisy, responses, told=True, limit=Limit(per_goal=5))
    assert set(spent) == {4}
    assert (fewer.argmax(axis=1) == truth).mean() > hits[0]
