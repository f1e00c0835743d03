"""Holm's correction, beside its definition and by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from darkroom.statistics.multiplicity import holm


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_the_correction_is_holms(p_values: list[float]) -> None:
    found = holm(np.array(p_values))
    for position, p in enumerate(p_values):
        # Each of those that are no larger counts as many as are no smaller than it.
        scaled = [other * sum(one >= other for one in p_values) for other in p_values if other <= p]
        assert found[position] == pytest.approx(min(1.0, max(scaled)))


def test_no_p_value_is_above_one_or_below_a_smaller_one() -> None:
    found = holm(np.array([0.4, 0.3, 0.01, 0.9]))
    assert found.tolist() == pytest.approx([0.9, 0.9, 0.04, 0.9])
    assert holm(np.array([0.9, 0.8])).tolist() == [1.0, 1.0]


def test_the_order_given_is_kept() -> None:
    assert holm(np.array([0.02, 0.01])).tolist() == pytest.approx([0.02, 0.02])
    assert holm(np.empty(0)).tolist() == []
