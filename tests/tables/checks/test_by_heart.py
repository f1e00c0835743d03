"""Rows that a model would know by heart if it had been trained on them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    GradientBoostingRegressor,
    RandomForestRegressor,
)
from sklearn.neighbors import KNeighborsRegressor
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
from darkroom.tables.checks.knowledge import refitted

TREES = ExtraTreesRegressor(20, random_state=0)
CLASSES = ExtraTreesClassifier(20, random_state=0)


def checked(model: Any, frame: pd.DataFrame, **options: Any) -> Check:
    subject = subject_of(model, frame, **options)
    return check_by_heart(subject, refitted(subject.target, subject.data.members))


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


def test_what_does_not_learn_by_heart_or_cannot_be_fitted_is_not_asked() -> None:
    frame = people()
    assert "does not learn by heart" in checked(fitted(SOUND[0], frame), frame).found
    assert "cannot be fitted" in checked(fitted(TREES, frame).predict, frame).found
