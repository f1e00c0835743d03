"""What an audit would have found: by drawing it, beside the formula."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from darkroom.statistics.intervals import Interval, clopper_pearson, newcombe, wilson
from darkroom.statistics.paired import newcombe_paired
from darkroom.statistics.power import (
    POWER,
    detectable_alone,
    detectable_gain,
    detectable_rate,
    lowest,
    raised,
    widened,
)


@pytest.mark.parametrize(("n", "draws", "hits"), [(12, 2000, 20), (40, 2000, 0), (200, 400, 80)])
def test_a_leak_of_that_size_is_found_as_often_as_said(n: int, draws: int, hits: int) -> None:
    baseline = clopper_pearson(hits, draws)
    size = detectable_rate(n, baseline)
    assert size is not None
    found = np.random.default_rng(0).binomial(n, baseline.estimate + size, 4000)
    shown = {int(k): newcombe(int(k), n, hits, draws).low > 0 for k in set(found)}
    assert np.mean([shown[int(k)] for k in found]) == pytest.approx(POWER, abs=0.03)


def test_too_few_goals_show_nothing() -> None:
    assert detectable_rate(1, clopper_pearson(600, 2000)) is None
    assert detectable_rate(2, Interval(0.01, 0.0, 0.03), limit=0.5) is None


@given(st.integers(1, 60), st.integers(1, 20), st.floats(0, 0.3))
def test_more_looks_and_higher_limits_need_more(n: int, looks: int, limit: float) -> None:
    baseline = clopper_pearson(20, 1000)
    once, often = detectable_rate(n, baseline), detectable_rate(n, baseline, limit, looks)
    assert often is None or (once is not None and often >= once)


def test_one_look_widens_nothing() -> None:
    found = Interval(0.3, 0.1, 0.5)
    assert widened(found, 1) == pytest.approx(found.low)
    assert widened(found, 5) < found.low


@pytest.mark.parametrize(("n", "right", "lost"), [(150, 100, 2), (300, 150, 0), (150, 100, 12)])
def test_a_gain_of_that_size_is_found_as_often_as_said(n: int, right: int, lost: int) -> None:
    size = detectable_gain(n, right, lost)
    assert size is not None
    missed = n - right
    won = np.random.default_rng(0).binomial(missed, (size * n + lost) / missed, 2000)
    shown = {
        int(k): newcombe_paired(right - lost, int(k), lost, missed - int(k)).low > 0
        for k in set(won)
    }
    assert np.mean([shown[int(k)] for k in won]) == pytest.approx(POWER, abs=0.03)


def test_a_baseline_that_is_always_right_leaves_nothing_to_find() -> None:
    assert detectable_gain(50, 50, 0) is None


def test_an_interval_is_widened_as_the_normal_quantile_is() -> None:
    # Quantiles at 1 - 0.05 / 2 and 1 - 0.05 / 4: 1.959964 and 2.241403.
    found = widened(Interval(0.3, 0.1, 0.9), 2)
    assert found == pytest.approx(0.3 - 0.2 * 2.241403 / 1.959964, abs=1e-6)
    above = raised(Interval(0.3, 0.1, 0.9), 2)
    assert above == pytest.approx(0.3 + 0.6 * 2.241403 / 1.959964, abs=1e-6)


def test_few_successes_are_not_hidden_by_a_second_look() -> None:
    # Two of twelve where one in five hundred is chance: binom.sf(1, 12, 0.002) is 2.6e-4.
    baseline = Interval(0.002, 0.001, 0.0053)
    exact = clopper_pearson(2, 12, 0.975)
    found = lowest(2, 12, baseline, 2, clopper_pearson)
    margin = 0.0033 * 2.241403 / 1.959964
    reach = ((exact.estimate - exact.low) ** 2 + margin**2) ** 0.5
    assert found == pytest.approx(exact.estimate - 0.002 - reach, abs=1e-8)
    assert found > 0
    once = lowest(2, 12, baseline, of_rate=clopper_pearson)
    assert once > found > widened(Interval(exact.estimate - 0.002, once, 1.0), 2)


def test_the_lowest_of_one_look_is_newcombes_interval() -> None:
    assert lowest(7, 20, wilson(3, 50)) == pytest.approx(newcombe(7, 20, 3, 50).low, abs=1e-12)


@pytest.mark.parametrize(
    ("n", "limit", "looks"), [(20, 0.0, 1), (20, 0.1, 1), (20, 0.0, 5), (2, 0.0, 1), (2, 0.3, 9)]
)
def test_the_smallest_rate_is_that_of_the_first_count_that_shows(
    n: int, limit: float, looks: int
) -> None:
    baseline = Interval(0.1, 0.05, 0.15)
    found = detectable_rate(n, baseline, limit, looks)
    expected = _first_that_shows(n, baseline, limit, looks)
    assert found == (None if expected is None else pytest.approx(expected, abs=1e-6))
    assert (found is None) == (limit == 0.3)


def _first_that_shows(n: int, baseline: Interval, limit: float, looks: int) -> float | None:
    """Does by counting and bisection what the function does with the quantile of a beta."""
    for hits in range(n + 1):
        rate = wilson(hits, n, 1 - 0.05 / looks)
        margin = baseline.high - widened(Interval(baseline.high, baseline.estimate, 1.0), looks)
        reach = ((rate.estimate - rate.low) ** 2 + margin**2) ** 0.5
        if hits and rate.estimate - baseline.estimate - reach > limit:
            low, high = 0.0, 1.0
            for _ in range(60):
                middle = (low + high) / 2
                low, high = (middle, high) if binom.sf(hits - 1, n, middle) < 0.8 else (low, middle)
            return float(low - baseline.estimate)
    return None


def test_nothing_below_zero_is_detectable() -> None:
    assert detectable_rate(2000, Interval(0.5, 0.5, 0.5), limit=-0.4) == 0.0
    assert detectable_gain(1000, 100, 50, limit=-0.9) == 0.0


def test_a_higher_power_needs_more() -> None:
    baseline = Interval(0.1, 0.05, 0.15)
    half, often = (detectable_rate(20, baseline, power=one) for one in (0.5, 0.95))
    usual = detectable_rate(20, baseline)
    assert half is not None
    assert usual is not None
    assert often is not None
    assert half < usual < often
    assert detectable_rate(20, baseline, power=POWER) == usual


def test_one_goal_that_stands_out_is_enough() -> None:
    # 1 - (1 - p) ** 16 is 0.8 at p = 0.0957; half as often seen, twice as often needed.
    assert detectable_alone(16, 1.0) == pytest.approx(0.0957, abs=1e-4)
    assert detectable_alone(16, 0.5) == pytest.approx(2 * 0.0957, abs=2e-4)
    assert detectable_alone(1, 0.8) == pytest.approx(1.0)
    assert detectable_alone(1, 0.79) is None
    assert detectable_alone(16, 1.0, power=0.5) == pytest.approx(0.0424, abs=1e-4)


def test_the_smallest_gain_is_that_of_the_first_count_that_shows() -> None:
    n, right, lost = 60, 30, 2
    for limit, looks in ((0.0, 1), (0.1, 1), (0.0, 4)):
        for won in range(n - right + 1):
            found = newcombe_paired(right - lost, won, lost, n - right - won)
            if widened(found, looks) > limit:
                break
        size = detectable_gain(n, right, lost, limit, looks)
        assert size is not None
        chance = (size * n + lost) / (n - right)
        assert binom.sf(won - 1, n - right, chance) == pytest.approx(POWER)
    assert detectable_gain(60, 30, 2, power=0.5) < detectable_gain(60, 30, 2)  # type: ignore[operator]


def test_winning_all_trials_may_be_what_it_takes() -> None:
    # Of three trials that the baseline misses, all must be won: a chance of 0.8 ** (1 / 3) each.
    assert detectable_gain(4, 1, 0) == pytest.approx(3 / 4 * 0.8 ** (1 / 3))
    assert detectable_gain(3, 1, 0) is None
