"""Trees of every library: each training row is counted at the leaf that it reaches."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from tests.support.needs import benched, needed

from darkroom.access import Access
from darkroom.errors import TargetError
from darkroom.tables.columns import schema_of
from darkroom.tables.targets.base import TableTarget
from darkroom.tables.targets.load import fitted_target, load_table_target

RNG = np.random.default_rng(0)
FRAME = pd.DataFrame({"a": RNG.normal(size=200).round(1), "b c": RNG.integers(0, 4, 200)})
FRAME["s"] = RNG.integers(0, 2, 200)
INPUTS = FRAME.astype(float)
FRAME["y"] = (FRAME["a"] + FRAME["s"] + RNG.normal(0, 0.3, 200) > 0.5).astype(int)
FRAME["risk"] = FRAME["a"] * 2 + FRAME["s"]
INPUTS = FRAME[["a", "b c", "s"]]
CLASSES = schema_of(FRAME.drop(columns="risk"), "y", ["s"])
NUMBERS = schema_of(FRAME.drop(columns="y"), "risk", ["s"])


def _xgboost(**options: Any) -> Any:
    return needed("xgboost").XGBClassifier(n_estimators=3, max_depth=3, **options)


def _lightgbm() -> Any:
    return needed("lightgbm").LGBMClassifier(n_estimators=3, n_jobs=1, verbose=-1)


def _catboost(**options: Any) -> Any:
    options = {"iterations": 3, "verbose": 0, "allow_writing_files": False, **options}
    return benched("catboost").CatBoostClassifier(**options)


CLASSIFIERS: dict[str, Callable[[], Any]] = {
    "histogram": lambda: HistGradientBoostingClassifier(max_iter=3, random_state=0),
    "xgboost": _xgboost,
    "lightgbm": _lightgbm,
    "catboost": _catboost,
}


def _assert_counted(target: TableTarget, *, rows_are_counted: bool) -> None:
    rows = target.schema.encode(FRAME)
    trees, leaves = target.trees, target.leaves(rows)
    assert target.access is Access.WEIGHTS
    assert trees is not None
    assert leaves.shape == (len(rows), len(trees.counts))
    assert target.leaves(rows[:0]).shape == (0, len(trees.counts))
    for place, (counts, total) in enumerate(zip(trees.counts, trees.totals, strict=True)):
        reached = np.bincount(leaves[:, place], minlength=len(counts))
        if rows_are_counted:
            assert total == len(rows)
            np.testing.assert_array_equal(counts[reached > 0], reached[reached > 0])
        else:  # XGBoost sums p(1 - p), which is at most a quarter a row
            assert (counts[reached > 0] <= reached[reached > 0] / 4 + 1e-3).all()
            assert total == pytest.approx(counts[reached > 0].sum(), rel=1e-4)


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_training_rows_are_counted_where_they_end(name: str) -> None:
    model = CLASSIFIERS[name]().fit(INPUTS, FRAME["y"])
    target = fitted_target(model, CLASSES)
    _assert_counted(target, rows_are_counted=name != "xgboost")
    rows = CLASSES.encode(FRAME)
    np.testing.assert_allclose(target.scores(rows), model.predict_proba(INPUTS), rtol=1e-6)
    again = fitted_target(CLASSIFIERS[name]().fit(INPUTS, FRAME["y"]), CLASSES)
    other = fitted_target(CLASSIFIERS[name]().fit(INPUTS, 1 - FRAME["y"]), CLASSES)
    assert target.fingerprint() == again.fingerprint() != other.fingerprint()


def test_numbers_are_counted_in_rows() -> None:
    histogram = HistGradientBoostingRegressor(max_iter=2).fit(INPUTS, FRAME["risk"])
    _assert_counted(fitted_target(histogram, NUMBERS), rows_are_counted=True)
    booster = needed("xgboost").XGBRegressor(n_estimators=2, max_depth=2)
    target = fitted_target(booster.fit(INPUTS, FRAME["risk"]), NUMBERS)
    _assert_counted(target, rows_are_counted=True)


def test_models_fitted_on_arrays_get_arrays() -> None:
    for make in (_lightgbm, _catboost):
        target = fitted_target(make().fit(INPUTS.to_numpy(), FRAME["y"]), CLASSES)
        assert target.scores(CLASSES.encode(FRAME[:5])).shape == (5, 2)


def _saved(folder: Path, name: str) -> tuple[Path, Any]:
    """Writes a model with its library's own function; returns file and model."""
    if name == "xgboost":
        model = _xgboost().fit(INPUTS, FRAME["y"])
        model.save_model(folder / "model.ubj")
        return folder / "model.ubj", model
    if name == "lightgbm":
        model = _lightgbm().fit(INPUTS, FRAME["y"])
        model.booster_.save_model(folder / "model.lgb")
        return folder / "model.lgb", model
    model = _catboost().fit(INPUTS, FRAME["y"])
    model.save_model(str(folder / "model.cbm"))
    return folder / "model.cbm", model


