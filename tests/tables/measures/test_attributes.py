"""Measures of guesses at attributes, against scikit-learn and by simulation."""

from __future__ import annotations

import numpy as np
import pytest
from benchmarks.tables.clustered import pigeonhole
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.metrics import (
    accuracy_score,
    matthews_corrcoef,
    precision_score,
    recall_score,
    roc_auc_score,
)
from tests.support.examples import few

from darkroom.statistics.intervals import Interval
from darkroom.tables.measures.attributes import confusion_of, delong, g_mean, mcc, measure
from darkroom.tables.measures.paired import difference_of, newcombe_paired, sign_test


def _guesses(n: int, k: int, seed: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    rng = np.random.default_rng(seed)
    truth = rng.integers(k, size=n)
    weights = rng.random((n, k))
    weights[np.arange(n), truth] += 0.4
    return truth, weights / weights.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("seed", range(3))
def test_two_candidates_are_measured_as_everywhere(seed: int) -> None:
    truth, posterior = _guesses(150, 2, seed)
    found = measure(truth, posterior, positive=1, rng=np.random.default_rng(0))
    guess = posterior.argmax(axis=1)
    expected = [
        accuracy_score(truth, guess),
        precision_score(truth, guess),
        recall_score(truth, guess),
        matthews_corrcoef(truth, guess),
        np.sqrt(recall_score(truth, guess) * recall_score(truth, guess, pos_label=0)),
        roc_auc_score(truth, posterior[:, 1]),
    ]
    for value, wanted in zip(found, expected, strict=True):
        assert value is not None
        assert value.estimate == pytest.approx(wanted)
        assert value.low < value.estimate < value.high


def test_several_candidates_are_averaged() -> None:
    truth, posterior = _guesses(300, 4, 0)
    found = measure(truth, posterior, positive=0, rng=np.random.default_rng(0))
    guess = posterior.argmax(axis=1)
    assert found.precision is not None
    assert found.precision.estimate == pytest.approx(precision_score(truth, guess, average="macro"))
    assert found.recall is not None
    assert found.recall.estimate == pytest.approx(recall_score(truth, guess, average="macro"))
    assert found.mcc is not None
    assert found.mcc.estimate == pytest.approx(matthews_corrcoef(truth, guess))
    assert found.auc is not None
    expected = roc_auc_score(truth, posterior, multi_class="ovr")
    assert found.auc.estimate == pytest.approx(expected)


def test_a_constant_guess_has_no_correlation_and_no_precision() -> None:
    truth = np.array([0, 0, 0, 1])
    posterior = np.tile([0.9, 0.1], (4, 1))
    found = measure(truth, posterior, positive=1, rng=np.random.default_rng(0))
    assert found.mcc is None
    assert found.precision is None
    assert found.recall is not None
    assert (found.recall.estimate, found.recall.low) == (0.0, 0.0)
    assert found.recall.high > 0.9  # one positive says next to nothing
    assert found.g_mean is not None
    assert found.g_mean.estimate == 0


def test_no_rows_and_one_kind_of_truth() -> None:
    nothing = measure(np.empty(0, int), np.empty((0, 2)), positive=1, rng=np.random.default_rng(0))
    assert set(nothing) == {None}
    truth = np.zeros(6, int)
    found = measure(truth, np.tile([0.6, 0.4], (6, 1)), positive=1, rng=np.random.default_rng(0))
    assert (found.auc, found.mcc, found.recall) == (None, None, None)


def test_being_always_right_is_not_certainty() -> None:
    truth = np.arange(40) % 2
    found = measure(truth, np.eye(2)[truth], positive=1, rng=np.random.default_rng(0))
    for value in found:
        assert value is not None
        assert (value.estimate, value.high) == (1.0, 1.0)
        assert 0.75 < value.low < 1


def test_mcc_has_the_coverage_that_it_claims() -> None:
    rng = np.random.default_rng(0)
    cells = np.array([0.7, 0.1, 0.05, 0.15])
    true = float(mcc(cells.reshape(2, 2)))
    covered = 0
    for _ in range(120):
        drawn = rng.multinomial(80, cells).reshape(2, 2)
        flat = np.repeat(np.arange(4), drawn.ravel())
        truth, guess = np.divmod(flat, 2)
        found = measure(truth, np.eye(2)[guess], positive=1, rng=rng)
        covered += found.mcc is not None and found.mcc.low <= true <= found.mcc.high
    assert covered >= 107  # 95% of 120 less three standard errors


@few
@given(
    st.lists(st.integers(0, 6), min_size=1, max_size=15),
    st.lists(st.integers(0, 6), min_size=1, max_size=15),
)
def test_the_area_counts_pairs(positives: list[int], negatives: list[int]) -> None:
    up, down = np.array(positives, float), np.array(negatives, float)
    found = delong(up, down)
    assert found is not None
    wins = (up[:, None] > down).mean() + (up[:, None] == down).mean() / 2
    assert found.estimate == pytest.approx(wins)
    assert 0 <= found.low <= found.estimate <= found.high <= 1


def test_the_area_has_the_coverage_that_it_claims() -> None:
    rng = np.random.default_rng(0)
    true, covered = 0.7602, 0  # the normal distribution function at 1 / sqrt(2)
    for _ in range(300):
        found = delong(rng.normal(1, 1, 30), rng.normal(0, 1, 60))
        assert found is not None
        covered += found.low <= true <= found.high
    assert covered >= 274


def test_the_geometric_mean_forgets_no_candidate() -> None:
    confusion = confusion_of(np.array([0, 0, 1, 1]), np.array([0, 0, 1, 0]), 3)
    assert confusion.tolist() == [[2, 0, 0], [1, 1, 0], [0, 0, 0]]
    assert float(g_mean(confusion, np.array([True, True, False]))) == pytest.approx(0.5**0.5)


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        # Newcombe 1998, Table II, method 10; and the airway data of Fagerland et al. 2014.
        ((36, 12, 2, 0), (0.2, 0.0569, 0.3404)),
        ((1, 1, 7, 12), (-0.2857, -0.5069, -0.0256)),
    ],
)
def test_paired_rates_against_published_examples(
    counts: tuple[int, int, int, int], expected: tuple[float, float, float]
) -> None:
    np.testing.assert_allclose(newcombe_paired(*counts), expected, atol=1e-4)


