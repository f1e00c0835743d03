"""Ranks among strangers: uniform where nothing is known, and telling where something is."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from darkroom.vision.judges.ranks import (
    alone,
    bits_gained,
    log_rank_right,
    log_ranks_of_guesses,
    peculiar,
    rank_right,
)

TRIALS = 200


def likeness(
    rng: np.random.Generator,
    goals: int,
    strangers: int,
    known: NDArray[np.float64] | float = 0.0,
    *,
    shared: float = 0.0,
) -> NDArray[np.float64]:
    """Cosines of directions: of people, and of images that show so much of the right one."""
    people = rng.standard_normal((goals + strangers, 20))
    noise, common = rng.standard_normal((goals, 20)), rng.standard_normal(20)
    images = np.broadcast_to(known, goals)[:, None] * people[:goals] + noise + shared * common
    lengths = (np.linalg.norm(rows, axis=1) for rows in (images, people))
    across, down = lengths
    cosines: NDArray[np.float64] = images @ people.T / np.outer(across, down)
    return cosines


def chance(goals: int, strangers: int) -> NDArray[np.float64]:
    return np.full(goals, np.log2(np.arange(1, strangers + 2)).mean())


@pytest.mark.medium
@pytest.mark.parametrize("shared", [0.0, 30.0], ids=["anything", "nearly one face for all"])
def test_nobody_stands_out_where_nothing_is_known(shared: float) -> None:
    rng = np.random.default_rng(1)
    found = [rank_right(likeness(rng, 12, 40, shared=shared), rng) for _ in range(TRIALS)]
    ranks = np.concatenate([one.rank for one in found])
    assert ranks.mean() == pytest.approx(21, abs=1)
    assert np.mean([one.p_adjusted.min() < 0.05 for one in found]) <= 0.085
    assert np.mean([one.p_together < 0.05 for one in found]) <= 0.085
    gained = [bits_gained(one.log_rank, chance(12, 40)) for one in found]
    assert np.mean([one.estimate for one in gained]) == pytest.approx(0, abs=0.1)
    assert np.mean([one.low > 0 for one in gained]) <= 0.05


def test_one_face_for_all_says_nothing_of_anyone() -> None:
    alike = np.repeat(likeness(np.random.default_rng(2), 12, 40)[:1], 12, axis=0)
    found = rank_right(alike, np.random.default_rng(0))
    assert (found.rank == 41).all()
    assert (found.p_adjusted == 1).all()
    assert found.p_together == 1
    assert found.log_rank == pytest.approx(chance(12, 40))


@pytest.mark.medium
def test_what_all_have_in_common_tells_nobody_apart() -> None:
    """Photos of one office are alike; images that show the office show nobody in it."""
    rng = np.random.default_rng(3)
    office = np.where(np.arange(112) < 12, 0.5, 0.0)
    exposed = [
        rank_right(likeness(rng, 12, 100) + office, rng).p_adjusted.min() < 0.05 for _ in range(40)
    ]
    assert np.mean(exposed) <= 0.125


def test_one_person_known_by_heart_stands_out_and_others_do_not() -> None:
    rng = np.random.default_rng(4)
    known = np.where(np.arange(12) == 7, 4.0, 0.0)
    found = [rank_right(likeness(rng, 12, 40, known), rng).p_adjusted for _ in range(30)]
    assert np.mean([one[7] < 0.05 for one in found]) > 0.9
    assert np.mean([np.delete(one, 7).min() < 0.05 for one in found]) <= 0.14


def test_all_known_a_little_show_together_what_none_shows_alone() -> None:
    found = rank_right(likeness(np.random.default_rng(5), 12, 6, 0.4), np.random.default_rng(0))
    assert found.p_adjusted.min() > 0.05
    assert found.p_together < 0.01


def test_galleries_of_any_size_count_the_same_bits() -> None:
    rng = np.random.default_rng(6)
    whole = likeness(rng, 40, 2000, 0.45)
    sizes = (100, 500, 2000)
    found = [bits_gained(log_rank_right(whole[:, : 40 + size]), chance(40, size)) for size in sizes]
    assert 1.5 < found[-1].estimate < 4
    for one in found:
        assert one.low < found[-1].estimate < one.high


def test_ranks_are_those_of_plain_counting() -> None:
    rng = np.random.default_rng(7)
    some = np.round(likeness(rng, 5, 30), 1)
    found = peculiar(some)
    for goal in range(5):
        others = [row for row in range(5) if row != goal]
        mean = np.mean([some[row] for row in others], axis=0)
        assert found[goal] == pytest.approx(some[goal] - mean, abs=1e-6)
        own = found[goal, goal]
        above = sum(value > own for value in found[goal, 5:])
        equal = sum(value == own for value in found[goal, 5:])
        assert rank_right(some, rng).rank[goal] == 1 + above + equal
        places = np.log2(np.arange(above + 1, above + equal + 2))
        assert log_rank_right(some)[goal] == pytest.approx(places.mean())


def test_guesses_are_ranked_by_how_they_differ_from_each_other() -> None:
    rng = np.random.default_rng(8)
    guesses = likeness(rng, 400, 0)[:, :45]
    assert log_ranks_of_guesses(guesses, 5) == pytest.approx(chance(5, 40), abs=0.25)
    assert log_ranks_of_guesses(guesses[:1], 5) == pytest.approx(chance(5, 40))


def test_one_known_alone_is_tested_as_if_it_were_so() -> None:
    """The quick answer is that of replacing each row and testing everybody anew, nearly."""
    rng = np.random.default_rng(9)
    nothing, photos = likeness(rng, 8, 60), likeness(rng, 8, 60, 4.0)
    photos[3] = nothing[3]  # a photo that shows nobody
    nobody = np.zeros(8, np.bool_)
    found = alone(nothing, photos, nobody, np.random.default_rng(0))
    for goal in range(8):
        replaced = nothing.copy()
        replaced[goal] = photos[goal]
        slow = rank_right(replaced, np.random.default_rng(0)).p_adjusted[goal]
        assert found[goal] == pytest.approx(slow, abs=0.05)
        assert (found[goal] < 0.05) == (goal != 3)


def test_who_stands_out_already_hides_nobody_known_alone() -> None:
    """Dealt out by lot, a row that fits its person well is often the largest deviation of all."""
    rng = np.random.default_rng(9)
    nothing, photos = likeness(rng, 8, 30), likeness(rng, 8, 30, 4.0)
    some, exposed = nothing.copy(), np.arange(8) < 3
    some[exposed] = photos[exposed] * 2
    hidden = alone(some, photos, np.zeros(8, np.bool_), np.random.default_rng(0))
    found = alone(some, photos, exposed, np.random.default_rng(0))
    assert (found[3:] < 0.05).all()
    assert (hidden[3:] >= 0.05).any()
