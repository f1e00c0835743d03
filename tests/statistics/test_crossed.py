"""Rates over pairs of people and strangers: how wide their intervals are, and how often right."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from darkroom.statistics.crossed import crossed_rate
from darkroom.statistics.intervals import clopper_pearson


def drawn(rng: np.random.Generator, rows: int, columns: int, spread: float) -> NDArray[np.bool_]:
    """Draws pairs whose chance hangs on row and column, 0.2 in the middle of both."""
    row, column = rng.normal(0, spread, (rows, 1)), rng.normal(0, spread, (1, columns))
    hit: NDArray[np.bool_] = rng.normal(row + column, 1) > 0.8416 * np.hypot(1, spread * 2**0.5)
    return hit


def test_without_a_hit_each_group_with_each_column_counts() -> None:
    groups = np.repeat(np.arange(5), 3)
    found = crossed_rate(np.zeros((15, 8), bool), groups)
    assert found == pytest.approx(clopper_pearson(0, 40))
    assert found.low == 0
    every = crossed_rate(np.ones((15, 8), bool), groups)
    assert every == pytest.approx(clopper_pearson(40, 40))
    assert every.high == 1


def test_groups_may_have_any_numbers() -> None:
    hits = drawn(np.random.default_rng(0), 12, 10, 0.5)
    groups = np.repeat(np.arange(4), 3)
    assert crossed_rate(hits, groups) == crossed_rate(hits, 7 * groups + 100)


def test_pairs_that_have_nothing_in_common_count_as_many() -> None:
    # A Latin square: as many hits in each row and column.
    hits = np.equal.outer(np.arange(20), np.arange(20))
    found = crossed_rate(hits, np.arange(20))
    # No row or column differs from another; the pairs themselves set the variance.
    assert found == pytest.approx(clopper_pearson(20, 400), abs=1e-9)


def test_the_number_of_pairs_is_that_of_the_variance() -> None:
    # By hand: rows of one person and columns that differ as much as they can.
    hits = np.zeros((4, 6), bool)
    hits[:2] = True
    found = crossed_rate(hits, np.array([0, 0, 1, 1]))
    # Away from 1/2, persons sum to 6 and -6, columns to 0, person with column to 1 and -1 each:
    # (72 + 0 - 12) / 24^2 = 0.1042, and 0.25 over that is 2.4 pairs.
    pairs = 0.25 / ((72 - 12) / 24**2)
    assert pairs == pytest.approx(2.4)
    from scipy.stats import beta

    low, high = beta.ppf(0.025, 1.2, 2.2), beta.ppf(0.975, 2.2, 1.2)
    assert found == pytest.approx((0.5, low, high))
    turned = crossed_rate(hits.T, np.arange(6))
    # Now columns alone differ: (0 + 4 * 9 - 24 * 0.25) / 24^2, which is 4.8 pairs.
    low, high = beta.ppf(0.025, 2.4, 3.4), beta.ppf(0.975, 3.4, 2.4)
    assert turned == pytest.approx((0.5, low, high))


def test_the_variance_is_no_less_than_that_of_persons_with_columns() -> None:
    # Persons are hit as often as one another, and so are columns: only pairs of both differ.
    hits = np.array([[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 1, 1], [0, 0, 1, 1]], bool)
    found = crossed_rate(hits, np.array([0, 0, 1, 1]))
    # Two rows of a person, each half a hit away in each column: 8 times 1, over 16^2.
    pairs = 0.25 / (8 / 16**2)
    assert pairs == 8
    assert found == pytest.approx(clopper_pearson(4, 8))


def test_where_nothing_varies_all_pairs_count() -> None:
    # Of one person's two photos, one is like each stranger: no person and no stranger differs.
    found = crossed_rate(np.eye(2, dtype=bool), np.array([0, 0]))
    assert found == pytest.approx(clopper_pearson(2, 4))


def test_a_higher_level_is_wider() -> None:
    hits = drawn(np.random.default_rng(1), 12, 10, 0.5)
    narrow, wide = (crossed_rate(hits, np.arange(12), level) for level in (0.8, 0.99))
    assert wide.low < narrow.low < narrow.estimate < narrow.high < wide.high
    assert narrow.estimate == wide.estimate == hits.mean()


@pytest.mark.parametrize("spread", [0.0, 0.7])
def test_intervals_hold_the_rate_about_as_often_as_they_say(spread: float) -> None:
    rng = np.random.default_rng(2)
    groups = np.arange(30)
    found = [crossed_rate(drawn(rng, 30, 40, spread), groups) for _ in range(300)]
    assert np.mean([one.low <= 0.2 <= one.high for one in found]) >= 0.9
    missed = [clopper_pearson(round(one.estimate * 1200), 1200) for one in found]
    assert spread == 0 or np.mean([one.low <= 0.2 <= one.high for one in missed]) < 0.7
