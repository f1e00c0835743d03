"""The peer beside the detector: MMD over windows, on inputs of known distributions."""

from __future__ import annotations

import numpy as np
import pytest
from benchmarks.guard.mmd import PERCENTILE, WindowTest
from numpy.typing import NDArray

from darkroom.guard.detector.features import Space

WINDOW = 20


@pytest.fixture(scope="module")
def test() -> WindowTest:
    honest = np.random.default_rng(0).normal(size=(300, 6)).astype(np.float32)
    return WindowTest(Space.fit(honest, components=4), honest, WINDOW, seed=1)


def windows(shift: float, count: int = 40) -> NDArray[np.float32]:
    rows = np.random.default_rng(2).normal(size=(count, WINDOW, 6)).astype(np.float32)
    return rows + np.float32(shift)


@pytest.mark.medium
def test_as_many_honest_windows_are_suspicious_as_it_is_calibrated_for(test: WindowTest) -> None:
    share = np.mean([test.score(one) > test.limit for one in windows(0)])
    # The mean of twenty draws varies less than one, so fewer are than the percentile says.
    assert share <= 2 * (1 - PERCENTILE / 100)


def test_windows_of_others_are_suspicious(test: WindowTest) -> None:
    assert np.mean([test.score(one) > test.limit for one in windows(1.5)]) == 1


@pytest.mark.medium
def test_the_estimate_is_zero_in_the_mean_and_grows_with_the_distance(test: WindowTest) -> None:
    means = [float(np.mean([test.score(one) for one in windows(shift)])) for shift in (0, 0.5, 1.5)]
    assert abs(means[0]) < 0.01
    assert means[0] < means[1] < means[2]
