from __future__ import annotations

import numpy as np
import pytest

from darkroom.text.attacks.bandits import (
    Floats,
    Integers,
    mode_is_certain,
    successive_elimination,
)


def noisy(truth: Floats, deviation: float, seed: int) -> tuple[list[int], object]:
    rng = np.random.default_rng(seed)
    asked: list[int] = []

    def pull(arms: Integers) -> Floats:
        asked.append(len(arms))
        return truth[arms] + rng.normal(0, deviation, len(arms))

    return asked, pull


@pytest.mark.medium
def test_the_best_is_found_with_the_confidence_asked_for() -> None:
    """Arms close enough to be confused by a lax rule: at most 5% of 200 races may err."""
    truth = np.array([10.0, 10.4, 10.6, *np.linspace(11, 15, 20)])
    wrong = 0
    for seed in range(200):
        asked, pull = noisy(truth, 1.0, seed)
        choice = successive_elimination(pull, len(truth), 1.0, budget=10**6)  # type: ignore[arg-type]
        assert choice.certain
        assert sum(asked) == choice.pulls.sum()
        wrong += choice.best != 0
    assert wrong <= 10


def test_elimination_asks_much_less_than_averaging_all() -> None:
    truth = np.concatenate([[8.0, 12.0], np.random.default_rng(0).normal(40, 4, 1000)])
    spent = []
    for dropping in (True, False):
        _, pull = noisy(truth, 3.0, 0)
        choice = successive_elimination(
            pull,  # type: ignore[arg-type]
            len(truth),
            3.0,
            budget=10**6,
            dropping=dropping,
        )
        assert choice.best == 0
        assert choice.certain
        spent.append(choice.pulls.sum())
    assert spent[0] <= spent[1] / 3


@pytest.mark.parametrize("budget", [0, 1, 7, 50])
def test_a_budget_is_kept_and_nothing_claimed(budget: int) -> None:
    asked, pull = noisy(np.zeros(10), 1.0, 0)
    choice = successive_elimination(pull, 10, 1.0, budget=budget)  # type: ignore[arg-type]
    assert sum(asked) == choice.pulls.sum() <= budget
    assert not choice.certain


def test_answers_without_noise_need_one_round() -> None:
    asked, pull = noisy(np.array([3.0, 1.0, 2.0]), 0.0, 0)
    choice = successive_elimination(pull, 3, 0.0, budget=100)  # type: ignore[arg-type]
    assert (choice.best, choice.certain, asked) == (1, True, [3])


@pytest.mark.medium
def test_the_mode_is_called_certain_wrongly_at_most_as_often_as_stated() -> None:
    """200 repetitions of a draw whose two likeliest values are close."""
    shares = np.array([0.34, 0.24, 0.14, 0.14, 0.14])
    rng = np.random.default_rng(0)
    wrong = decided = 0
    for _ in range(200):
        counts = {str(value): 0 for value in range(5)}
        for value in rng.choice(5, size=3000, p=shares):
            counts[str(value)] += 1
            if mode_is_certain(counts, 5):
                decided += 1
                wrong += max(counts, key=counts.__getitem__) != "0"
                break
    assert decided > 150
    assert wrong <= 10


def test_a_clear_mode_is_certain_soon_and_a_tie_never() -> None:
    assert mode_is_certain({"a": 40}, 10**9)
    assert not mode_is_certain({"a": 10}, 10**9)
    assert not mode_is_certain({"a": 500, "b": 500}, 2)
    assert not mode_is_certain({}, 5)
    assert mode_is_certain({"a": 1}, 1)
