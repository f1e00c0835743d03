"""Intervals of means hold the mean as often as they say, and are never certain."""

from __future__ import annotations

import numpy as np
import pytest

from darkroom.statistics.means import mean_interval


def test_equal_values_leave_room_below() -> None:
    few, many = (mean_interval(np.full(n, 9.5), lowest=0.0, highest=9.5) for n in (4, 40))
    assert few.estimate == few.high == 9.5
    assert 0 < few.low < many.low < 9.5


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
