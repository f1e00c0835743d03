"""The bound against closed forms, against sampling, and against attacks that know everything."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
from scipy import special, stats
from tests.support.needs import needed

from darkroom.errors import PlanError
from darkroom.statistics import reconstruction_bound as module
from darkroom.statistics.reconstruction_bound import (
    Mechanism,
    gaussian_bound,
    reconstruction_bound,
)


@pytest.mark.medium
@pytest.mark.parametrize("steps", [1, 7])
@pytest.mark.parametrize("records", [1, 3])
def test_almost_full_batches_agree_with_the_closed_form(steps: int, records: int) -> None:
    near = reconstruction_bound(0.05, Mechanism(3.0, 1 - 1e-7, steps), records=records)
    exact = reconstruction_bound(0.05, Mechanism(3.0, 1.0, steps), records=records)
    assert exact == gaussian_bound(0.05, records * math.sqrt(steps) / 3.0)
    assert near == pytest.approx(exact, abs=1e-5)


@pytest.mark.medium
@pytest.mark.parametrize(
    ("baseline", "mechanism", "records"),
    [
        (0.1, Mechanism(1.0, 0.1, 20), 1),
        pytest.param(0.05, Mechanism(1.5, 0.05, 30), 5, marks=pytest.mark.slow),
    ],
)
def test_the_likelihood_ratio_test_of_who_knows_all_meets_the_bound(
    baseline: float, mechanism: Mechanism, records: int
) -> None:
    # The attacker sees every step and tells the secret from its absence: no attack is stronger, and
    # none is above the bound (Hayes et al. 2023: a prior-aware attack meets it).
    rng, draws = np.random.default_rng(0), 100_000
    sigma, rate, steps = mechanism
    members = np.arange(records + 1)
    weights = stats.binom.logpmf(members, records, rate)

    def loss(seen: np.ndarray) -> np.ndarray:
        exponents = (2 * seen[:, None] * members - members**2) / (2 * sigma**2)
        return np.asarray(special.logsumexp(exponents + weights, axis=1))

    without, with_secret = np.zeros(draws), np.zeros(draws)
    for _ in range(steps):
        noise = rng.normal(0, sigma, (2, draws))
        without += loss(noise[0])
        with_secret += loss(noise[1] + rng.binomial(records, rate, draws))
    reached = float((with_secret > np.quantile(without, 1 - baseline)).mean())
    bound = reconstruction_bound(baseline, mechanism, records=records)
    error = 4 * math.sqrt(2 * bound / draws) + 4 * math.sqrt(baseline / draws)
    assert bound - error < reached < bound + error


@pytest.mark.medium
@pytest.mark.parametrize(
    ("baseline", "noise", "rate", "records"),
    [(0.05, 1.0, 0.1, 1), (0.01, 0.2, 0.3, 1), (0.2, 0.7, 0.5, 4), (0.001, 3.0, 0.9, 2)],
)
def test_one_step_is_told_by_a_threshold(
    baseline: float, noise: float, rate: float, records: int
) -> None:
    # The likelihood ratio rises with what the step releases, so the best test is a threshold on it.
    threshold = -noise * stats.norm.ppf(baseline)
    members = np.arange(records + 1)
    beyond = stats.norm.sf((threshold - members) / noise)
    exact = float(stats.binom.pmf(members, records, rate) @ beyond)
    bound = reconstruction_bound(baseline, Mechanism(noise, rate, 1), records=records)
    assert exact - 1e-9 < bound < exact + 1e-5


def test_choosing_the_best_of_ten_candidates_stays_below_the_bound() -> None:
    # One step of noise 1 on one of ten secrets whose gradients are orthogonal.
    rng, n = np.random.default_rng(1), 20_000
    secrets = rng.integers(10, size=n)
    released = rng.normal(size=(n, 10))
    released[np.arange(n), secrets] += 1.0
    right = float((released.argmax(axis=1) == secrets).mean())
    bound = reconstruction_bound(0.1, Mechanism(1.0, 1.0, 1))
    assert bound == pytest.approx(0.3891, abs=1e-4)
    assert 0.25 < right < bound


@pytest.mark.slow
def test_equal_epsilon_and_delta_can_mean_different_chances() -> None:
    # Both spend epsilon 4 at delta 1e-5: one full step, or many on small samples.
    one = _noise(lambda sigma: Mechanism(sigma, 1.0, 1))
    many = _noise(lambda sigma: Mechanism(sigma, 0.01, 200))
    first = reconstruction_bound(0.1, Mechanism(one, 1.0, 1))
    second = reconstruction_bound(0.1, Mechanism(many, 0.01, 200))
    assert abs(first - second) > 0.05
    # What (epsilon, delta) alone allows is never below the bound for the mechanism itself.
    assert max(first, second) < 1e-5 + math.exp(4.0) * 0.1
    assert max(first, second) < 1 - math.exp(-4.0) * (1 - 1e-5 - 0.1)


def _noise(mechanism: object) -> float:
    utils = needed("opacus.accountants.utils")
    sample = mechanism(1.0)  # type: ignore[operator]
    with warnings.catch_warnings(action="ignore"):
        return float(
            utils.get_noise_multiplier(
                target_epsilon=4.0,
                target_delta=1e-5,
                sample_rate=sample.sample_rate,
                steps=sample.steps,
                accountant="prv",
            )
        )


@pytest.mark.medium
def test_more_noise_fewer_steps_and_fewer_records_lower_the_bound() -> None:
    usual = reconstruction_bound(0.1, Mechanism(1.0, 0.1, 50), records=2)
    assert 0.1 < reconstruction_bound(0.1, Mechanism(2.0, 0.1, 50), records=2) < usual
    assert reconstruction_bound(0.1, Mechanism(1.0, 0.1, 25), records=2) < usual
    assert reconstruction_bound(0.1, Mechanism(1.0, 0.1, 50)) < usual
    assert reconstruction_bound(0.2, Mechanism(1.0, 0.1, 50), records=2) > usual


def test_the_ends_of_the_scale() -> None:
    assert reconstruction_bound(0.3, Mechanism(1.0, 0.1, 0)) == 0.3
    assert reconstruction_bound(1.0, Mechanism(1.0, 0.1, 5)) == 1.0
    assert reconstruction_bound(0.0, Mechanism(1.0, 0.1, 5)) < 1e-9
    assert reconstruction_bound(0.0, Mechanism(1.0, 1.0, 5)) == 0.0


@pytest.mark.parametrize(
    ("baseline", "mechanism", "records", "named"),
    [
        (1.1, Mechanism(1.0, 0.1, 5), 1, "baseline"),
        (-0.1, Mechanism(1.0, 0.1, 5), 1, "baseline"),
        (0.1, Mechanism(0.0, 0.1, 5), 1, "noise multiplier"),
        (0.1, Mechanism(1.0, 1.1, 5), 1, "sample rate"),
        (0.1, Mechanism(1.0, -0.5, 5), 1, "sample rate"),
        (0.1, Mechanism(1.0, 0.1, -1), 1, "steps -1"),
        (0.1, Mechanism(1.0, 0.1, 5), 0, "records"),
    ],
)
def test_wrong_figures_are_refused(
    baseline: float, mechanism: Mechanism, records: int, named: str
) -> None:
    with pytest.raises(PlanError, match=named):
        reconstruction_bound(baseline, mechanism, records=records)


@pytest.mark.medium
@pytest.mark.parametrize("noise", [0.3, 0.05, 1e-3, 1e-6])
@pytest.mark.parametrize("records", [1, 3, 20])
def test_next_to_no_noise_shows_the_secret_whenever_a_step_meets_it(
    noise: float, records: int
) -> None:
    meets = 1 - (1 - 0.01) ** (5 * records)
    bound = reconstruction_bound(0.1, Mechanism(noise, 0.01, 5), records=records)
    assert bound <= 0.1 + meets + 1e-9
    if noise <= 0.05:
        assert bound >= meets + (1 - meets) * 0.1


@pytest.mark.medium
def test_twenty_photos_and_little_noise() -> None:
    assert reconstruction_bound(0.01, Mechanism(0.3, 0.2, 50), records=20) == 1.0


@pytest.mark.parametrize("baseline", [0.0, 1e-15])
def test_what_the_grid_leaves_out_is_given_to_the_attacker(baseline: float) -> None:
    bound = reconstruction_bound(baseline=baseline, mechanism=Mechanism(1.0, 0.01, 5), records=1)
    assert 1e-10 <= bound < 1e-9


def test_what_lies_beyond_a_grid_that_ends_early_is_given_to_the_attacker(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    compute, mechanism = reconstruction_bound.__wrapped__, Mechanism(1.0, 0.1, 5)
    whole = compute(0.1, mechanism)
    monkeypatch.setattr(module, "_upper_end", lambda *_: 2.0)
    assert compute(0.1, mechanism) > whole + 0.1
