"""A model of one's own, for ``plan.toml`` beside it: how far diabetes will have come in a year."""

from __future__ import annotations

from sklearn.ensemble import RandomForestRegressor

from darkroom.data.tables import load_diabetes_table

TRAINED_ON = slice(0, 250)


def forest() -> RandomForestRegressor:
    """Returns a forest trained on the first 250 patients."""
    patients = load_diabetes_table().iloc[TRAINED_ON]
    model = RandomForestRegressor(50, random_state=0)
    return model.fit(patients.drop(columns="progression"), patients["progression"])
