"""Tables that others published, which the benchmarks read from files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from darkroom.errors import DataError
from darkroom.tables.reading.csv_files import read_csv
from darkroom.tables.reading.frames import located
from darkroom.tables.schema import require_column

STEAK_NAMES = (
    "respondent",
    "lottery",
    "smokes",
    "drinks",
    "gambles",
    "skydived",
    "speeds",
    "cheated",
    "eats_steak",
    "steak",
    "gender",
    "age",
    "income",
    "education",
    "region",
)

WARFARIN_NAMES = {
    "Race": "race",
    "Height (cm)": "height",
    "Weight (kg)": "weight",
    "Amiodarone (Cordarone)": "amiodarone",
    "VKORC1 -1639 consensus": "vkorc1",
    "CYP2C9 consensus": "cyp2c9",
}

_INDUCERS = (
    "Carbamazepine (Tegretol)",
    "Phenytoin (Dilantin)",
    "Rifampin or Rifampicin",
)


def load_steak(path: Path = Path("steak-risk-survey.csv")) -> pd.DataFrame:
    """Returns FiveThirtyEight's survey of steak and risk, its 331 complete rows of steak eaters.

    The survey (Hickey 2014, CC BY 4.0) has a second header row. Its questions get short names.

    Args:
        path: The file; it is looked for in the folder of ``DARKROOM_DATA`` too.

    Raises:
        DataError: If the file is absent or another one.
    """
    frame = read_csv(located(path), header_rows=2, text=("RespondentID",))
    if len(frame.columns) != len(STEAK_NAMES):
        raise DataError(f"{path}: {len(frame.columns)} columns, not the steak survey's 15")
    frame.columns = list(STEAK_NAMES)
    complete = frame.dropna()
    return complete.drop(columns=["respondent", "eats_steak"]).reset_index(drop=True)


def load_warfarin(path: Path = Path("iwpc-warfarin.csv")) -> pd.DataFrame:
    """Returns the patients of the International Warfarin Pharmacogenetics Consortium (2009).

    Columns: ``race``, ``age`` (the decade, 1 for 10 to 19), ``height`` (cm), ``weight`` (kg),
    ``amiodarone`` and ``inducer`` (any of carbamazepine, phenytoin and rifampin; not recorded is
    no, as the consortium takes it), ``vkorc1``, ``cyp2c9``, and ``root_dose``, the square root of
    the stable dose in mg a week. Only rows with race, age, height, weight, both genotypes and the
    dose are kept. PharmGKB, CC BY-SA 4.0.

    Args:
        path: The file; it is looked for in the folder of ``DARKROOM_DATA`` too.

    Raises:
        DataError: If the file is absent or another one.
    """
    raw = read_csv(located(path))
    for name in (*WARFARIN_NAMES, *_INDUCERS, "Age", "Therapeutic Dose of Warfarin"):
        require_column(raw, name, str(path))
    frame = raw[list(WARFARIN_NAMES)].rename(columns=WARFARIN_NAMES)
    frame["age"] = raw["Age"].str.extract(r"^(\d)", expand=False).astype(float)
    frame["amiodarone"] = frame["amiodarone"].eq(1).astype(float)
    frame["inducer"] = raw[list(_INDUCERS)].eq(1).any(axis=1).astype(float)
    frame["root_dose"] = np.sqrt(raw["Therapeutic Dose of Warfarin"].astype(float))
    return frame.dropna().reset_index(drop=True)
