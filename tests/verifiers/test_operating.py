"""The operating point, and what strangers get there."""

from __future__ import annotations

import numpy as np
import pytest

from darkroom.errors import DataError
from darkroom.statistics.crossed import crossed_rate
from darkroom.statistics.intervals import clopper_pearson
from darkroom.verifiers.measures.operating import OperatingPoint, operating_point, threshold_at


def point(scores: np.ndarray, **options: float | None) -> OperatingPoint:
    chosen = {"threshold": None, "rate": None} | options
    return operating_point(scores, np.arange(len(scores)), np.array([0.9, 0.2]), **chosen)


def test_so_many_strangers_are_accepted_as_were_asked_for() -> None:
    scores = np.random.default_rng(0).random((500, 20))
    found = point(scores, rate=0.001)
    assert found.false_accepts.estimate == pytest.approx(0.001)
    assert found.wanted == 0.001
    assert (scores >= found.threshold).sum() == 10


def test_a_threshold_that_is_given_is_measured() -> None:
    scores = np.linspace(0, 1, 1000).reshape(100, 10)
    found = point(scores, threshold=0.5)
    assert found.wanted is None
    assert found.false_accepts.estimate == pytest.approx(0.5)
    assert found.false_rejects is not None
    assert found.false_rejects.estimate == 0.5


def test_a_rate_that_strangers_cannot_tell_is_refused() -> None:
    with pytest.raises(DataError, match="cannot be set from 100 pairs"):
        threshold_at(np.zeros((10, 10)), 0.001)


def test_the_dictionary_is_one_success_or_more_in_so_many_tries() -> None:
    found = point(np.linspace(0, 1, 1000).reshape(100, 10), rate=0.01)
    assert found.dictionary(0).estimate == 0
    assert found.dictionary(1).estimate == pytest.approx(0.01)
    assert found.dictionary(300).estimate == pytest.approx(1 - 0.99**300)
    low, high = found.dictionary(300)[1:]
    assert low < 1 - 0.99**300 < high


def test_pairs_that_hang_together_are_worth_fewer() -> None:
    rng = np.random.default_rng(1)
    alone = rng.random((200, 30)) < 0.05
    wolves = np.repeat(rng.random((200, 1)) < 0.05, 30, axis=1)
    groups = np.arange(200)
    apart, together = crossed_rate(alone, groups), crossed_rate(wolves, groups)
    exact = clopper_pearson(int(alone.sum()), alone.size)
    assert apart.high - apart.low == pytest.approx(exact.high - exact.low, rel=0.25)
    # All of a row at once: two hundred trials, not six thousand.
    rows = clopper_pearson(int(wolves[:, 0].sum()), 200)
    assert together.high - together.low == pytest.approx(rows.high - rows.low, rel=0.25)


@pytest.mark.medium
def test_no_hit_is_given_as_an_upper_bound() -> None:
    none = crossed_rate(np.zeros((50, 10), np.bool_), np.arange(50) // 2)
    assert none.low == none.estimate == 0
    assert none.high == pytest.approx(clopper_pearson(0, 250).high)


def test_the_interval_holds_the_truth_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(2)
    held = 0
    for _ in range(200):
        # Strangers and people who differ in how often they are taken for others.
        strangers, people = rng.normal(0, 0.5, (60, 1)), rng.normal(0, 0.5, 12)
        hits = strangers + people + rng.standard_normal((60, 12)) > 2.0
        found = crossed_rate(hits, np.arange(60))
        held += found.low <= 0.0512 <= found.high  # the chance of N(0, 1.5) above 2
    assert held >= 176
