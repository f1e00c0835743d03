"""The benchmarks' tables are read as their sources describe them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from benchmarks.tables.data_sets import load_steak, load_warfarin

from darkroom.errors import DataError

GOOD = "age,city,sick\n31,Ulm,yes\n44,Bonn,no\n,Ulm,no\n52,Jena,yes\n"


def _write(folder: Path, text: str) -> Path:
    path = folder / "table.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_steak_survey(real_data: Callable[[str], Path]) -> None:
    frame = load_steak(real_data("steak-risk-survey.csv"))
    assert len(frame) == 331
    assert frame["cheated"].value_counts().to_dict() == {"No": 274, "Yes": 57}
    assert frame["steak"].nunique() == 5


@pytest.mark.medium
def test_the_warfarin_patients(real_data: Callable[[str], Path]) -> None:
    frame = load_warfarin(real_data("iwpc-warfarin.csv"))
    assert len(frame) == 3524
    assert frame["vkorc1"].value_counts().to_dict() == {"A/A": 1256, "A/G": 1224, "G/G": 1044}
    assert frame["age"].between(1, 9).all()
    assert not frame.isna().any().any()


def test_another_file_is_not_the_survey(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="not the steak survey's 15"):
        load_steak(_write(tmp_path, "a,RespondentID\nb,\n1,2\n"))
    with pytest.raises(DataError, match="no column is called 'Race'"):
        load_warfarin(_write(tmp_path, GOOD))
