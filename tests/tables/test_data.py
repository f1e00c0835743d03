"""Tables from files, good and bad."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from darkroom.errors import DataError
from darkroom.tables.columns import schema_of
from darkroom.tables.data import (
    encode_table,
    load_diabetes_table,
    take,
)
from darkroom.tables.reading.csv_files import read_csv
from darkroom.tables.schema import Column

GOOD = "age,city,sick\n31,Ulm,yes\n44,Bonn,no\n,Ulm,no\n52,Jena,yes\n"


def _write(folder: Path, text: str, encoding: str = "utf-8") -> Path:
    path = folder / "table.csv"
    path.write_bytes(text.encode(encoding))
    return path


def test_numbers_are_numbers_and_the_rest_is_text(tmp_path: Path) -> None:
    frame = read_csv(_write(tmp_path, GOOD))
    assert list(frame.columns) == ["age", "city", "sick"]
    assert frame["age"].tolist()[:2] == [31.0, 44.0]
    assert np.isnan(frame["age"][2])
    assert frame["city"].tolist() == ["Ulm", "Bonn", "Ulm", "Jena"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_a_byte_order_mark_is_no_part_of_the_first_name(tmp_path: Path, encoding: str) -> None:
    assert read_csv(_write(tmp_path, GOOD, encoding)).columns[0] == "age"


def test_a_second_header_row_and_columns_without_names(tmp_path: Path) -> None:
    text = "id,answer,,\n,Response,,\n1,Yes,,\n2,No,,\n"
    frame = read_csv(_write(tmp_path, text), header_rows=2)
    assert frame.to_dict("list") == {"id": [1.0, 2.0], "answer": ["Yes", "No"]}


def test_missing_values_have_many_names(tmp_path: Path) -> None:
    frame = read_csv(_write(tmp_path, "a,b\nNA,x\n 7 , null \n,?\n"))
    assert frame["a"].isna().tolist() == [True, False, True]
    assert frame["b"].isna().tolist() == [False, True, False]
    frame = read_csv(tmp_path / "table.csv", missing=["", "?", "NA"])
    assert frame["b"].isna().tolist() == [False, False, True]


def test_numbers_can_be_kept_as_text(tmp_path: Path) -> None:
    frame = read_csv(_write(tmp_path, "zip,x\n01234,1\n99999,2\n"), text=["zip"])
    assert frame["zip"].tolist() == ["01234", "99999"]


def test_quotes_separators_and_blank_lines(tmp_path: Path) -> None:
    text = 'a;b\n"1,5";"x;\ny"\n\n2;z\n'
    frame = read_csv(_write(tmp_path, text), separator=";")
    assert frame["b"].tolist() == ["x;\ny", "z"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "an empty file: give a CSV"),
        ("a,b\n", "no rows under the header"),
        ("a,b\n1,2,3\n", "row 2 has 3 values, but the header has 2 columns"),
        ("a,b,a\n1,2,3\n", "column 'a' is there twice"),
        ("a,,b\n1,2,3\n", "column 2 has no name"),
        ('a,b\n"1,2\n', "no CSV"),
        ("a\0b,c\n1,2\n", "holds bytes that are no text"),
    ],
)
def test_a_bad_file_is_one_clear_line(tmp_path: Path, text: str, expected: str) -> None:
    with pytest.raises(DataError) as caught:
        read_csv(_write(tmp_path, text))
    assert expected in str(caught.value)
    assert "table.csv" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("encoding", "expected"),
    [("cp1252", "line 2 is not UTF-8 text: set encoding, perhaps to 'cp1252'"), ("utf-16", "16'")],
)
def test_a_file_in_another_encoding(tmp_path: Path, encoding: str, expected: str) -> None:
    path = _write(tmp_path, "a,b\nMünchen,1\n", encoding)
    with pytest.raises(DataError) as caught:
        read_csv(path)
    assert expected in str(caught.value)
    assert read_csv(path, encoding=encoding)["a"].tolist() == ["München"]


def test_no_file_and_no_such_encoding(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read"):
        read_csv(tmp_path / "absent.csv")
    with pytest.raises(DataError, match="no encoding is called 'utf-9'"):
        read_csv(_write(tmp_path, GOOD), encoding="utf-9")


def test_a_column_to_keep_as_text_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no column is called 'ctiy': did you mean 'city'"):
        read_csv(_write(tmp_path, GOOD), text=["ctiy"])


def test_incomplete_rows_are_dropped_and_counted(tmp_path: Path) -> None:
    frame = read_csv(_write(tmp_path, GOOD))
    schema = schema_of(frame, "sick", ["city"])
    encoded = encode_table(frame, schema)
    assert (encoded.dropped, encoded.numbers.tolist()) == (1, [0, 1, 3])
    assert encoded.rows[:, 0].tolist() == [31, 44, 52]
    assert encoded.response.tolist() == [1, 0, 1]
    assert take(encoded, np.array([2])).rows[0].tolist() == [52, 1]


def test_incomplete_rows_can_be_refused(tmp_path: Path) -> None:
    frame = read_csv(_write(tmp_path, GOOD))
    schema = schema_of(frame, "sick", ["city"])
    with pytest.raises(DataError, match="1 rows have missing values, most in column 'age'"):
        encode_table(frame, schema, missing="refuse")


def test_incomplete_rows_are_kept_but_where_nobody_knows_what_is_missing() -> None:
    frame = pd.DataFrame(
        {
            "age": [1.5, None, 3.5, None],
            "city": ["a", "b", None, "a"],
            "sick": ["yes", "no", "yes", None],
            "y": [0.5, 1.5, 2.5, 3.5],
        }
    )
    encoded = encode_table(frame, schema_of(frame, "y", ["sick"]), missing="keep")
    assert (encoded.dropped, encoded.numbers.tolist()) == (1, [0, 1, 2])
    assert np.isnan(encoded.rows).sum() == 2


def test_no_complete_row() -> None:
    frame = pd.DataFrame({"a": [None, None], "b": ["x", "y"], "y": [1.0, 2.5]})
    schema = schema_of(frame, "y", ["b"], declared={"a": Column("a", "numeric")})
    with pytest.raises(DataError, match="no row is complete; column 'a' misses most"):
        encode_table(frame, schema)


def test_the_diabetes_table_needs_no_download() -> None:
    frame = load_diabetes_table()
    assert frame.shape == (442, 11)
    assert set(frame["sex"]) == {"1", "2"}
    assert frame["progression"].between(25, 346).all()


def test_whole_numbers_and_truth_values_have_the_types_that_pandas_reads(tmp_path: Path) -> None:
    text = "a,b,c,d,e,f\n1,1.0,True,1,7,99999999999999999999\n2,2.5,false,,x,3\n"
    frame = read_csv(_write(tmp_path, text))
    found = {name: str(dtype) for name, dtype in frame.dtypes.items()}
    assert found == {
        "a": "int64",
        "b": "float64",
        "c": "bool",
        "d": "float64",
        "e": "str",
        "f": "float64",
    }
    assert frame["c"].tolist() == [True, False]
