"""Public rows whose numbers are in other units, or of other people, than those of private rows."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression
from tests.tables.checks.test_checks import MEMBERS, OTHERS, fitted, people, subject_of

from darkroom.auditing.record import Check
from darkroom.tables.checks.units import LEAST, check_units


def found(public: pd.DataFrame) -> Check | None:
    frame = people()
    return check_units(subject_of(fitted(LinearRegression(), frame), frame, public).data)


def strangers() -> pd.DataFrame:
    return people(1)[MEMBERS + OTHERS :]


@pytest.mark.parametrize(
    ("column", "factor", "back"),
    [
        ("weight", 1 / 0.4536, "multiplied by 0.4536"),
        ("age", 12, "divided by 12"),
        ("dose", 7, "7"),
    ],
)
def test_another_unit_fails_and_is_named(column: str, factor: float, back: str) -> None:
    public = strangers()
    check = found(public.assign(**{column: public[column] * factor}))
    assert check is not None
    assert (check.outcome, check.cause) == ("failed", "scaling")
    assert f"column {column!r}" in check.found
    assert back in check.found


def test_other_people_are_noted() -> None:
    public = strangers()
    check = found(public.assign(age=public["age"] / 10 + 85, weight=public["weight"] + 60))
    assert check is not None
    assert (check.outcome, check.cause) == ("noted", "")
    assert "of column 'age': 8" in check.found
    assert "; of 'weight': 1" in check.found


def drawn(kind: str, rng: np.random.Generator, private: bool) -> Any:
    n = 150 if not private else MEMBERS + OTHERS
    match kind:
        case "row numbers":
            return np.arange(n) + 150.0 * private
        case "people of another age":
            return rng.normal(65, 10, n) if private else rng.normal(9, 3, n)
        case "days in hospital":
            return rng.lognormal(1.6 if private else 0.5, 0.3, n)
        case "counts":
            return rng.integers(1, 4, n) * (1.0 if private else 12.0)
        case _:
            return np.full(n, 10.0 if private else 1.0)


@pytest.mark.parametrize(
    "seed", [0, *(pytest.param(one, marks=pytest.mark.medium) for one in range(1, 5))]
)
@pytest.mark.parametrize(
    "kind", ["row numbers", "people of another age", "days in hospital", "counts", "a constant"]
)
def test_what_differs_for_a_reason_is_not_accused(kind: str, seed: int) -> None:
    rng, frame = np.random.default_rng(seed), people()
    private = frame[: MEMBERS + OTHERS].assign(age=drawn(kind, rng, private=True))
    public = frame[MEMBERS + OTHERS :].assign(age=drawn(kind, rng, private=False))
    data = subject_of(fitted(LinearRegression(), frame), private, public).data
    check = check_units(data)
    assert check is not None
    assert check.outcome == ("noted" if kind[0] in "pd" else "passed"), check


def test_one_in_another_unit_of_several_that_differ_is_noted() -> None:
    public = strangers()
    check = found(public.assign(dose=public["dose"] * 7, age=public["age"] / 10 + 85))
    assert check is not None
    assert check.outcome == "noted"
    assert "divided by 7" in check.found


@pytest.mark.medium
@pytest.mark.parametrize("seed", range(20))
def test_few_rows_of_the_same_people_pass(seed: int) -> None:
    check = found(people(seed)[:LEAST])
    assert check is not None
    assert check.outcome == "passed"


def test_what_is_missing_does_not_count() -> None:
    frame = people()
    data = subject_of(fitted(LinearRegression(), frame), frame, strangers()).data
    rows = data.public.rows * np.where(np.array(data.schema.names) == "weight", np.nan, 1)
    check = check_units(replace(data, public=data.public._replace(rows=rows)))
    assert check is not None
    assert check.outcome == "passed"


def test_too_few_are_not_compared() -> None:
    assert found(strangers().assign(age=1.0, weight=1.0, dose=1.0)[: LEAST - 1]) is None
