"""Public rows whose numbers are in other units, or of other people, than those of private rows."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import LinearRegression, LogisticRegression
from tests.tables.checks.test_checks import MEMBERS, OTHERS, fitted, ill, people, subject_of

from darkroom.auditing.record import Check
from darkroom.tables.checks.units import LEAST, check_units


def found(public: pd.DataFrame, frame: pd.DataFrame | None = None, model: Any = None) -> Check:
    frame = people() if frame is None else frame
    known = fitted(LinearRegression() if model is None else model, frame)
    check = check_units(subject_of(known, frame, public))
    assert check is not None
    return check


def strangers() -> pd.DataFrame:
    return people(1)[MEMBERS + OTHERS :]


@pytest.mark.parametrize(
    ("column", "factor", "back"),
    [
        ("weight", 1 / 0.4536, "'weight' multiplied by 0.4536"),
        ("age", 12, "'age' divided by 12"),
        ("dose", 7, "'dose' divided by 7"),
    ],
)
def test_another_unit_fails_and_is_named(column: str, factor: float, back: str) -> None:
    public = strangers()
    check = found(public.assign(**{column: public[column] * factor}))
    assert (check.outcome, check.cause) == ("failed", "scaling")
    assert f"better with {back}." in check.found


def test_a_classifier_tells_the_unit_too_and_a_server_is_not_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    frame = ill()
    public = ill(1)[MEMBERS + OTHERS :].assign(age=lambda one: one["age"] * 12)
    subject = subject_of(fitted(LogisticRegression(max_iter=5000), frame), frame, public)
    check = check_units(subject)
    assert check is not None
    assert "'age' divided by 12" in check.found
    monkeypatch.setattr(type(subject.target), "served", True)
    served = check_units(subject)
    assert served is not None
    assert served.outcome == "noted"


def test_all_that_lie_apart_are_named() -> None:
    frame = people().assign(dose=lambda one: 0.4 * one["age"])
    public = frame[MEMBERS + OTHERS :].assign(
        dose=lambda one: one["dose"] * 7, visits=lambda one: one["visits"] + 500
    )
    check = found(public, frame)
    assert check.outcome == "failed"
    assert "'visits': 50" in check.found
    assert "far better with 'dose' divided by 7." in check.found


def test_a_unit_of_what_the_model_ignores_is_noted() -> None:
    """Nothing tells it from other people."""
    frame = people().assign(visits=np.random.default_rng(5).uniform(1, 12, len(people())))
    frame = frame.assign(dose=frame["age"] * 0.4)
    public = frame[MEMBERS + OTHERS :]
    check = found(public.assign(visits=public["visits"] * 100), frame)
    assert (check.outcome, check.cause) == ("noted", "")


def test_other_people_are_noted() -> None:
    public = strangers()
    check = found(public.assign(age=public["age"] / 10 + 85, weight=public["weight"] + 60))
    assert (check.outcome, check.cause) == ("noted", "")
    assert "of column 'age': 8" in check.found
    assert "; of 'weight': 1" in check.found


def drawn(kind: str, rng: np.random.Generator, n: int, private: bool) -> Any:
    match kind:
        case "row numbers":
            return np.arange(n) + 5000.0 * private
        case "another age":
            return rng.normal(65, 10, n) if private else rng.normal(9, 3, n)
        case "days in hospital":
            return (5 if private else 2) * rng.lognormal(0, 0.35, n)
        case "costs":
            return (11 if private else 1) * rng.lognormal(0, 0.4, n)
        case "counts":
            return rng.integers(1, 4, n) * (1.0 if private else 12.0)
        case _:
            return np.full(n, 10.0 if private else 1.0)


KINDS = (
    "row numbers",
    "people of another age",
    "days in hospital",
    "costs",
    "counts",
    "a constant",
)


@pytest.mark.medium
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("size", [LEAST, 40, 150])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("model", [LinearRegression(), RandomForestRegressor(10, random_state=0)])
def test_what_differs_for_a_reason_is_not_accused(
    kind: str, size: int, seed: int, model: Any
) -> None:
    """The dose follows the number, or does not, in public rows as in private ones."""
    rng, frame = np.random.default_rng(seed), people()
    frame = frame.assign(age=drawn(kind, rng, len(frame), private=True))
    public = people(seed + 1)[-size:].assign(age=drawn(kind, rng, size, private=False))
    if seed % 2:
        frame, public = (
            one.assign(dose=one["age"] * 3 + rng.normal(0, 2, len(one))) for one in (frame, public)
        )
    assert found(public, frame, model).outcome == "noted"


@pytest.mark.medium
@pytest.mark.parametrize("seed", range(20))
def test_few_rows_of_the_same_people_pass(seed: int) -> None:
    assert found(people(seed)[:LEAST]).outcome == "passed"


def test_what_is_missing_does_not_count() -> None:
    frame = people()
    subject = subject_of(fitted(LinearRegression(), frame), frame, strangers())
    data = subject.data
    rows = data.public.rows.copy()
    rows[::2, data.schema.names.index("weight")] = np.nan
    changed = replace(data, public=data.public._replace(rows=rows))
    check = check_units(replace(subject, data=changed))
    assert check is not None
    assert check.outcome == "passed"


def test_too_few_are_not_compared() -> None:
    frame, public = people(), strangers().assign(age=1.0, weight=1.0, dose=1.0)
    model = fitted(LinearRegression(), frame)
    assert check_units(subject_of(model, frame, public[: LEAST - 1])) is None
