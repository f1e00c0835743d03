"""Rows and sensitive values that are other ones than the model learned, and sound models."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.tree import DecisionTreeClassifier
from tests.tables.checks.test_checks import (
    MEMBERS,
    SOUND,
    SOUND_CLASSES,
    fitted,
    ill,
    people,
    subject_of,
    used,
)

from darkroom.tables.checks.mixed_up import check_trained_on, check_values

TREES = ExtraTreesRegressor(20, random_state=0)
MOVED = {"AA": "AG", "AG": "GG", "GG": "AA"}


def moved(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(gene=frame["gene"].map(MOVED))


@pytest.mark.parametrize("model", [TREES, LinearRegression()])
def test_genes_by_other_names_are_told(model: Any) -> None:
    found = check_values(subject_of(fitted(model, people()), moved(people())))
    assert (found.outcome, found.cause) == ("failed", "value order")
    assert "'AA' as 'GG', 'AG' as 'AA', 'GG' as 'AG'" in found.found


def test_genes_by_other_names_are_told_by_labels_and_by_scores() -> None:
    frame = people().assign(dose=np.where(people()["gene"] == "GG", "high", "low"))
    known = fitted(DecisionTreeClassifier(random_state=0), frame)
    for asked, outputs in ((known, "scores"), (known.predict, "predictions")):
        found = check_values(subject_of(asked, moved(frame), outputs=outputs))
        assert found.cause == "value order"


def test_rows_held_out_that_the_model_was_trained_on() -> None:
    frame = people()
    turned = pd.concat([frame[180:300], frame[:60], frame[60:180]], ignore_index=True)
    found = check_trained_on(subject_of(fitted(TREES, frame), turned))
    assert (found.outcome, found.cause) == ("failed", "trained_on")
    assert "100% of those held out" in found.found


def test_values_that_the_model_does_not_know() -> None:
    written = people().assign(gene=people()["gene"].map(str.lower))
    found = used(subject_of(fitted(TREES, people()), written))
    assert (found.outcome, found.cause) == ("failed", "unknown values")
    # Of a function, nobody knows what it would learn.
    known = fitted(TREES, people())
    found = used(subject_of(known.predict, written))
    assert found.outcome == "noted"


def test_a_model_that_leaves_the_column_out_is_noted() -> None:
    frame = people()
    known = LinearRegression().fit(frame[:MEMBERS][["age", "weight"]], frame["dose"][:MEMBERS])
    found = used(subject_of(lambda table: known.predict(table[["age", "weight"]]), frame))
    assert found.outcome == "noted"


@pytest.mark.medium
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("noise", [False, True])
def test_sound_models_are_never_accused(seed: int, noise: bool) -> None:
    rng = np.random.default_rng(seed)
    for frame, models in ((people(seed), (*SOUND, TREES)), (ill(seed), SOUND_CLASSES)):
        if noise:
            frame = frame.assign(dose=rng.permutation(frame["dose"].to_numpy()))
        for model in models:
            subject = subject_of(fitted(model, frame), frame)
            for found in (check_trained_on(subject), check_values(subject), used(subject)):
                assert found.outcome in ("passed", "noted"), (model, found)


def rarely_ill(seed: int) -> pd.DataFrame:
    """People of whom few are ill, which genes of unequal shares say a little about."""
    rng = np.random.default_rng(seed)
    frame = people(seed, 900)
    gene = rng.choice(["AA", "AG", "GG"], len(frame), p=[0.2, 0.75, 0.05])
    ill = rng.random(len(frame)) < np.where(gene == "GG", 0.1, 0.04)
    return frame.assign(gene=gene, dose=np.where(ill, "high", "low"))


@pytest.mark.medium
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("outputs", ["predictions", "scores"])
def test_models_that_weigh_rare_classes_more_are_not_accused(seed: int, outputs: str) -> None:
    frame = rarely_ill(seed)
    known = fitted(LogisticRegression(class_weight="balanced", max_iter=2000), frame)
    for asked in (known, known.predict if outputs == "predictions" else known.predict_proba):
        subject = subject_of(asked, frame, outputs=outputs)
        for found in (check_trained_on(subject), check_values(subject)):
            assert found.outcome == "passed", found


@pytest.mark.parametrize("seed", range(3))
def test_sorted_rows_are_not_taken_for_mixed_up_ones(seed: int) -> None:
    frame = ill(seed)
    known = fitted(DecisionTreeClassifier(max_depth=2, random_state=0), frame)
    members = frame[:MEMBERS].sort_values("dose")
    subject = subject_of(known.predict, pd.concat([members, frame[MEMBERS:]], ignore_index=True))
    for found in (check_trained_on(subject), check_values(subject)):
        assert found.outcome == "passed", found


def test_a_number_has_no_order_of_values() -> None:
    frame = people()
    subject = subject_of(fitted(TREES, frame), frame, sensitive=["age"])
    assert check_values(subject).found.startswith("Not asked")
