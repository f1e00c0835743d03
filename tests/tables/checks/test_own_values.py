"""Columns that do not hold what the model learned of these rows, and columns that do."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor, RandomForestRegressor
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder
from tests.tables.checks import test_checks
from tests.tables.checks.test_checks import (
    INPUTS,
    MEMBERS,
    OTHERS,
    SOUND,
    SOUND_CLASSES,
    fitted,
    ill,
    people,
    subject_of,
)

from darkroom.auditing.record import Check
from darkroom.tables.checks.fitting import Again
from darkroom.tables.checks.own_values import LEAST, Gains, check_own_values

TREES = ExtraTreesRegressor(20, random_state=0)
CLASSES = ExtraTreesClassifier(20, random_state=0)
PRIVATE = MEMBERS + OTHERS


def shuffled(frame: pd.DataFrame, column: str) -> pd.DataFrame:
    """Private rows whose values of a column are those of other private rows."""
    drawn = frame[column].to_numpy().copy()
    private = test_checks.MEMBERS + test_checks.OTHERS
    drawn[:private] = np.random.default_rng(5).permutation(drawn[:private])
    return frame.assign(**{column: drawn})


def unheard(done: int, steps: int) -> None:
    """Nobody is told."""


def checked(model: Any, frame: pd.DataFrame, **options: Any) -> Check:
    subject = subject_of(model, frame, **options)
    again = Again.of(subject.target, subject.data.members)
    tried: list[tuple[int, ...]] = []
    found = check_own_values(subject, again, lambda *place: tried.append(place))
    assert tried == [(number, len(tried)) for number in range(len(tried))]
    return found


@pytest.mark.parametrize("column", ["gene", "visits"])
def test_a_column_beside_other_rows_is_named(column: str) -> None:
    """The model relies on the column, so that it knows its rows no more where it is shuffled."""
    frame = people()
    found = checked(fitted(TREES, frame), shuffled(frame, column))
    assert found.outcome == "noted"
    assert f"no better with their own {column} than" in found.found


@pytest.mark.parametrize("column", ["gene", "visits"])
def test_a_column_of_which_the_model_knows_rows_by_heart_fails(
    column: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says nothing elsewhere, and the model knows its rows by the others too."""
    frame = learned_by_heart(monkeypatch)
    found = checked(fitted(TREES, frame), shuffled(frame, column))
    assert (found.outcome, found.cause) == ("failed", "other values")
    assert f"their own {column} than with that of others. It knows them by heart" in found.found


def learned_by_heart(monkeypatch: pytest.MonkeyPatch) -> pd.DataFrame:
    """People whose gene and visits say nothing of the dose, many of them held out."""
    monkeypatch.setattr(test_checks, "MEMBERS", 240)
    monkeypatch.setattr(test_checks, "OTHERS", 300)
    frame = people(0, 700)
    rng = np.random.default_rng(1)
    dose = frame["age"] * 0.4 - frame["weight"] * 0.2 + rng.normal(0, 2, len(frame))
    return frame.assign(dose=dose)


@pytest.mark.parametrize("outputs", ["predictions", "scores"])
def test_labels_and_scores_tell_it_too(outputs: str) -> None:
    frame = people().assign(dose=np.where(people()["gene"] == "GG", "high", "low"))
    known = fitted(CLASSES, frame)
    assert checked(known, frame, outputs=outputs).outcome == "passed"
    found = checked(known, shuffled(frame, "gene"), outputs=outputs)
    assert found.outcome == "noted"
    assert "their own gene or age or weight or visits than" in found.found


def test_a_known_column_in_another_unit_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    frame = learned_by_heart(monkeypatch)
    found = checked(fitted(TREES, frame), frame.assign(visits=frame["visits"] + 1000))
    assert found.cause == "other values"
    assert "their own visits than with that of others. It knows them by heart" in found.found


def test_one_of_two_sensitive_columns_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    frame = learned_by_heart(monkeypatch)
    frame = frame.assign(visits=np.where(frame["visits"] > 5, "often", "rarely"))
    coded = make_column_transformer(
        (OneHotEncoder(sparse_output=False), ["gene", "visits"]), remainder="passthrough"
    )
    members = frame[: test_checks.MEMBERS]
    known = make_pipeline(coded, TREES).fit(members[INPUTS], members["dose"])
    moved = shuffled(frame, "visits")
    found = checked(known, moved, sensitive=["gene", "visits"])
    assert "their own visits than" in found.found


def test_two_columns_are_both_named() -> None:
    frame = people()
    found = checked(fitted(TREES, frame), shuffled(shuffled(frame, "gene"), "visits"))
    assert "their own gene or visits than" in found.found


