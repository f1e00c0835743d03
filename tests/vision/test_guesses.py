"""Chance is known from many guesses, each tried for everybody."""

from __future__ import annotations

import numpy as np
import pytest

from darkroom.statistics.intervals import clopper_pearson
from darkroom.vision.guesses import advantage, baseline
from darkroom.vision.judges.panel import Judgement
from darkroom.vision.judges.plausibility import Measures


def judged(named: list[int], plausible: bool = True) -> Judgement:
    """Guesses that all three judges take for the same people."""
    count = len(named)
    measures = Measures(*np.zeros((4, count)))
    predictions = np.repeat(np.array(named)[:, None], 3, axis=1)
    return Judgement(predictions, measures, np.full(count, plausible))


GOALS = np.arange(4)


def test_a_guess_is_right_for_one_of_all_goals_at_most() -> None:
    found = baseline(judged([0, 1, 1, -1, 7]), GOALS)
    assert found.draws == 5
    assert found.share.estimate == pytest.approx(3 / 5 / 4)
    assert baseline(judged([0, 1], plausible=False), GOALS).share.estimate == 0


def test_a_prior_that_always_says_the_same_is_known_from_one_guess() -> None:
    assert baseline(judged([2]), GOALS).share == pytest.approx((0.25, 0.25, 0.25))


def test_three_of_twelve_are_a_leak_where_a_thousand_guesses_find_nobody() -> None:
    without = baseline(judged([-1] * 1000), np.arange(12)).share
    assert advantage(clopper_pearson(3, 12), without).low > 0.05
    assert advantage(clopper_pearson(0, 12), without).low <= 0


def test_one_hit_is_none_where_one_guess_in_ten_is_taken_for_somebody() -> None:
    """One person in twelve is right by luck in 1 - 0.992 ** 12, or 9%, of such audits."""
    without = baseline(judged([0] * 100 + [-1] * 900), np.arange(12)).share
    assert without.high < 0.011
    assert advantage(clopper_pearson(1, 12), without).low < 0
