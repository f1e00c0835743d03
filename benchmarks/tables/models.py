"""Models that err alike on new patients, and what each gives away of those it has seen."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.claims import Table, tell
from benchmarks.tables.papers import errors_on, posterior_of
from darkroom.tables.attacks.map import MapAttack
from darkroom.tables.candidates import Candidates
from darkroom.tables.columns import schema_of
from darkroom.tables.data import encode_table, load_diabetes_table
from darkroom.tables.measures.subgroups import compare
from darkroom.tables.priors.imputation import ImputationPrior, Imputer
from darkroom.tables.targets.sklearn import SklearnTableTarget

MEMBERS, OTHERS, PUBLIC = slice(0, 250), slice(250, 320), slice(320, None)


def models(seed: int) -> dict[str, Any]:
    """Returns regressors that are not trained yet."""
    from sklearn.ensemble import (
        ExtraTreesRegressor,
        GradientBoostingRegressor,
        RandomForestRegressor,
    )
    from sklearn.linear_model import LinearRegression
    from sklearn.tree import DecisionTreeRegressor

    return {
        "linear": LinearRegression(),
        "unpruned tree": DecisionTreeRegressor(random_state=seed),
        "tree, leaves of 10": DecisionTreeRegressor(min_samples_leaf=10, random_state=seed),
        "random forest": RandomForestRegressor(50, random_state=seed),
        "extra trees": ExtraTreesRegressor(50, random_state=seed),
        "extra trees, leaves of 5": ExtraTreesRegressor(50, min_samples_leaf=5, random_state=seed),
        "boosting, 100 x depth 3": GradientBoostingRegressor(random_state=seed),
        "boosting, 500 x depth 5": GradientBoostingRegressor(
            n_estimators=500, max_depth=5, random_state=seed
        ),
    }


def model_table(seed: int) -> Table:
    """Infers ``sex`` from models of diabetes' progression with ``map`` and imputation as prior."""
    tell("diabetes: models beside each other")
    frame = load_diabetes_table()
    schema = schema_of(frame, "progression", ["sex"])
    table = encode_table(frame, schema)
    candidates = Candidates.of(schema)
    truth = candidates.place(table.rows)
    prior = ImputationPrior(candidates, table.rows[PUBLIC], seed=seed)
    imputer = Imputer(candidates, table.rows[PUBLIC], response=table.response[PUBLIC], seed=seed)
    imputed = imputer.probabilities(table.rows, table.response).argmax(axis=1) == truth
    rows: list[list[object]] = []
    for name, model in models(seed).items():
        inputs = frame.drop(columns="progression")
        model.fit(inputs.iloc[MEMBERS], frame["progression"].iloc[MEMBERS])
        target = SklearnTableTarget(model, schema)
        errors = errors_on(target, table.rows[MEMBERS], table.response[MEMBERS])
        posterior = posterior_of(MapAttack(), target, prior, table.rows, table.response, errors)
        hits = posterior.argmax(axis=1) == truth
        off = np.abs(target.predict(table.rows) - table.response)
        rows.append(
            [
                name,
                float(off[MEMBERS].mean()),
                float(off[OTHERS].mean()),
                float(hits[MEMBERS].mean()),
                *compare(hits[MEMBERS], imputed[MEMBERS]),
                *compare(hits[OTHERS], imputed[OTHERS]),
            ]
        )
    columns = (
        *("model", "mean error, members", "others", "sex right, members"),
        *("over imputation", "low", "high", "others, over imputation", "low", "high"),
    )
    return Table("Diabetes: sex from the disease's progression", columns, rows)
