"""Groups and calibration."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from darkroom.statistics.paired import sign_test
from darkroom.tables.measures.subgroups import (
    Division,
    Guesses,
    calibration,
    compare,
    groups_of,
    least_sure,
)


def test_the_group_that_the_attack_is_about_comes_first() -> None:
    rng = np.random.default_rng(0)
    baseline = rng.random(200) < 0.5
    place = np.arange(200) % 4
    hits = np.where(place == 2, True, baseline)
    other = Division("city", ("x", "y"), (np.arange(200) // 100))
    found = groups_of(hits, baseline, [Division("ward", tuple("abcd"), place), other])
    worst = found[0]
    assert (worst.column, worst.value, worst.n) == ("ward", "c", 50)
    assert worst.success.estimate == 1
    gained = int((~baseline[place == 2]).sum())
    assert worst.p_value == pytest.approx(sign_test(gained, 0))
    assert worst.p_adjusted == pytest.approx(min(1, 6 * worst.p_value))
    assert worst.advantage == compare(hits[place == 2], baseline[place == 2])
    assert [group.p_value for group in found] == sorted(group.p_value for group in found)


def test_small_groups_and_rows_without_a_group_are_left_out() -> None:
    place = np.array([0] * 9 + [1] * 10 + [-1] * 5)
    hits = np.ones(24, dtype=bool)
    found = groups_of(hits, ~hits, [Division("ward", ("a", "b"), place)])
    assert [(group.value, group.n) for group in found] == [("b", 10)]
    assert groups_of(hits, ~hits, []) == []


def test_the_correction_keeps_false_alarms_rare() -> None:
    rng = np.random.default_rng(0)
    alarms = 0
    for _ in range(15):
        hits, baseline = rng.random(120) < 0.6, rng.random(120) < 0.6
        places = [rng.integers(4, size=120) for _ in range(4)]
        divisions = [Division(str(number), tuple("abcd"), one) for number, one in enumerate(places)]
        alarms += groups_of(hits, baseline, divisions)[0].p_adjusted < 0.05
    assert alarms <= 3


def test_an_attacker_that_knows_how_much_it_knows() -> None:
    rng = np.random.default_rng(0)
    claimed = rng.uniform(0.5, 1, 4000)
    found = calibration(claimed, rng.random(4000) < claimed)
    assert sum(one.n for one in found) == 4000
    assert len(found) == 8
    inside = [one.right.low <= one.claimed <= one.right.high for one in found]
    assert sum(inside) >= 7
    assert [one.claimed for one in found] == sorted(one.claimed for one in found)


@pytest.mark.parametrize(("n", "bins"), [(1, 1), (15, 1), (25, 2), (200, 8)])
def test_few_rows_make_few_bins(n: int, bins: int) -> None:
    claimed = np.linspace(0.5, 1, n)
    assert len(calibration(claimed, np.ones(n, dtype=bool))) == bins


def test_rows_of_the_same_probability_stay_together() -> None:
    claimed = np.repeat([0.6, 0.9], 50)
    found = calibration(claimed, np.ones(100, dtype=bool))
    assert [(one.n, round(one.claimed, 6)) for one in found] == [(50, 0.6), (50, 0.9)]


def _worst(truth: NDArray[np.int64], guess: NDArray[np.int64]) -> float:
    """Returns the least corrected p-value of the groups of two sensitive values."""
    division = [Division("secret", ("no", "yes"), truth, sensitive=True)]
    guesses = Guesses(guess, np.tile([0.75, 0.25], (len(truth), 1)))
    return groups_of(guess == truth, truth == 0, division, guesses)[0].p_adjusted


def test_who_names_a_rare_value_at_random_exposes_nobody() -> None:
    alarms, found = 0, 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        truth = (rng.random(120) < 0.25).astype(np.int64)
        random = rng.integers(2, size=120)
        alarms += _worst(truth, random) < 0.05
        found += _worst(truth, np.where(rng.random(120) < 0.5, truth, random)) < 0.05
    assert alarms <= 10
    assert found >= 90


@pytest.mark.parametrize("seed", range(5))
def test_who_says_what_statistics_tell_exposes_no_group(seed: int) -> None:
    """The commonest value is right most often, and names nobody who has the rare one."""
    rng = np.random.default_rng(seed)
    truth = (rng.random(400) < 0.2).astype(int)
    # A guess by what is known of each row, which the attacker says again.
    guess = np.where(rng.random(400) < 0.8, truth, 1 - truth)
    imputed = np.full((400, 2), 0.5)
    usual = np.tile([0.8, 0.2], (400, 1))
    division = [Division("ill", ("no", "yes"), truth, sensitive=True)]
    hits = guess == truth
    against = [
        groups_of(hits, right, division, Guesses(guess, chances))
        for right, chances in ((hits, imputed), (truth == 0, usual))
    ]
    assert min(group.p_value for group in against[1]) < 0.01  # of itself it would stand out
    found = least_sure(against)
    assert [group.p_adjusted for group in found] == [1.0, 1.0]
    assert {group.value for group in found} == {"no", "yes"}
