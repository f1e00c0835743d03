"""Rows that a model would know by heart if it had been trained on them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    GradientBoostingRegressor,
    RandomForestRegressor,
)
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder
from sklearn.svm import SVR
from sklearn.tree import DecisionTreeRegressor
from tests.tables.checks import test_checks
from tests.tables.checks.test_checks import (
    INPUTS,
    MEMBERS,
    SOUND,
    SOUND_CLASSES,
    fitted,
    ill,
    people,
    subject_of,
)

from darkroom.auditing.record import Check
from darkroom.tables.checks.by_heart import check_by_heart
from darkroom.tables.checks.fitting import Again, some
from darkroom.tables.data import Encoded

TREES = ExtraTreesRegressor(20, random_state=0)
CLASSES = ExtraTreesClassifier(20, random_state=0)


def checked(model: Any, frame: pd.DataFrame, **options: Any) -> Check:
    subject = subject_of(model, frame, **options)
    return check_by_heart(subject, Again.of(subject.target, subject.data.members))


def half_strange(frame: pd.DataFrame) -> pd.DataFrame:
    """Rows of which every other member is one that the model has never seen."""
    other = people(9, len(frame)).assign(dose=frame["dose"].sample(frac=1, random_state=0).values)
    mixed = frame.copy()
    mixed.loc[1:MEMBERS:2] = other.loc[1:MEMBERS:2]
    return mixed


@pytest.mark.parametrize("model", [TREES, KNeighborsRegressor(1)])
def test_half_of_the_rows_are_not_those_of_training(model: Any) -> None:
    found = checked(fitted(model, people()), half_strange(people()))
    assert (found.outcome, found.cause) == ("failed", "trained_on")
    share = int(found.found.removeprefix("The model knows about ").split("%")[0])
    assert 40 <= share <= 60


@pytest.mark.parametrize("outputs", ["predictions", "scores"])
def test_classes_of_other_rows_are_told(outputs: str) -> None:
    frame = ill()
    frame = frame.assign(dose=frame["dose"].sample(frac=1, random_state=0).to_numpy())
    known = fitted(CLASSES, frame)
    assert "knows about 100%" in checked(known, frame, outputs=outputs).found
    other = frame.assign(dose=frame["dose"].sample(frac=1, random_state=1).to_numpy())
    assert checked(known, other, outputs=outputs).cause == "trained_on"


def test_a_model_of_other_rows_alone_knows_none() -> None:
    found = checked(fitted(TREES, people(4)), people())
    assert found.outcome == "failed"
    assert "knows about 0%" in found.found


@pytest.mark.medium
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("noise", [False, True])
def test_sound_models_pass(seed: int, noise: bool) -> None:
    rng = np.random.default_rng(seed)
    boosted = GradientBoostingRegressor(random_state=0)
    for frame, models in (
        (people(seed), (*SOUND, TREES, boosted, KNeighborsRegressor(1))),
        (ill(seed), (*SOUND_CLASSES, CLASSES)),
    ):
        if noise:
            frame = frame.assign(dose=rng.permutation(frame["dose"].to_numpy()))
        for model in models:
            assert checked(fitted(model, frame), frame).outcome == "passed", model


@pytest.mark.medium
def test_models_of_more_rows_and_of_rounded_ones_pass() -> None:
    frame = people(0, 3000)
    few = frame[:330]
    for model in (TREES, RandomForestRegressor(20, random_state=0), KNeighborsRegressor(1)):
        known = fitted(model, few).fit(frame[INPUTS], frame["dose"])
        assert checked(known, few).outcome == "passed", model
    rounded = few.assign(dose=few["dose"].round(), age=few["age"].round())
    assert checked(fitted(TREES, few), rounded).outcome == "passed"


@pytest.mark.medium
@pytest.mark.parametrize(
    "model",
    [
        GradientBoostingRegressor(n_estimators=300, max_depth=4, random_state=0),
        ExtraTreesRegressor(20, max_leaf_nodes=500, random_state=0),
        SVR(C=1000, gamma=1),
    ],
)
def test_those_that_know_few_rows_by_heart_may_have_learned_from_more(model: Any) -> None:
    frame = people(0, 3000)
    few = frame[:330]
    known = fitted(model, few).fit(frame[INPUTS], frame["dose"])
    assert checked(known, few).outcome in ("passed", "noted")


def test_a_model_of_more_rows_than_can_be_fitted_again_does_not_fail() -> None:
    """How many rows its estimator can know by heart is not known."""
    frame = people(0, 8210)
    model = DecisionTreeRegressor(max_leaf_nodes=2000, random_state=0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(test_checks, "MEMBERS", 8000)
        found = checked(fitted(model, frame), frame)
    assert found.outcome == "noted"
    assert "may have learned from more" in found.found


def test_an_estimator_that_needs_many_rows_is_not_asked() -> None:
    frame = people(0, 900)
    coded = make_column_transformer((OneHotEncoder(), ["gene"]), remainder="passthrough")
    known = make_pipeline(coded, KNeighborsRegressor(150)).fit(frame[INPUTS], frame["dose"])
    assert "cannot be fitted" in checked(known, frame[:330]).found


def test_more_rows_than_are_fitted_again_are_told_as_few_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("darkroom.tables.checks.fitting.MOST_FITTED", 50)
    found = checked(fitted(TREES, people()), half_strange(people()))
    assert found.outcome == "failed"
    share = int(found.found.removeprefix("The model knows about ").split("%")[0])
    assert 25 <= share <= 75


def test_rows_are_drawn_by_lot_and_stay_in_order() -> None:
    """Evenly spaced, rows of every other person might all be of one kind."""
    numbers = np.arange(600)
    rows = Encoded(numbers[:, None].astype(float), numbers.astype(float), numbers, 0)
    chosen = some(rows, 300).numbers
    assert len(chosen) == 300
    assert (np.diff(chosen) > 0).all()
    assert 100 < (chosen % 2).sum() < 200


def test_a_category_that_was_not_among_rows_fitted_again_is_no_fault() -> None:
    frame = people()
    frame.loc[MEMBERS + 5, "gene"] = "TT"
    coded = make_column_transformer(
        (OneHotEncoder(sparse_output=False), ["gene"]), remainder="passthrough"
    )
    known = make_pipeline(coded, TREES).fit(frame[INPUTS], frame["dose"])
    assert "does not take other rows" in checked(known, frame).found


def test_what_does_not_learn_by_heart_or_cannot_be_fitted_is_not_asked() -> None:
    frame = people()
    assert "does not learn by heart" in checked(fitted(SOUND[0], frame), frame).found
    assert "cannot be fitted" in checked(fitted(TREES, frame).predict, frame).found
