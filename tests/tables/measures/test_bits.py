"""Bits over imputation, against sums by hand, and what chance makes of them."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from darkroom.tables.measures.bits import Gained, gained

Chances = NDArray[np.float64]


def _of(truth: list[int], after: Chances, before: Chances, *, calibrated: bool = True) -> Gained:
    return gained(
        np.array(truth), after, before, calibrated=calibrated, rng=np.random.default_rng(0)
    )


def test_bits_are_the_mean_log_likelihood_ratio() -> None:
    before = np.array([[0.5, 0.5], [0.25, 0.75], [0.5, 0.5], [0.125, 0.875]])
    after = np.array([[1.0, 0.0], [0.5, 0.5], [0.25, 0.75], [1.0, 0.0]])
    found = _of([0, 0, 0, 0], after, before)
    assert found.estimate == pytest.approx((1 + 1 - 1 + 3) / 4)
    assert found.most == pytest.approx((1 + 2 + 1 + 3) / 4)
    # Student's interval of four numbers with a deviation of 2 / sqrt(3) ...
    assert found.high - found.estimate == pytest.approx(3.1824 * 1.63299 / 2, rel=1e-4)
    assert found.estimate - found.low == pytest.approx(found.high - found.estimate)


def test_a_record_that_is_ruled_out_costs_what_so_many_records_can_tell() -> None:
    before = np.full((3, 2), 0.5)
    found = _of([0, 0, 1], np.array([[1.0, 0.0], [1.0, 0.0], [1.0, 0.0]]), before)
    assert found.estimate == pytest.approx((1 + 1 - np.log2(4)) / 3)


def test_guesses_alone_are_worth_what_they_tell() -> None:
    rng = np.random.default_rng(0)
    truth = rng.integers(2, size=4000)
    guess = np.where(rng.random(4000) < 0.8, truth, 1 - truth)
    # As sure as can be, which it should not be.
    after, before = np.eye(2)[guess], np.full((4000, 2), 0.5)
    found = gained(truth, after, before, calibrated=False, rng=rng)
    told = 1 + 0.8 * np.log2(0.8) + 0.2 * np.log2(0.2)
    assert found.estimate == pytest.approx(told, abs=0.04)
    assert found.low < told < found.high


@pytest.mark.parametrize("calibrated", [True, False])
def test_nothing_known_is_no_bits(calibrated: bool) -> None:
    # Under the null the interval lies above zero in no more than its 2.5% of audits.
    above = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        before = rng.dirichlet([3.0, 2.0], size=80)
        truth = (rng.random(80) > before[:, 0]).astype(np.int64)
        after = before * np.exp(rng.normal(0, 0.3, before.shape))
        after = after / after.sum(axis=1, keepdims=True)
        above += gained(truth, after, before, calibrated=calibrated, rng=rng).low > 0
    assert above <= 10
