"""The bound on epsilon from one run, against jax_privacy's auditor and against chance."""

from __future__ import annotations

import numpy as np
import pytest

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


@pytest.mark.parametrize("wrong", [{"delta": 0.0}, {"delta": 2.0}, {"delta": 0.1, "level": 1.0}])
def test_numbers_out_of_range_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="epsilon: delta"):
        epsilon_bounds(np.ones(3), np.zeros(3), **wrong)


def test_scores_must_be_there_and_finite() -> None:
    with pytest.raises(ValueError, match="finite scores"):
        epsilon_bounds(np.array([]), np.zeros(3), delta=1e-5)
    with pytest.raises(ValueError, match="finite scores"):
        epsilon_bounds(np.array([np.nan]), np.zeros(3), delta=1e-5)
