"""The pigeonhole bootstrap, against the normal interval."""

from __future__ import annotations

import numpy as np
import pytest
from benchmarks.tables.clustered import pigeonhole
from numpy.typing import NDArray


def _mean(cells: NDArray[np.float64]) -> NDArray[np.float64]:
    return cells[:, 1] / cells[:, 0]


def test_the_pigeonhole_interval_of_one_split_is_about_the_normal_one() -> None:
    values = np.random.default_rng(0).normal(3, 2, 400)
    counts = np.stack([np.ones(400), values], axis=1)[None]
    found = pigeonhole(counts, _mean, rng=np.random.default_rng(1))
    assert found.estimate == pytest.approx(values.mean())
    reach = 1.96 * values.std() / 20
    assert found.high - found.estimate == pytest.approx(reach, rel=0.15)
    assert found.estimate - found.low == pytest.approx(reach, rel=0.15)


def test_the_same_rows_in_many_splits_count_once() -> None:
    values = np.random.default_rng(0).normal(3, 2, 100)
    one = np.stack([np.ones(100), values], axis=1)[None]
    many = np.repeat(one, 20, axis=0)
    single, repeated = (
        pigeonhole(part, _mean, rng=np.random.default_rng(1)) for part in (one, many)
    )
    assert repeated.high - repeated.low == pytest.approx(single.high - single.low, rel=0.1)


def test_splits_that_differ_widen_the_interval() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(0, 0.1, (8, 200)) + rng.normal(0, 1, (8, 1))
    counts = np.stack([np.ones((8, 200)), values], axis=2)
    found = pigeonhole(counts, _mean, rng=rng)
    assert found.high - found.low > 1.5 * 1.96 * values.mean(axis=1).std() / 8**0.5