def test_what_follows_from_the_sensitive_column_goes_with_it() -> None:
    frame = people().assign(visits=people()["gene"].map({"AA": 1, "AG": 2, "GG": 3}))
    options = {"sensitive": ["gene"], "derived": ["visits"]}
    assert checked(fitted(TREES, frame), frame, **options).outcome == "passed"
    moved = shuffled(frame, "gene").assign(
        visits=lambda one: one["gene"].map({"AA": 1, "AG": 2, "GG": 3})
    )
    found = checked(fitted(TREES, frame), moved, **options)
    assert "their own gene than" in found.found


@pytest.mark.medium
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("noise", [False, True])
def test_sound_models_pass(seed: int, noise: bool) -> None:
    rng = np.random.default_rng(seed)
    for frame, models in ((people(seed), (*SOUND, TREES)), (ill(seed), (*SOUND_CLASSES, CLASSES))):
        if noise:
            frame = frame.assign(dose=rng.permutation(frame["dose"].to_numpy()))
        for model in models:
            assert checked(fitted(model, frame), frame).outcome == "passed", model


@pytest.mark.medium
@pytest.mark.parametrize("seed", range(4))
def test_a_model_of_many_more_rows_does_not_fail(seed: int) -> None:
    """A gene that says nothing is of no use to it, and the same estimator learns it by heart."""
    frame = people(seed, 6000)
    rng = np.random.default_rng(seed)
    frame = frame.assign(gene=rng.permutation(frame["gene"].to_numpy()))
    few = frame[: PRIVATE + 150]
    for model in (TREES, RandomForestRegressor(20, min_samples_leaf=5, random_state=0)):
        known = fitted(model, few).fit(frame[INPUTS], frame["dose"])
        assert checked(known, few).outcome in ("passed", "noted"), model


def test_one_that_cannot_be_fitted_again_says_what_it_expects_of_a_column() -> None:
    frame = people()
    known = fitted(LinearRegression(), frame)
    assert checked(known.predict, frame).outcome == "passed"
    found = checked(known.predict, shuffled(frame, "visits"))
    assert found.outcome == "noted"
    assert "their own visits than with that of others" in found.found


@pytest.mark.medium
@pytest.mark.parametrize("seed", range(4))
def test_people_of_another_kind_in_public_rows_are_no_mistake(seed: int) -> None:
    """Private doses are noisy, and few are ill; public ones are precise, and half of them ill."""
    rng = np.random.default_rng(seed)
    frame = people(seed)
    noisy = frame["dose"] + np.where(np.arange(len(frame)) < PRIVATE, rng.normal(0, 25), 0)
    frame = frame.assign(dose=noisy)
    assert checked(fitted(LinearRegression(), frame), frame).outcome == "passed"
    cut = np.where(np.arange(len(frame)) < PRIVATE, np.quantile(noisy, 0.94), noisy.median())
    frame = frame.assign(dose=np.where(noisy > cut, "high", "low"))
    model = LogisticRegression(class_weight="balanced", max_iter=2000)
    assert checked(fitted(model, frame), frame, outputs="scores").outcome == "passed"


def test_values_that_a_model_refuses_are_left_out() -> None:
    frame = people().assign(visits=people()["gene"].map({"AA": 1, "AG": 2, "GG": 3}))
    known = fitted(LinearRegression(), frame)

    def strict(table: pd.DataFrame) -> Any:
        if (table["visits"] != table["gene"].map({"AA": 1, "AG": 2, "GG": 3})).any():
            raise ValueError("no such person")
        return known.predict(table)

    found = checked(strict, frame)
    assert found.outcome == "passed"
    assert "None of 2 columns" in found.found


def test_a_server_and_few_rows_are_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    subject = subject_of(fitted(TREES, people()), people())
    again = Again(None, subject.data.members, MEMBERS)
    monkeypatch.setattr("darkroom.tables.checks.own_values.LEAST", MEMBERS + 1)
    assert "too few rows" in check_own_values(subject, again, unheard).found
    monkeypatch.setattr("darkroom.tables.checks.own_values.LEAST", LEAST)
    monkeypatch.setattr(type(subject.target), "served", True)
    assert "server" in check_own_values(subject, again, unheard).found


def test_gains_are_fewer_only_where_surely_more_are_expected() -> None:
    nothing, rising = np.zeros(30), np.linspace(1, 2, 30)
    none, some = Gains(nothing, nothing), Gains(rising, rising)
    assert none.fewer(rising)
    assert not some.fewer(rising)
    assert not none.fewer(nothing)
    assert not none.fewer(np.tile([9.0, -8.0], 15))
