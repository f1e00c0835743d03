"""Models of one's own, for ``plan.toml`` beside them: how far diabetes will have come in a year."""

from __future__ import annotations

from sklearn.ensemble import ExtraTreesRegressor, RandomForestRegressor

from darkroom.tables.data import load_diabetes_table

TRAINED_ON = slice(0, 250)


def extra_trees() -> ExtraTreesRegressor:
    """Returns extremely randomised trees, trained on the first 250 patients."""
    patients = load_diabetes_table().iloc[TRAINED_ON]
    model = ExtraTreesRegressor(50, random_state=0)
    return model.fit(patients.drop(columns="progression"), patients["progression"])


def forest() -> RandomForestRegressor:
    """Returns a random forest, trained on the same patients: try it in the plan."""
    patients = load_diabetes_table().iloc[TRAINED_ON]
    model = RandomForestRegressor(50, random_state=0)
    return model.fit(patients.drop(columns="progression"), patients["progression"])
