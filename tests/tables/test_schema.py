"""What columns are, and errors that name them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.impute import SimpleImputer
from tests.support.examples import few

from darkroom.errors import DataError
from darkroom.tables.candidates import Belief, Candidates, Spread
from darkroom.tables.columns import column_of, schema_of
from darkroom.tables.schema import Column, Schema


def _frame() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "age": [30.0, 41.5, 52.0, 30.0],
            "smokes": [True, False, True, True],
            "gene": ["A/A", "A/G", "G/G", "A/A"],
            "ward": pd.Categorical(["b", "a", "b", "a"], categories=["b", "a", "c"]),
            "count": [0, 1, 1, 0],
            "dose": [3.5, 2.5, 7.25, 1.5],
        }
    )


def test_kinds_are_read_from_the_values() -> None:
    schema = schema_of(_frame(), "dose", ["gene", "count"], unknown=["age"])
    assert [column.kind for column in schema.columns] == [
        "numeric",
        "categorical",
        "categorical",
        "categorical",
        "categorical",
    ]
    assert schema.column("smokes").values == (False, True)
    assert schema.column("ward").values == ("b", "a", "c")
    assert schema.column("count").values == (0, 1)  # sensitive, so few numbers are categories
    assert schema.response == Column("dose", "numeric", dtype="float64")
    assert schema.hidden.tolist() == [2, 4, 0]
    assert schema.visible.tolist() == [1, 3]


def test_whole_numbers_as_response_are_classes() -> None:
    assert column_of(pd.Series([1, 2, 2, 5], name="y"), 20, whole=True).values == (1, 2, 5)
    assert column_of(pd.Series([1, 2.5, 3], name="y"), 20, whole=True).kind == "numeric"
    assert column_of(pd.Series(range(30), name="y"), 20, whole=True).kind == "numeric"


def test_rows_come_back_as_they_were() -> None:
    frame = _frame()
    schema = schema_of(frame, "dose", ["gene"])
    rows = schema.encode(frame)
    back = schema.decode(rows)
    for name in schema.names:
        assert back[name].tolist() == frame[name].tolist()
    assert back["ward"].dtype == frame["ward"].dtype


@few
@given(st.lists(st.sampled_from(["a", "b", "c", None]), min_size=1, max_size=20), st.booleans())
def test_missing_values_stay_missing(values: list[str | None], none: bool) -> None:
    column = Column("x", "categorical", ("a", "b", "c"), missing_as_none=none)
    encoded = column.encode(pd.Series(values, name="x", dtype=object))
    assert np.isnan(encoded).tolist() == [value is None for value in values]
    hole = None if none else np.nan
    assert list(column.decode(encoded)) == [hole if one is None else one for one in values]


@pytest.mark.parametrize("hole", [None, np.nan])
def test_a_missing_value_reaches_the_model_as_the_table_has_it(hole: float | None) -> None:
    frame = pd.DataFrame({"x": pd.Series(["a", hole, "b", "a"], dtype=object), "y": range(4)})
    schema = schema_of(frame, "y", ())
    assert schema.decode(schema.encode(frame))["x"].iloc[1] is hole
    imputer = SimpleImputer(strategy="most_frequent", missing_values=hole).fit(frame[["x"]])
    decoded = schema.decode(schema.encode(frame))[["x"]]
    assert imputer.transform(decoded)[:, 0].tolist() == ["a", "a", "b", "a"]


def test_a_missing_number_among_categories_is_a_number() -> None:
    column = Column("x", "categorical", (0, 1))
    decoded = column.decode(np.array([0, np.nan, 1]))
    assert decoded.dtype == np.float64
    assert np.isnan(decoded).tolist() == [False, True, False]


def _broken(name: str, values: list[Any]) -> pd.DataFrame:
    frame = _frame()
    frame[name] = pd.Series(values, dtype=object)
    return frame


@pytest.mark.parametrize(
    ("frame", "options", "expected"),
    [
        (_frame(), {"sensitive": ["gen"]}, "no column is called 'gen': did you mean 'gene'?"),
        (_frame(), {"response": "doze"}, "no column is called 'doze': did you mean 'dose'?"),
        (_frame(), {"unknown": ["gene"]}, "'gene': sensitive columns are unknown already"),
        (_frame(), {"unknown": ["nothing"]}, "no input column is called 'nothing'"),
        (_frame(), {"sensitive": ["gene", "gene"]}, "a sensitive column is named twice"),
        (_frame(), {"inputs": ["age", "dose", "gene"]}, "'dose' is the response and an input"),
        (_broken("gene", ["x"] * 4), {}, "column 'gene': always 'x': there is nothing to infer"),
        (_broken("gene", [None] * 4), {}, "column 'gene': no value in any row"),
        (_broken("gene", ["x", 3, "y", 4]), {}, "column 'gene': numbers and text are mixed"),
        (
            pd.concat([_frame(), _frame()[["age"]]], axis=1),
            {},
            "column 'age' is there twice: rename or remove one of them",
        ),
    ],
)
def test_errors_name_the_column(
    frame: pd.DataFrame, options: dict[str, Any], expected: str
) -> None:
    wanted = {"response": "dose", "sensitive": ["gene"], **options}
    with pytest.raises(DataError) as caught:
        schema_of(frame, wanted.pop("response"), wanted.pop("sensitive"), **wanted)
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_few_words_among_numbers_are_spoiled_numbers() -> None:
    values = [str(number) for number in range(40)] + ["unknown"]
    with pytest.raises(DataError, match=r"'age': numbers and text are mixed, such as 'unknown'"):
        column_of(pd.Series(values, name="age", dtype=object))
    few = column_of(pd.Series(["0", "1", "unknown"] * 9, name="flag", dtype=object))
    assert few.values == ("0", "1", "unknown")


def test_a_constant_column_that_is_not_sensitive_is_kept() -> None:
    frame = _frame().assign(smokes=True)
    assert schema_of(frame, "dose", ["gene"]).column("smokes").values == (True,)


def test_an_unseen_category_is_named() -> None:
    schema = schema_of(_frame(), "dose", ["gene"])
    other = _frame().assign(gene=["A/A", "C/C", "C/C", "G/G"])
    with pytest.raises(DataError, match="column 'gene': value 'C/C' in 2 rows is none of the 3"):
        schema.encode(other)


def test_a_word_in_a_declared_number_is_named() -> None:
    column = Column("age", "numeric")
    with pytest.raises(DataError, match=r"patients: column 'age': 1 of 2 values are no numbers"):
        column.encode(pd.Series([3, "old"], dtype=object), "patients")
    with pytest.raises(DataError, match="column 'age': a value is infinite"):
        column.encode(pd.Series([3, np.inf]))


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (("x", "categorical", ()), "no value in any row"),
        (("x", "categorical", ("a", "a")), "a value is listed twice"),
        (("x", "numeric", (1.0,)), "numeric columns take no values"),
    ],
)
def test_columns_that_make_no_sense(column: tuple[Any, ...], expected: str) -> None:
    with pytest.raises(DataError, match=expected):
        Column(*column)


def _schema(*sensitive: str) -> Schema:
    columns = (
        Column("bmi", "numeric"),
        Column("sex", "categorical", ("f", "m")),
        Column("gene", "categorical", ("AA", "AG", "GG")),
    )
    return Schema(columns, Column("y", "numeric"), sensitive)


def test_candidates_of_several_columns_are_all_pairs() -> None:
    candidates = Candidates.of(_schema("gene", "sex"))
    assert candidates.labels == ("AA, f", "AA, m", "AG, f", "AG, m", "GG, f", "GG, m")
    rows = np.array([[20.0, 1, 2], [30.0, 0, 0]])
    assert candidates.place(rows).tolist() == [5, 0]
    filled = candidates.fill(rows[:1])
    assert filled.shape == (6, 3)
    assert (filled[:, 0] == 20).all()
    assert candidates.place(filled).tolist() == list(range(6))


def test_candidates_of_a_number_are_usual_values() -> None:
    public = np.column_stack([np.arange(100.0), np.zeros(100), np.zeros(100)])
    candidates = Candidates.of(_schema("bmi"), public, bins=4)
    assert candidates.numeric
    np.testing.assert_allclose(candidates.values[:, 0], [12.375, 37.125, 61.875, 86.625], atol=0.2)
    assert candidates.place(np.array([[0.0, 0, 0], [40.0, 0, 0], [99.0, 0, 0]])).tolist() == [
        0,
        1,
        3,
    ]
    posterior = np.array([[0.0, 0.0, 1.0, 0.0], [0.25, 0.25, 0.25, 0.25]])
    middle, low, high = candidates.summary(Belief(posterior), level=0.9)
    # The third stands for 49.5 to 74.25; all four together for 0 to 99, evenly.
    np.testing.assert_allclose(middle, [61.875, 49.5], atol=0.3)
    np.testing.assert_allclose(low, [49.5 + 0.05 * 24.75, 0.05 * 99], atol=0.5)
    np.testing.assert_allclose(high, [74.25 - 0.05 * 24.75, 0.95 * 99], atol=0.5)


def test_no_two_candidates_of_a_number_with_a_long_tail_are_far_apart() -> None:
    salary = np.exp(np.random.default_rng(0).normal(3, 0.8, 4000))
    public = np.column_stack([salary, np.zeros((4000, 2))])
    grid = Candidates.of(_schema("bmi"), public).values[:, 0]
    low, high = np.quantile(salary, [0.005, 0.995])
    assert len(grid) == 20
    assert np.diff(grid).max() <= 2 * (high - low) / 20 + 1e-9
    # And half of them are where most rows are.
    assert (grid < np.median(salary)).sum() >= 5


def test_a_spread_says_where_between_candidates_a_number_lies() -> None:
    public = np.column_stack([np.arange(100.0), np.zeros(100), np.zeros(100)])
    candidates = Candidates.of(_schema("bmi"), public, bins=4)
    spread = Spread(np.array([20.0, 95.0, 30.0]), np.linspace(-1, 1, 201))
    chances = candidates.chances(spread)
    np.testing.assert_allclose(chances.sum(axis=1), 1)
    assert chances.argmax(axis=1).tolist() == [0, 3, 1]
    middle, low, high = candidates.summary(Belief(chances, spread), level=0.9)
    np.testing.assert_allclose(middle, spread.middle, atol=0.02)
    np.testing.assert_allclose(high - low, 1.8, atol=0.05)
    # Where regression sees no chance, a candidate stands for all of its part alike.
    moved = Belief(np.eye(4)[[3, 0, 3]], spread)
    even = Belief(moved.chances)
    np.testing.assert_allclose(candidates.summary(moved), candidates.summary(even))


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        ([3, 4, 5], "int64"),
        ([3, 4, 5], "uint8"),
        ([3, 4, 5], "Int64"),
        ([3, 4, 5], "float32"),
        ([True, False, True], "bool"),
        ([True, False, True], "boolean"),
        (["a", "b", "a"], "str"),
        (["a", "b", "a"], "string"),
        (["a", "b", "a"], "object"),
        (["a", "b", "a"], "category"),
    ],
)
@pytest.mark.parametrize("sensitive", [(), ("x",)])
def test_columns_reach_the_model_in_the_type_they_came_in(
    values: list[Any], dtype: str, sensitive: tuple[str, ...]
) -> None:
    frame = pd.DataFrame({"x": pd.Series(values, dtype=dtype), "y": [0.1, 1.2, 2.3]})
    schema = schema_of(frame, "y", sensitive)
    decoded = schema.decode(schema.encode(frame))
    assert str(decoded["x"].dtype) == dtype
    assert decoded["x"].tolist() == values
    assert str(schema.response.decode(np.array([1.5, 2.5])).dtype) == "float64"


def test_an_integer_has_whole_candidates() -> None:
    frame = pd.DataFrame({"age": np.arange(90) % 37, "y": np.linspace(0, 1, 90)})
    schema = schema_of(frame, "y", ["age"])
    candidates = Candidates.of(schema, schema.encode(frame), bins=15)
    filled = schema.decode(candidates.fill(schema.encode(frame[:2])))
    assert filled["age"].dtype == np.int64
    assert filled["age"].tolist() == candidates.values[:, 0].tolist() * 2


def test_candidates_that_cannot_be() -> None:
    with pytest.raises(DataError, match="column 'bmi': numeric, and there are no public rows"):
        Candidates.of(_schema("bmi"))
    with pytest.raises(DataError, match="column 'bmi': always 3 in public rows"):
        Candidates.of(_schema("bmi"), np.full((9, 3), 3.0))
    with pytest.raises(DataError, match="no sensitive column"):
        Candidates.of(_schema())
    wide = tuple(Column(str(place), "categorical", tuple(range(20))) for place in range(3))
    with pytest.raises(DataError, match="8000 joint values, more than 4096"):
        Candidates.of(Schema(wide, Column("y", "numeric"), ("0", "1", "2")))


def test_what_names_rows_is_no_secret_but_may_be_known() -> None:
    many, secret = Column("zip", "categorical", tuple(range(1001))), Column("s", "numeric")
    number = Column("y", "numeric")
    assert Schema((many, secret), number, ("s",)).names == ("zip", "s")
    with pytest.raises(DataError, match="leave out identifiers and free text"):
        Schema((many, secret), number, ("zip",))
    with pytest.raises(DataError, match="leave out identifiers and free text"):
        Schema((many, secret), number, ("s",), unknown=("zip",))
    with pytest.raises(DataError, match="leave out identifiers and free text"):
        Schema((secret,), many, ("s",))
