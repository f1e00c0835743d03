"""Measures of guesses at attributes, against scikit-learn and by simulation."""

from __future__ import annotations

import numpy as np
import pytest
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

from darkroom.tables.measures.attributes import confusion_of, delong, g_mean, mcc, measure


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
    for value, wanted in zip(found[:-1], expected, strict=True):
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


@pytest.mark.medium
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


@pytest.mark.medium
def test_mcc_of_who_hardly_ever_names_a_value_is_not_too_sure() -> None:
    # Nothing is known of the truth, so an interval without zero is an error.
    wrong = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        truth = rng.choice(2, size=80, p=[0.6, 0.4])
        posterior = np.eye(2)[rng.choice(2, size=80, p=[0.95, 0.05])]
        found = measure(truth, posterior, positive=1, rng=rng).mcc
        wrong += found is not None and not found.low <= 0 <= found.high
    assert wrong <= 10


def test_the_surest_tenth_is_measured_alone_with_ties() -> None:
    sure = np.linspace(0.5, 0.99, 200)
    truth = np.zeros(200, np.int64)
    truth[:150] = np.arange(150) % 2
    rng = np.random.default_rng(0)
    found = measure(truth, np.column_stack([sure, 1 - sure]), positive=1, rng=rng)
    assert found.surest is not None
    assert found.accuracy is not None
    assert found.surest.estimate == 1.0
    assert found.accuracy.estimate == 0.625
    assert found.surest.low == pytest.approx(0.025 ** (1 / 20))
    same = measure(truth, np.tile([0.6, 0.4], (200, 1)), positive=1, rng=rng)
    assert same.surest == same.accuracy
