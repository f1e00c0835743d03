"""Rows that a seed draws, small models of them, and plans that audit those."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

MODEL = """\
from pathlib import Path

import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder
from sklearn.tree import DecisionTreeClassifier


def members():
    return pd.read_csv(Path(__file__).parent / "rows.csv")[:90]


def untrained():
    coded = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore"), ["city", "secret"]), remainder="passthrough"
    )
    return make_pipeline(coded, DecisionTreeClassifier(max_depth=7, random_state=0))


def grades():
    rows = members()
    return untrained().fit(rows[["age", "city", "secret"]], rows["grade"])


def doses():
    rows = members()
    coded = make_column_transformer(
        (OneHotEncoder(drop="first"), ["city", "secret"]), remainder="passthrough"
    )
    model = make_pipeline(coded, LinearRegression())
    return model.fit(rows[["age", "city", "secret"]], rows["dose"])
"""

START = """\
[run]
name = "{name}"
seed = 5
out = "runs"
naive = {naive}

[target]
load = "same_rows:{load}"
response = "{response}"
inputs = ["age", "city", "secret"]

[private]
table = "rows.csv"
rows = "0:140"
sensitive = "secret"
trained_on = "0:90"
knows = "{knows}"
groups = []

[public]
table = "rows.csv"
rows = "140:"
imputer = "logistic"
"""

CLASSES = (
    START.format(name="tables", naive="true", load="grades", response="grade", knows="response")
    + """
[[attack]]
name = "map"
prior = {name = "conditional", given = ["city"]}

[[attack]]
name = "csmia"

[[attack]]
name = "lomia"

[[attack]]
name = "tree-counts"
prior = "marginals"

[[defense]]
name = "rounding"
decimals = 1

[[defense]]
chain = [{name = "noise", deviation = 0.2}, {name = "rounding", decimals = 2}]
"""
)

NUMBERS = (
    START.format(
        name="tables-numbers", naive="true", load="doses", response="dose", knows="prediction"
    )
    + """
[[attack]]
name = "map"
prior = "uniform"
repeats = 4

[[defense]]
name = "value-rounding"
step = 12.0

[[defense]]
name = "value-noise"
deviation = 6.0

[[defense]]
chain = [{name = "value-noise", deviation = 3.0}, {name = "value-rounding", step = 2.0}]
"""
)

TRAININGS = (
    START.format(
        name="tables-trainings", naive="false", load="untrained", response="grade", knows="response"
    )
    + """
[[training]]
name = "minimum-leaf"
rows = 8

[[training]]
name = "pruning"
alpha = 0.02

[[training]]
name = "dp-tree"
depth = 3

[[attack]]
name = "map"
prior = {name = "conditional", given = ["city"]}
"""
)

PLANS = {"tables": CLASSES, "tables-numbers": NUMBERS, "tables-trainings": TRAININGS}


def write(folder: Path) -> None:
    """Writes the rows, the models and the plans."""
    _rows(240).to_csv(folder / "rows.csv", index=False)
    (folder / "same_rows.py").write_text(MODEL)
    for name, plan in PLANS.items():
        (folder / f"{name}.toml").write_text(plan)


def _rows(n: int) -> pd.DataFrame:
    """Draws ages, cities and a secret that follows both, a grade and a dose that follow it."""
    rng = np.random.default_rng(7)
    age = rng.integers(20, 60, n)
    city = rng.choice(["Bonn", "Jena", "Ulm"], n)
    likely = np.where(age > 40, 0.6, 0.25) + np.where(city == "Ulm", 0.15, 0.0)
    secret = np.where(rng.random(n) < likely, "yes", "no")
    level = (secret == "yes") + rng.integers(0, 3, n)
    grade = np.array(["low", "middle", "high", "highest"])[level]
    dose = 20 + 0.25 * age + 14 * (secret == "yes") + rng.integers(-6, 7, n)
    return pd.DataFrame({"age": age, "city": city, "secret": secret, "grade": grade, "dose": dose})
