"""The bound on epsilon from one run, against jax_privacy's auditor and against chance."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from scipy.optimize import brentq
from scipy.special import ndtr, ndtri
from tests.support.examples import few

from darkroom.statistics.one_run import Scores, epsilon_bounds

JAX_PRIVACY = [
    ((0, 100, 100, 1.0), 1e-5, False, 1.3052907735599508, 1.8880241980887909),
    ((0, 100, 100, 1.0), 1e-2, False, 0.0, 0.8617980948443208),
    ((1, 300, 280, 2.0), 1e-5, False, 2.3398032769251698, 3.4142288135569183),
    ((2, 1000, 1000, 3.0), 1e-5, False, 4.007084502965125, 6.430605531610896),
    ((3, 50, 60, 0.0), 1e-5, False, 0.0, 0.0),
    ((4, 200, 200, 2.0), 1e-5, True, 1.9210234140775138, 2.8730250353147255),
    ((5, 60, 60, 30.0), 1e-5, False, 2.644715893821947, 5.037950564806256),
    ((6, 500, 480, 1.5), 1e-2, False, 0.0, 1.8581479815538533),
]
"""Figures of ``epsilon_one_run`` and ``epsilon_one_run_fdp`` of jax_privacy 2.0.0 at 5%."""


def scores(seed: int, inside: int, outside: int, shift: float) -> tuple[Scores, Scores]:
    rng = np.random.default_rng(seed)
    return rng.normal(shift, 1, inside), rng.normal(0, 1, outside)


@pytest.mark.parametrize(("drawn", "delta", "rounded", "pure", "gaussian"), JAX_PRIVACY)
def test_the_bounds_are_those_of_jax_privacy(
    drawn: tuple[int, int, int, float], delta: float, rounded: bool, pure: float, gaussian: float
) -> None:
    inside, outside = scores(*drawn)
    if rounded:
        inside, outside = np.round(inside), np.round(outside)
    bounds = epsilon_bounds(inside, outside, delta=delta)
    assert bounds.pure == pytest.approx(pure, abs=1e-9)
    assert bounds.gaussian == pytest.approx(gaussian, abs=1e-9)


@pytest.mark.medium
def test_randomised_response_is_bounded_below_its_own_epsilon() -> None:
    """A coin for each canary, told rightly with the chance that epsilon 1 allows."""
    above = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        coins = rng.random(400) < 0.5
        told = coins ^ (rng.random(400) > 1 / (1 + np.exp(-1.0)))
        scored = told + rng.random(400) / 2
        bounds = epsilon_bounds(scored[coins], scored[~coins], delta=1e-6)
        above += bounds.pure > 1
    assert above <= 4


WRONG = [
    {"delta": 0.0},
    {"delta": 2.0},
    {"delta": 0.1, "level": 1.0},
    {"delta": 0.1, "level": 0.0},
    {"delta": 0.1, "level": -0.5},
]


@pytest.mark.parametrize("wrong", WRONG)
def test_numbers_out_of_range_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="epsilon: delta"):
        epsilon_bounds(np.ones(3), np.zeros(3), **wrong)


def test_a_delta_of_one_allows_everything() -> None:
    assert epsilon_bounds(inside=np.ones(50), outside=np.zeros(50), delta=1.0) == (0.0, 0.0)


def corners(inside: Scores, outside: Scores) -> list[tuple[int, int]]:
    """Returns right and wrong guesses at each threshold that no mixture of two others reaches."""
    points = [
        (int((inside >= one).sum()), int((outside >= one).sum()))
        for one in [*sorted({*inside.tolist(), *outside.tolist()}), np.inf]
    ]

    def reached(place: int) -> bool:
        right, wrong = points[place]
        for more, fewer in itertools.product(points[:place], points[place + 1 :]):
            # The line from one to the other, where it has as many right guesses.
            height = (more[1] - fewer[1]) * (right - fewer[0])
            if height <= (wrong - fewer[1]) * (more[0] - fewer[0]):
                return True
        return False

    return [one for place, one in enumerate(points) if not reached(place)]


def counted(eps: float, total: int, made: int, right: int, delta: float) -> float:
    """Returns the chance that is allowed for so many right guesses; Steinke et al., section 5."""
    rightly = 1 / (1 + math.exp(-eps))
    chances = [
        math.comb(made, k) * rightly**k * (1 - rightly) ** (made - k) for k in range(made + 1)
    ]
    tail = sum(chances[right:])
    gained = max((sum(chances[right - j :]) - tail) / j for j in range(1, right + 1))
    return tail + gained * 2 * total * delta


def recursed(
    eps: float, total: int, made: int, right: int, significance: float, delta: float
) -> bool:
    """Tells whether so many right guesses are ruled out; Mahloujifar et al., algorithm 3."""

    def allowed(apart: float) -> float:
        first, second = ndtr(apart / 2 - eps / apart), ndtr(-apart / 2 - eps / apart)
        return float(first - math.exp(eps) * second)

    apart = brentq(lambda one: allowed(one) - delta, 1e-12, 60.0, xtol=1e-13)
    inside, outside = significance * right / total, significance * (made - right) / total
    for count in reversed(range(right)):
        further = max(outside, float(ndtr(ndtri(inside) - apart)))
        inside = min(inside + count / (made - count) * (further - outside), 1.0)
        outside = further
    return inside + outside > made / total


def largest(ruled_out: Callable[[float], bool]) -> float:
    low, high = 0.0, 20.0
    if not ruled_out(low):
        return 0.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if ruled_out(middle) else (low, middle)
    return low


@few
@given(
    inside=st.lists(st.integers(0, 4), min_size=1, max_size=14),
    outside=st.lists(st.integers(0, 4), min_size=1, max_size=14),
    delta=st.sampled_from([1e-9, 1e-3, 0.01, 0.03]),
    level=st.sampled_from([0.2, 0.5, 0.9]),
)
# Two guesses, both right.
@example(inside=[1, 1], outside=[0], delta=1e-3, level=0.05)
# One threshold in the middle, which a mixture of the others reaches.
@example(inside=[0] * 6 + [1], outside=[1], delta=1e-9, level=0.5)
# Seven of seven guesses are right, and eleven of twelve rule out more.
@example(inside=[2] * 7 + [1] * 4, outside=[1, 0], delta=1e-3, level=0.2)
def test_a_few_guesses_are_bounded_as_by_a_slow_and_plain_way(
    inside: list[int], outside: list[int], delta: float, level: float
) -> None:
    inner, outer = np.array(inside, float), np.array(outside, float)
    found, total = corners(inner, outer), len(inside) + len(outside)
    sure = (1 - level) / len(found)
    pure, gaussian = [0.0], [0.0]
    for right, wrong in found:
        n = right + wrong
        if right:
            by_counts = partial(counted, total=total, made=n, right=right, delta=delta)
            pure.append(largest(lambda eps: by_counts(eps) < sure))  # noqa: B023
            gaussian.append(largest(lambda eps: recursed(eps, total, n, right, sure, delta)))  # noqa: B023
    bounds = epsilon_bounds(inner, outer, delta=delta, level=level)
    assert bounds.pure == pytest.approx(max(pure), abs=1e-5)
    assert bounds.gaussian == pytest.approx(max(gaussian), abs=1e-4)


@pytest.mark.medium
def test_canaries_that_are_all_told_apart_are_bounded_far_out() -> None:
    bounds = epsilon_bounds(np.ones(100_000), np.zeros(100_000), delta=1e-12)
    # All of so many right: chance ** right is the significance, of one threshold in three or two.
    assert 9 < bounds.pure < 11
    assert bounds.gaussian > bounds.pure
    # Here the distance between the two sides of a Gaussian mechanism is more than two deviations.
    assert epsilon_bounds(np.ones(100_000), np.zeros(100_000), delta=0.01).gaussian > 8


def test_scores_must_be_there_and_finite() -> None:
    with pytest.raises(ValueError, match="finite scores"):
        epsilon_bounds(np.array([]), np.zeros(3), delta=1e-5)
    with pytest.raises(ValueError, match="finite scores"):
        epsilon_bounds(np.array([np.nan]), np.zeros(3), delta=1e-5)
