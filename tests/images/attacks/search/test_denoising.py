"""Scores behind noise that was cut off and divided by the sum."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from darkroom.defenses.noise import Noise
from darkroom.images.attacks.search.denoising import without_bias

Rows = NDArray[np.float64]


def mean_answers(scores: Rows, noise: Noise, repeats: int, seed: int) -> Rows:
    rng = np.random.default_rng(seed)
    means: Rows = np.mean([noise(scores, rng) for _ in range(repeats)], axis=0)
    return means


@pytest.mark.medium
@pytest.mark.parametrize("deviation", [0.05, 0.2])
@pytest.mark.parametrize("kind", ["gaussian", "laplace"])
def test_many_answers_leave_no_bias(kind: str, deviation: float) -> None:
    scores = np.random.default_rng(1).dirichlet(np.full(20, 0.2), 5)
    means = mean_answers(scores, Noise(deviation, kind), 20_000, 2)
    assert np.abs(means - scores).max() > 0.03
    recovered = without_bias(means, deviation, laplace=kind == "laplace", repeats=20_000)
    # The mean's own error is about half a percent of one for the wider noise, and it is what is
    # left: what the sum's variance alone would leave is 0.01 and more.
    np.testing.assert_allclose(recovered, scores, atol=0.1 * deviation)


@pytest.mark.parametrize(("repeats", "times"), [(1, 1.5), (4, 2.0), (16, 4.0), (64, 8.0)])
def test_an_estimate_is_nearer_than_the_mean(repeats: int, times: float) -> None:
    scores = np.tile(np.random.default_rng(3).dirichlet(np.full(40, 0.05), 10), (40, 1))
    noise = Noise(0.1)
    means = mean_answers(scores, noise, repeats, 4)
    best = scores.argmax(axis=1)
    rows = np.arange(len(scores))
    error = without_bias(means, 0.1, repeats=repeats)[rows, best] - scores[rows, best]
    plain = means[rows, best] - scores[rows, best]
    assert np.sqrt(np.mean(error**2)) < np.sqrt(np.mean(plain**2)) / times


def test_one_row_or_none_gives_the_same() -> None:
    means = Noise(0.1)(np.full((6, 5), 0.2), np.random.default_rng(0))
    together = without_bias(means, 0.1, repeats=10)
    alone = np.concatenate([without_bias(row[None], 0.1, repeats=10) for row in means])
    np.testing.assert_allclose(together, alone, atol=1e-12)
    assert without_bias(means[:0], 0.1).shape == (0, 5)
    assert (together >= 0).all()