@given(*[st.integers(0, 30)] * 4)
def test_paired_rates_turn_round(both: int, first: int, second: int, neither: int) -> None:
    if both + first + second + neither == 0:
        return
    one = newcombe_paired(both, first, second, neither)
    other = newcombe_paired(both, second, first, neither)
    np.testing.assert_allclose([one.estimate, one.low, one.high], -np.array(other)[[0, 2, 1]])
    assert -1 <= one.low <= one.estimate <= one.high <= 1


def test_a_difference_of_differences() -> None:
    found = difference_of(Interval(0.5, 0.4, 0.6), Interval(0.1, -0.2, 0.3))
    np.testing.assert_allclose(found, (0.4, 0.4 - 0.05**0.5, 0.4 + 0.1**0.5))


@pytest.mark.parametrize(
    ("first", "second", "expected"), [(0, 0, 1.0), (3, 0, 0.125), (1, 1, 0.75), (0, 4, 1.0)]
)
def test_the_sign_test_is_exact(first: int, second: int, expected: float) -> None:
    assert sign_test(first, second) == pytest.approx(expected)


def _mean(cells: NDArray[np.float64]) -> NDArray[np.float64]:
    return cells[:, 1] / cells[:, 0]


def test_the_pigeonhole_interval_of_one_split_is_about_the_normal_one() -> None:
    values = np.random.default_rng(0).normal(3, 2, 400)
    counts = np.stack([np.ones(400), values], axis=1)[None]
    found = pigeonhole(counts, _mean, rng=np.random.default_rng(1))
    assert found.estimate == pytest.approx(values.mean())
    reach = 1.96 * values.std() / 20
    assert found.high - found.estimate == pytest.approx(reach, rel=0.15)
    assert found.estimate - found.low == pytest.approx(reach, rel=0.15)


def test_the_same_rows_in_many_splits_count_once() -> None:
    values = np.random.default_rng(0).normal(3, 2, 100)
    one = np.stack([np.ones(100), values], axis=1)[None]
    many = np.repeat(one, 20, axis=0)
    single, repeated = (
        pigeonhole(part, _mean, rng=np.random.default_rng(1)) for part in (one, many)
    )
    assert repeated.high - repeated.low == pytest.approx(single.high - single.low, rel=0.1)


def test_splits_that_differ_widen_the_interval() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(0, 0.1, (8, 200)) + rng.normal(0, 1, (8, 1))
    counts = np.stack([np.ones((8, 200)), values], axis=2)
    found = pigeonhole(counts, _mean, rng=rng)
    assert found.high - found.low > 1.5 * 1.96 * values.mean(axis=1).std() / 8**0.5
