"""Intervals of means hold the mean as often as they say, and are never certain."""

from __future__ import annotations

import numpy as np
import pytest

from darkroom.statistics.means import mean_interval


def test_equal_values_leave_room_below() -> None:
    few, many = (mean_interval(np.full(n, 9.5), lowest=0.0, highest=9.5) for n in (4, 40))
    assert few.estimate == few.high == 9.5
    assert 0 < few.low < many.low < 9.5


@pytest.mark.medium
@pytest.mark.parametrize("n", [6, 12, 40])
def test_luck_with_ranks_is_seldom_taken_for_knowledge(n: int) -> None:
    """Bits gained by chance: a mean of nothing, with a long tail upward."""
    draws = np.random.default_rng(0).exponential(1 / np.log(2), (2000, n)) - 1 / np.log(2)
    found = [mean_interval(row, lowest=0.0, highest=9.5) for row in draws]
    assert np.mean([one.low > 0 for one in found]) <= 0.025
    assert np.mean([one.low <= 0 <= one.high for one in found]) >= 0.95


def test_no_values_have_no_mean() -> None:
    with pytest.raises(ValueError, match="at least one"):
        mean_interval(np.empty(0), lowest=0.0, highest=1.0)


def test_each_end_counts_one_value_more_than_was_seen() -> None:
    values = np.array([1.0, 2.0, 4.0])
    found = mean_interval(values, lowest=-1.0, highest=9.0)
    expected = []
    for more in (-1.0, 9.0):
        with_it = np.append(values, more)
        # Student's quantile at 0.975 with three degrees of freedom is 3.1824.
        expected.append((with_it.mean(), 3.182446 * with_it.std(ddof=1) / 2))
    (below, reach_below), (above, reach_above) = expected
    assert found.estimate == pytest.approx(7 / 3)
    assert found.low == pytest.approx(below - reach_below)
    assert found.high == pytest.approx(above + reach_above)


def test_a_higher_level_reaches_farther_and_no_end_passes_the_mean() -> None:
    values = np.array([1.0, 2.0, 4.0])
    # Student's quantile at 0.9 with three degrees of freedom is 1.6377.
    with_it = np.append(values, -1.0)
    low = mean_interval(values, lowest=-1.0, highest=9.0, level=0.8).low
    assert low == pytest.approx(with_it.mean() - 1.637744 * with_it.std(ddof=1) / 2, abs=1e-5)
    far = mean_interval(np.array([5.0]), lowest=5.0, highest=5.0)
    assert far == (5.0, 5.0, 5.0)