@pytest.mark.parametrize("name", ["xgboost", "lightgbm", "catboost"])
def test_boosters_in_files_and_mlflow_folders(tmp_path: Path, name: str) -> None:
    file, model = _saved(tmp_path, name)
    rows = CLASSES.encode(FRAME)
    (tmp_path / "MLmodel").write_text("flavors: {}")
    for load in (file.name, "."):
        target = load_table_target("sklearn", load, CLASSES, folder=tmp_path)
        np.testing.assert_allclose(target.scores(rows), model.predict_proba(INPUTS), rtol=1e-5)
        _assert_counted(target, rows_are_counted=name != "xgboost")
    file.write_bytes(b"no model")
    with pytest.raises(TargetError, match=f"no model of {name}") as caught:
        load_table_target("sklearn", file.name, CLASSES, folder=tmp_path)
    assert "\n" not in str(caught.value)


def test_pickles_are_refused_with_the_step_to_skops(tmp_path: Path) -> None:
    (tmp_path / "MLmodel").write_text("flavors: {}")
    (tmp_path / "model.pkl").write_bytes(b"")
    for load in ("model.pkl", ".", "absent.joblib"):
        with pytest.raises(TargetError, match=r"never unpickles.*s\.dump\(joblib\.load"):
            load_table_target("sklearn", load, CLASSES, folder=tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(TargetError, match="without a file MLmodel is no model"):
        load_table_target("sklearn", "empty", CLASSES, folder=tmp_path)


def test_models_of_survival_are_refused() -> None:
    xgboost = needed("xgboost")
    cox = xgboost.XGBRegressor(objective="survival:cox", n_estimators=1)
    cox.fit(INPUTS, FRAME["risk"].abs() + 1)
    for model in (cox, cox.get_booster()):
        with pytest.raises(TargetError, match="a model of survival answers risks, not times"):
            fitted_target(model, NUMBERS)


@pytest.mark.medium
def test_results_of_statsmodels_are_asked_as_their_library_does() -> None:
    api = needed("statsmodels.api")
    formulas = needed("statsmodels.formula.api")
    data = FRAME.rename(columns={"b c": "b"})
    inputs, schema = data[["a", "b", "s"]], schema_of(data.drop(columns="risk"), "y", ["s"])
    family = api.families.Binomial()
    logit = api.GLM(data["y"], api.add_constant(inputs.astype(float)), family=family).fit()
    formula = formulas.glm("y ~ a + C(b) + s", data=data, family=family).fit()
    for results, known in ((logit, api.add_constant(inputs.astype(float))), (formula, inputs)):
        target = fitted_target(results, schema)
        expected = np.asarray(results.predict(known))
        np.testing.assert_allclose(target.scores(schema.encode(data))[:, 1], expected)
    numbers = schema_of(data.drop(columns="y"), "risk", ["s"])
    least = api.OLS(data["risk"], inputs.astype(float)).fit()
    target = fitted_target(least, numbers)
    np.testing.assert_allclose(target.predict(numbers.encode(data)), least.predict(inputs))
    with pytest.raises(TargetError, match="which the table lacks"):
        fitted_target(least, NUMBERS)
