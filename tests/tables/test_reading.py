"""Tables as people have them: spreadsheets' habits, other libraries' frames and files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from tests.support.needs import benched, needed

from darkroom.errors import DataError
from darkroom.tables.columns import column_of
from darkroom.tables.reading.csv_files import Decimal, read_csv
from darkroom.tables.reading.frames import as_frame, is_binary, read_binary

FRAME = pd.DataFrame(
    {"age": [31, 44, 52], "city": ["Ulm", "Bonn", "Ulm"], "sick": [True, False, True]}
)


def _written(folder: Path, text: str) -> Path:
    path = folder / "table.csv"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("cells", "decimal", "expected"),
    [
        (["1,5", "2,25"], None, [1.5, 2.25]),
        (["1,5", "-2"], None, [1.5, -2.0]),
        (["1,234", "20,000"], ",", [1.234, 20.0]),
        (["1,234", "20,000"], ".", [1234, 20000]),
        (["1,234.5", "7"], None, [1234.5, 7.0]),
        (["1,234,567", "20,000"], None, [1234567, 20000]),
        (["1,2,3", "1"], None, ["1,2,3", "1"]),
        (["a,b", "1,5"], None, ["a,b", "1,5"]),
    ],
)
def test_commas_in_numbers(
    tmp_path: Path, cells: list[str], decimal: Decimal | None, expected: list[Any]
) -> None:
    path = _written(tmp_path, "\n".join(["x;y", *(f"{cell};1" for cell in cells)]))
    assert read_csv(path, separator=";", decimal=decimal)["x"].tolist() == expected


def test_a_comma_that_may_mean_two_things_is_asked_about(tmp_path: Path) -> None:
    path = _written(tmp_path, 'income,y\n"1,234",1\n"20,000",2\n')
    with pytest.raises(DataError, match=r"'income': the comma in '1,234' may .* decimal = "):
        read_csv(path)


@pytest.mark.parametrize(("separator", "written"), [(";", ";"), ("\t", "\\t"), ("|", "|")])
def test_another_separator_is_named(tmp_path: Path, separator: str, written: str) -> None:
    path = _written(tmp_path, separator.join("ab") + "\n" + separator.join("12") + "\n")
    with pytest.raises(DataError) as caught:
        read_csv(path)
    assert f'separator = "{written}"' in str(caught.value)


def test_truth_values_stay_truth_values_beside_missing_ones(tmp_path: Path) -> None:
    frame = read_csv(_written(tmp_path, "a,b\nTRUE,1\n,2\nfalse,3\n"))
    assert frame["a"].tolist() == [True, None, False]
    column = column_of(frame["a"])
    assert column.values == (False, True)
    assert column.decode(np.array([1.0, np.nan, 0.0])).tolist() == [True, None, False]


def test_very_wide_files_are_read_as_far_as_is_needed(tmp_path: Path) -> None:
    names = [f"g{place}" for place in range(20_000)]
    path = _written(tmp_path, ",".join(names) + ("\n" + ",".join(["1"] * len(names))) * 2 + "\n")
    assert read_csv(path, only={"g7", "g19999"}).columns.tolist() == ["g7", "g19999"]
    with pytest.raises(DataError, match="20,000 columns, more than 10,000: name those that the"):
        read_csv(path)


@pytest.mark.parametrize("suffix", [".parquet", ".feather", ".xlsx"])
def test_files_of_other_programs(tmp_path: Path, suffix: str) -> None:
    if suffix == ".xlsx":
        needed("openpyxl")
    else:
        benched("pyarrow")
    path = tmp_path / f"table{suffix}"
    write = {".parquet": FRAME.to_parquet, ".feather": FRAME.to_feather, ".xlsx": FRAME.to_excel}
    write[suffix](path, **({"index": False} if suffix == ".xlsx" else {}))
    assert is_binary(path)
    pd.testing.assert_frame_equal(read_binary(path), FRAME)
    path.write_bytes(b"nothing of the kind")
    with pytest.raises(DataError, match="not readable"):
        read_binary(path)


def test_files_that_are_not_read_say_what_is() -> None:
    with pytest.raises(DataError, match=r"\.sav files are not read: save the table as CSV"):
        read_binary(Path("spss.sav"))
    with pytest.raises(DataError, match="no such file"):
        read_binary(Path("absent.parquet"))


class _Arrow:
    """What pyarrow's tables offer."""

    def to_pandas(self) -> pd.DataFrame:
        return FRAME


def test_frames_of_other_libraries() -> None:
    assert as_frame(_Arrow(), "private") is FRAME
    with pytest.raises(DataError, match="private: list is no table: give a data frame"):
        as_frame([1], "private")
    with pytest.raises(DataError, match="column 0 is called by no text"):
        as_frame(pd.DataFrame([[1]]), "private")


def test_frames_of_polars() -> None:
    polars = needed("polars")
    frame = polars.DataFrame(FRAME.to_dict("list"))
    for table in (frame, frame.lazy()):
        pd.testing.assert_frame_equal(as_frame(table, "private"), FRAME, check_dtype=True)
