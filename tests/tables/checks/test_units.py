"""Public rows whose numbers are in other units, or of other people, than those of private rows."""

from __future__ import annotations

from dataclasses import replace

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
