"""A model that tells nothing is told from one that tells a little."""

from __future__ import annotations

import numpy as np

from darkroom.statistics.chance import dead_classifier, dead_regressor, no_better_than_chance


def test_who_guesses_is_rarely_taken_for_more() -> None:
    hits = np.random.default_rng(0).binomial(120, 0.1, 400)
    assert np.mean([no_better_than_chance(int(one), 120, 0.1) for one in hits]) > 0.93


def test_few_trials_are_no_failure() -> None:
    assert not no_better_than_chance(3, 4, 0.5)
    assert no_better_than_chance(2, 4, 0.5)


def test_classifiers() -> None:
    truth = np.repeat(np.arange(10), 6)
    rng = np.random.default_rng(1)
    said = dead_classifier(np.zeros(60), truth, "photo")
    assert said == "it names the same class for every photo"
    said = dead_classifier(rng.permutation(truth), truth, "photo")
    assert said == "it is no better than naming the commonest class for every photo"
    half = np.where(rng.random(60) < 0.5, truth, 0)
    assert dead_classifier(half, truth, "photo") is None
    assert dead_classifier(truth, truth, "photo") is None
    alone = np.zeros(6)
    assert dead_classifier(alone, alone, "row") is None


def test_regressors() -> None:
    rng = np.random.default_rng(2)
    truth = rng.normal(size=200)
    assert dead_regressor(np.full(200, 3.0), truth, "row") == "it predicts the same for every row"
    said = dead_regressor(rng.normal(size=200), truth, "row")
    assert said == "it is no better than predicting the middle for every row"
    assert dead_regressor(truth * 0.3, truth, "row") is None
    # One that knows something, and is far off nonetheless, is no better on average and not dead.
    assert dead_regressor(truth + rng.normal(size=200) * 2, truth, "row") is None
    assert dead_regressor(truth * 0, truth * 0, "row") is None
