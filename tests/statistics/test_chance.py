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


def test_a_rate_far_above_chance_is_something_however_few_there_are() -> None:
    # A quarter of what chance leaves is the least: 5 of 8 where a guesser has half.
    assert no_better_than_chance(5, 8, 0.5)
    assert not no_better_than_chance(6, 8, 0.5)
    assert not no_better_than_chance(0, 0, 0.5)


def test_who_is_lucky_in_one_of_twenty_times_guesses() -> None:
    # 62 of 100 heads or more come in 1% of all times, 58 or more in 7%.
    assert not no_better_than_chance(62, 100, 0.5)
    assert no_better_than_chance(58, 100, 0.5)


def test_the_commonest_class_is_what_a_guesser_names() -> None:
    truth = np.repeat([0, 1], [90, 10])
    named = np.array([0] * 88 + [1] * 2 + [0] * 8 + [1] * 2)
    said = dead_classifier(named, truth, "row")
    assert said == "it is no better than naming the commonest class for every row"


def test_two_classes_are_enough_to_tell_and_one_other_answer_too() -> None:
    truth = np.repeat([0, 1], 20)
    assert dead_classifier(np.zeros(40), truth, "row") == "it names the same class for every row"
    first_only, last_only = np.zeros(40), np.zeros(40)
    first_only[0] = last_only[-1] = 1
    for named in (first_only, last_only):
        said = dead_classifier(named, truth, "row")
        assert said == "it is no better than naming the commonest class for every row"


def test_two_rows_are_enough_to_tell_a_constant_and_one_is_not() -> None:
    constant, truth = np.array([3.0, 3.0]), np.array([1.0, 2.0])
    assert dead_regressor(constant, truth, "row") == "it predicts the same for every row"
    assert dead_regressor(np.ones(1), np.ones(1), "row") is None
    assert dead_regressor(np.ones(0), np.ones(0), "row") is None


def test_predictions_that_differ_by_a_millionth_of_the_truth_are_the_same() -> None:
    truth = np.linspace(0, 1000, 50)
    assert dead_regressor(truth * 1e-7, truth, "row") == "it predicts the same for every row"
    assert dead_regressor(truth * 1e-5, truth, "row") is None


def test_a_median_far_from_zero_is_taken_off() -> None:
    rng = np.random.default_rng(3)
    for middle in (-50.0, 50.0):
        truth = middle + rng.normal(size=200)
        guesses = middle + rng.normal(size=200)
        said = dead_regressor(guesses, truth, "row")
        assert said == "it is no better than predicting the middle for every row"
        # Nearer to the truth on average, and in no better order: it knows a few very well.
        few = np.where(rng.random(200) < 0.2, truth, np.median(truth) + 1e-3 * guesses)
        assert dead_regressor(few, truth, "row") is None


def test_who_knows_the_extremes_alone_is_not_dead() -> None:
    # Ten of 200 are far out, and predicted; the others are predicted in the wrong order.
    truth = np.append(np.linspace(-1, 1, 190), np.full(10, 1000.0))
    predictions = np.append(-truth[:190], truth[190:])
    assert dead_regressor(predictions, truth, "row") is None


def test_as_far_off_as_the_middle_is_no_better() -> None:
    truth, predictions = np.array([0.0, 1.0, 0.0, 1.0]), np.array([0.0, 0.0, 1.0, 1.0])
    said = dead_regressor(predictions, truth, "row")
    assert said == "it is no better than predicting the middle for every row"
    same = dead_regressor(np.array([0.0, 1.0]), np.array([0.0, 1e6]), "row")
    assert same == "it predicts the same for every row"


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
