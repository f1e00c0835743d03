"""Comparisons on the same trials, against published examples."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from darkroom.statistics.intervals import Interval, difference_of, wilson
from darkroom.statistics.paired import newcombe_paired, sign_test


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


@pytest.mark.parametrize(
    ("counts", "correlation"),
    [
        # 20 * 20 - 2 * 3 = 394 is more than half of 45, which is taken off.
        ((20, 3, 2, 20), (394 - 22.5) / (23 * 22 * 22 * 23) ** 0.5),
        # 5 * 4 - 2 * 3 = 14 is more than half of 14; and 3 * 2 - 2 * 2 = 2 is less than half of 9.
        ((5, 3, 2, 4), (14 - 7) / (8 * 6 * 7 * 7) ** 0.5),
        ((3, 2, 2, 2), 0.0),
        ((2, 2, 2, 2), 0.0),
        ((1, 5, 4, 2), (2 - 20) / (6 * 6 * 5 * 7) ** 0.5),
        ((1, 2, 1, 1), -1 / 6),
        # 4 * 1 - 1 * 1 = 3 is more than a third of 7, and no more than half of it.
        ((4, 1, 1, 1), 0.0),
        ((0, 5, 0, 7), 0.0),
    ],
)
def test_the_correlation_is_corrected_for_continuity(
    counts: tuple[int, int, int, int], correlation: float
) -> None:
    both, first, second, _ = counts
    n = sum(counts)
    a, b = wilson(both + first, n), wilson(both + second, n)

    def reach(one: float, other: float) -> float:
        return float((one**2 - 2 * correlation * one * other + other**2) ** 0.5)

    difference = (first - second) / n
    below = difference - reach(a.estimate - a.low, b.high - b.estimate)
    above = difference + reach(a.high - a.estimate, b.estimate - b.low)
    assert newcombe_paired(*counts) == pytest.approx((difference, below, above))
