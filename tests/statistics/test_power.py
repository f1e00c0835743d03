"""What an audit would have found: by drawing it, beside the formula."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from darkroom.statistics.intervals import Interval, clopper_pearson, newcombe
from darkroom.statistics.power import POWER, detectable_mean, detectable_rate, widened


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


def test_a_mean_is_found_as_often_as_said() -> None:
    error = 0.02
    size = detectable_mean(Interval(0.0, -1.959964 * error, 1.959964 * error))
    means = np.random.default_rng(0).normal(size, error, 20_000)
    assert np.mean(means - 1.959964 * error > 0) == pytest.approx(POWER, abs=0.01)
