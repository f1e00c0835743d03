"""Whether two events go together within strata, against Fisher's test and under the null."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import fisher_exact

from darkroom.statistics.stratified import alike, together


def test_one_stratum_is_fishers_test() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        one, other = rng.random(40) < 0.3, rng.random(40) < 0.6
        counts = [[(one & other).sum(), (one & ~other).sum()], [(~one & other).sum(), 0]]
        counts[1][1] = 40 - sum(map(sum, counts))
        expected = fisher_exact(counts, alternative="greater").pvalue
        assert together(one, other, np.zeros(40, np.int64)) == pytest.approx(expected)


def test_what_strata_explain_is_not_together() -> None:
    rng = np.random.default_rng(1)
    alarms, fooled = 0, 0
    for _ in range(200):
        chance = rng.choice([0.1, 0.9], size=120)
        one, other = rng.random(120) < chance, rng.random(120) < chance
        fooled += together(one, other, np.zeros(120, np.int64)) < 0.05
        alarms += together(one, other, alike(chance)) < 0.05
    assert fooled == 200
    assert alarms <= 15


def test_strata_are_of_equal_numbers() -> None:
    values = np.random.default_rng(0).random(205)
    assert np.bincount(alike(values)).tolist() == pytest.approx([20.5] * 10, abs=1)
    assert len(np.unique(alike(values[:30]))) == 1
    assert len(np.unique(alike(np.repeat([1.0, 2.0, 3.0], 100)))) <= 3


def test_strata_are_cut_where_they_say() -> None:
    values = np.arange(100, dtype=float)
    assert alike(values).tolist() == np.repeat(np.arange(5), 20).tolist()
    assert alike(np.arange(39, dtype=float)).tolist() == [0] * 39
    assert len(np.unique(alike(np.arange(400, dtype=float)))) == 10
    assert alike(values, least=50).tolist() == np.repeat([0, 1], 50).tolist()
    assert alike(values, least=1, most=4).tolist() == np.repeat(np.arange(4), 25).tolist()
    assert alike(values, least=101).tolist() == [0] * 100
    # A value at an edge is with those above it.
    assert alike(np.repeat([0.0, 1.0], 20)).tolist() == [0] * 20 + [1] * 20


def test_the_chance_in_two_strata_is_that_of_both_at_once() -> None:
    one = np.array([1, 0, 1, 0, 0], bool)
    other = np.array([1, 0, 1, 0, 0], bool)
    # One of two, and one of three: by chance both go together in one of six cases.
    assert together(one, other, np.array([0, 0, 1, 1, 1])) == pytest.approx(1 / 6)
    apart = np.array([0, 1, 1, 0, 0], bool)
    # At least one of two: 1 - 1/2 * 2/3.
    assert together(one, apart, np.array([0, 0, 1, 1, 1])) == pytest.approx(2 / 3)
    nothing = np.zeros(5, bool)
    assert together(one, nothing, np.array([0, 0, 1, 1, 1])) == 1.0
