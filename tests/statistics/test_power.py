"""What an audit would have found: by drawing it, beside the formula."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from darkroom.statistics.intervals import Interval, clopper_pearson, newcombe
from darkroom.statistics.paired import newcombe_paired
from darkroom.statistics.power import POWER, detectable_gain, detectable_rate, widened


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
