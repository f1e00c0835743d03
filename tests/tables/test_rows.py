"""Sensitive columns that are one attribute, and columns that follow from sensitive ones."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from darkroom.errors import DataError
from darkroom.tables.candidates import NONE_ON, Candidates
from darkroom.tables.columns import schema_of
from darkroom.tables.priors.counts import MarginalsPrior, marginals
from darkroom.tables.rows import possible_values
from darkroom.tables.schema import Column, Schema

NUMBER = {"age": Column("age", "numeric")}


def frame(**columns: Any) -> pd.DataFrame:
    faith = np.array([0, 1, 2, 2, 3, 0, 2, 1, 2, 3])
    return pd.DataFrame(
        {
            "age": np.arange(10.0),
            "b": faith == 1,
            "a": faith == 0,
            "c": (faith == 2).astype(int),
            "code": np.array([10, 20, 30, 40])[faith],
            "y": np.arange(10.0) / 3,
            **columns,
        }
    )


def schema_with(table: pd.DataFrame, *sensitive: str, **options: Any) -> Schema:
    schema = schema_of(table, "y", sensitive, **options)
    return Schema(**{**vars(schema), "possible": possible_values(schema, table)})


def test_columns_of_one_attribute_are_one_choice() -> None:
    table = frame()
    schema = schema_with(table, "b", "a", "c", derived=["code"], encoding="one-hot")
    candidates = Candidates.of(schema)
    rows = schema.encode(table)
    assert candidates.labels == ("b", "a", "c", NONE_ON)
    assert candidates.place(rows).tolist() == [1, 0, 2, 2, 3, 1, 2, 0, 2, 3]
    # What follows from the attribute changes with it, and nobody knows it.
    asked = schema.decode(candidates.fill(rows[:1]))
    assert asked["code"].tolist() == [20, 10, 30, 40]
    assert asked["b"].tolist() == [True, False, False, False]
    assert asked["c"].tolist() == [0, 0, 1, 0]
    assert schema.visible.tolist() == [0]
    np.testing.assert_allclose(marginals(candidates, rows, 1e-9), [0.2, 0.2, 0.4, 0.2])
    found = MarginalsPrior(candidates, rows, 1e-9).probabilities(rows[:2])
    np.testing.assert_allclose(found, [[0.2, 0.2, 0.4, 0.2]] * 2)


def test_only_what_there_is_can_be_chosen() -> None:
    table = frame()
    two = schema_with(table, "a", "b")
    candidates = Candidates.of(two)
    assert candidates.labels == ("False, False", "False, True", "True, False")
    assert candidates.place(two.encode(table)).tolist() == [2, 1, 0, 0, 0, 2, 0, 1, 0, 0]
    shares = marginals(candidates, two.encode(table), 1e-9)
    # Each column for itself: of 0.64, 0.16 and 0.16 nothing is left for both at once.
    np.testing.assert_allclose(shares, np.array([0.64, 0.16, 0.16]) / 0.96)
    assert possible_values(schema_of(table, "y", ["a"]), table) == ()


@pytest.mark.medium
def test_as_many_columns_as_one_likes() -> None:
    many = 90
    kind = np.arange(3 * many) % many
    dummies = pd.DataFrame({f"d{place}": kind == place for place in range(many)})
    table = dummies.assign(y=np.linspace(0, 1, 3 * many))
    schema = schema_with(table, *dummies.columns, encoding="one-hot")
    assert (Candidates.of(schema).place(schema.encode(table)) == kind).all()


@pytest.mark.parametrize(
    ("table", "sensitive", "options", "expected"),
    [
        (frame(), ["a"], {"derived": ["code"]}, "'code' does not follow from a: the same value"),
        (frame(), ["age"], {"derived": ["code"], "declared": NUMBER}, "from categories alone"),
        (frame(), ["a"], {"derived": ["a"]}, "column 'a': it follows from itself"),
        (frame(), ["a"], {"derived": ["b"], "unknown": ["b"]}, "unknown already: remove it"),
        (frame(), ["a"], {"derived": ["cd"]}, "no input column is called 'cd'"),
        (
            frame(b=[True] * 10),
            ["a", "b"],
            {"encoding": "one-hot"},
            "columns a and b are on in the same row",
        ),
        (
            frame(b=["x", "y", "z"] * 3 + ["x"]),
            ["a", "b"],
            {"encoding": "one-hot"},
            "column 'b' has 3 values: columns of a one-hot encoding hold 0 and 1",
        ),
    ],
)
def test_what_is_no_attribute(
    table: pd.DataFrame, sensitive: list[str], options: dict[str, Any], expected: str
) -> None:
    with pytest.raises(DataError, match=expected):
        schema_with(table, *sensitive, **options)
