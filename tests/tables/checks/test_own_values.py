"""Columns that do not hold what the model learned of these rows, and columns that do."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor, RandomForestRegressor
from sklearn.linear_model import LinearRegression
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
from darkroom.tables.checks.knowledge import refitted
from darkroom.tables.checks.own_values import LEAST, Gains, check_own_values

TREES = ExtraTreesRegressor(20, random_state=0)
CLASSES = ExtraTreesClassifier(20, random_state=0)
PRIVATE = MEMBERS + OTHERS


def shuffled(frame: pd.DataFrame, column: str) -> pd.DataFrame:
    """Private rows whose values of a column are those of other private rows."""
    drawn = frame[column].to_numpy().copy()
    drawn[:PRIVATE] = np.random.default_rng(5).permutation(drawn[:PRIVATE])
    return frame.assign(**{column: drawn})


def checked(model: Any, frame: pd.DataFrame, **options: Any) -> Check:
    subject = subject_of(model, frame, **options)
    return check_own_values(subject, refitted(subject.target, subject.data.members))


@pytest.mark.parametrize("column", ["gene", "visits"])
def test_a_column_beside_other_rows_is_named(column: str) -> None:
    frame = people()
    found = checked(fitted(TREES, frame), shuffled(frame, column))
    assert (found.outcome, found.cause) == ("failed", "other values")
    assert f"no better with their own {column} than" in found.found


def test_a_column_beside_other_rows_is_named_by_labels_and_by_scores() -> None:
    frame = people().assign(dose=np.where(people()["gene"] == "GG", "high", "low"))
    known = fitted(CLASSES, frame)
    for outputs in ("predictions", "scores"):
        found = checked(known, shuffled(frame, "gene"), outputs=outputs)
        assert found.cause == "other values"
        assert "their own gene than" in found.found


def test_a_known_column_in_another_unit_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(test_checks, "OTHERS", 400)  # held out, to be sure that it knows its own
    frame = people(0, 700)
    frame = frame.assign(dose=frame["dose"] - frame["visits"])  # which say nothing elsewhere
    found = checked(fitted(TREES, frame), frame.assign(visits=frame["visits"] + 1000))
    assert found.cause == "other values"
    assert "their own visits than with that of others. It knows them by heart" in found.found


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


def test_one_that_cannot_be_fitted_again_is_compared_with_public_rows() -> None:
    frame = people()
    known = fitted(LinearRegression(), frame)
    assert checked(known.predict, frame).outcome == "passed"
    found = checked(known.predict, shuffled(frame, "visits"))
    assert found.outcome == "failed"
    assert "their own visits than with that of others. It does so with public rows" in found.found


def test_a_server_and_few_rows_are_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    subject = subject_of(fitted(TREES, people()), people())
    monkeypatch.setattr("darkroom.tables.checks.own_values.LEAST", MEMBERS + 1)
    assert "too few rows" in check_own_values(subject, None).found
    monkeypatch.setattr("darkroom.tables.checks.own_values.LEAST", LEAST)
    monkeypatch.setattr(type(subject.target), "served", True)
    assert "server" in check_own_values(subject, None).found


def test_gains_are_fewer_only_where_others_surely_have_them() -> None:
    none, some = Gains(np.zeros(30)), Gains(np.linspace(1, 2, 30))
    assert none.surely_fewer(some, paired=True)
    assert not some.surely_fewer(some, paired=True)
    assert not none.surely_fewer(none, paired=True)
    assert not none.surely_fewer(Gains(np.tile([9.0, -8.0], 15)), paired=True)


def test_values_that_matter_to_no_row_are_no_loss() -> None:
    """A column that is the same in all private rows, and not in public ones."""
    none, some = Gains(np.zeros(30)), Gains(np.linspace(1, 2, 30))
    assert not none.surely_fewer(some, paired=False)
    assert Gains(np.tile([1.0, -1.0], 15)).surely_fewer(some, paired=False)
