"""Models of tables as people have them."""

from __future__ import annotations

import contextlib
import importlib
import io
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from benchmarks.reach.notebook import in_a_notebook
from benchmarks.reach.planted.tables import (
    INPUTS,
    Planted,
    leaks,
    plan_leaks,
    planted,
    together,
    write_plan,
)
from benchmarks.reach.rows import Row

Make = Callable[[], Any]
COUNTS = ["tree-counts"]


def rows() -> Iterator[Row]:
    """Yields every kind of model."""
    yield from _estimators()
    yield from _boosters()
    yield from _files()
    yield from _others()
    yield from _refused()


def _fitted(make: Make, response: str, **options: Any) -> Callable[[Path], bool]:
    """Returns what fits an estimator and audits it."""

    def meet(folder: Path) -> bool:
        data = planted(response)
        return leaks(make().fit(data.inputs, data.truth), folder, data, **options)

    return meet


def _made(module: str, name: str, *positional: Any, **options: Any) -> Make:
    return lambda: getattr(importlib.import_module(module), name)(*positional, **options)


def _estimators() -> Iterator[Row]:
    ensemble, boosting = "sklearn.ensemble", "HistGradientBoosting"
    tree = _made("sklearn.tree", "DecisionTreeClassifier", max_depth=6)
    yield Row("scikit-learn", "tree, by its counts", _fitted(tree, "ill", attacks=COUNTS))
    forest = _made(ensemble, "RandomForestClassifier", 20, min_samples_leaf=3)
    yield Row("scikit-learn", "forest", _fitted(forest, "ill"))
    histogram = _made(ensemble, f"{boosting}Classifier", max_iter=20)
    yield Row("scikit-learn", "histogram boosting", _fitted(histogram, "ill"))
    numbers = _made(ensemble, f"{boosting}Regressor", max_iter=40)
    yield Row("scikit-learn", "histogram, tree-counts", _fitted(numbers, "risk", attacks=COUNTS))
    linear = _made("sklearn.linear_model", "LinearRegression")
    yield Row("scikit-learn", "linear regression", _fitted(linear, "risk"))

    def searched() -> Any:
        from sklearn.linear_model import LogisticRegression
        from sklearn.model_selection import GridSearchCV
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        pipeline = make_pipeline(StandardScaler(), LogisticRegression())
        return GridSearchCV(pipeline, {"logisticregression__C": [1.0, 10.0]})

    yield Row("scikit-learn", "grid search of a pipeline", _fitted(searched, "ill"))


def _boosters() -> Iterator[Row]:
    for library, name, options in (
        ("xgboost", "XGB", {"n_estimators": 20, "max_depth": 3, "n_jobs": 1}),
        ("lightgbm", "LGBM", {"n_estimators": 20, "n_jobs": 1, "verbose": -1}),
        ("catboost", "CatBoost", {"iterations": 60, "verbose": 0, "allow_writing_files": False}),
    ):
        classifier = _made(library, f"{name}Classifier", **options)
        regressor = _made(library, f"{name}Regressor", **options)
        yield Row(library, "classifier", _fitted(classifier, "ill"))
        yield Row(library, "regressor, tree-counts", _fitted(regressor, "risk", attacks=COUNTS))

    def xgboost(folder: Path) -> bool:
        data, library = planted(), importlib.import_module("xgboost")
        rows = library.DMatrix(data.inputs, data.truth)
        return leaks(library.train({"objective": "binary:logistic"}, rows, 20), folder, data)

    def lightgbm(folder: Path) -> bool:
        data, library = planted(), importlib.import_module("lightgbm")
        rows = library.Dataset(data.inputs, data.truth)
        options = {"objective": "binary", "verbose": -1, "num_threads": 1}
        return leaks(library.train(options, rows, 20), folder, data)

    def catboost(folder: Path) -> bool:
        data, library = planted(), importlib.import_module("catboost")
        options = {"iterations": 60, "verbose": 0, "allow_writing_files": False}
        model = library.CatBoost({**options, "loss_function": "Logloss"})
        return leaks(model.fit(data.inputs, data.truth), folder, data)

    yield Row("xgboost", "native booster", xgboost)
    yield Row("lightgbm", "native booster", lightgbm)
    yield Row("catboost", "native model", catboost)


def _saved(library: str, make: Make, file: str, save: Callable[[Any, str], Any]) -> Row:
    """Returns a row of a model in a file."""

    def meet(folder: Path) -> bool:
        data = planted()
        save(make().fit(data.inputs, data.truth), str(folder / file))
        return _planned(folder, file, data)

    return Row(library, file, meet)


def _by_mlflow(flavor: str, make: Make, way: str = "", **options: Any) -> Row:
    """Returns a row of the folder that MLflow itself writes of a model."""

    def meet(folder: Path) -> bool:
        data = planted()
        module = importlib.import_module(f"mlflow.{flavor}")
        with contextlib.redirect_stderr(io.StringIO()):  # it warns of everything it guesses
            module.save_model(make().fit(data.inputs, data.truth), folder / "model", **options)
        return _planned(folder, "model", data)

    words = ", ".join(["save_model", *(str(value) for value in options.values())])
    return Row("MLflow", f"{flavor}.{words}", meet, way)


def _planned(folder: Path, load: str, data: Planted) -> bool:
    together(data).to_csv(folder / "rows.csv", index=False)
    return plan_leaks(write_plan(folder, load, data, str(folder / "rows.csv")))


def _files() -> Iterator[Row]:
    linear = _made("sklearn.linear_model", "LogisticRegression")

    def skops(model: Any, file: str) -> None:
        importlib.import_module("skops.io").dump(model, file)

    yield _saved("scikit-learn", linear, "model.skops", skops)
    yield _by_mlflow("sklearn", linear, serialization_format="skops")
    yield _by_mlflow("sklearn", linear, "s.dump(joblib.load(", serialization_format="cloudpickle")
    xgboost = _made("xgboost", "XGBClassifier", n_estimators=20, n_jobs=1)
    yield _saved("xgboost", xgboost, "model.ubj", lambda model, file: model.save_model(file))
    yield _by_mlflow("xgboost", xgboost)
    lightgbm = _made("lightgbm", "LGBMClassifier", n_estimators=20, n_jobs=1, verbose=-1)
    yield _saved(
        "lightgbm", lightgbm, "model.lgb", lambda model, file: model.booster_.save_model(file)
    )
    yield _by_mlflow("lightgbm", lightgbm, "name it in [target] trusted")
    options = {"iterations": 60, "verbose": 0, "allow_writing_files": False}
    catboost = _made("catboost", "CatBoostClassifier", **options)
    save = lambda model, file: model.save_model(file)  # noqa: E731 - as in the other rows
    yield _saved("catboost", catboost, "model.cbm", save)
    yield _by_mlflow("catboost", catboost)

    yield from _onnx()


def _onnx() -> Iterator[Row]:
    def onnx(folder: Path, attack: str = "auto") -> bool:
        import numpy as np
        from skl2onnx import to_onnx
        from sklearn.ensemble import RandomForestClassifier

        data = planted()
        rows = data.inputs.to_numpy(np.float32)
        model = RandomForestClassifier(10, min_samples_leaf=3).fit(rows, data.truth)
        (folder / "m.onnx").write_bytes(to_onnx(model, rows[:1]).SerializeToString())
        together(data).to_csv(folder / "rows.csv", index=False)
        table = str(folder / "rows.csv")
        plan = write_plan(folder, "m.onnx", data, table, kind="onnx", attack=attack)
        return plan_leaks(plan)

    yield Row("onnx", "forest", onnx)
    way = "choose an attack for"
    yield Row("onnx", "forest, tree-counts", lambda folder: onnx(folder, "tree-counts"), way)


def _others() -> Iterator[Row]:
    def result(kind: str, response: str) -> Callable[[Path], bool]:
        def meet(folder: Path) -> bool:
            api, data = importlib.import_module("statsmodels.api"), planted(response)
            inputs = data.inputs.astype(float)
            if kind == "formula":
                formulas = importlib.import_module("statsmodels.formula.api")
                words = f"{response} ~ age + height + C(smoker)"
                fitted = formulas.ols(words, data=inputs.assign(**{response: data.truth})).fit()
            elif kind == "OLS":
                fitted = api.OLS(data.truth, api.add_constant(inputs)).fit()
            else:
                family = api.families.Binomial()
                fitted = api.GLM(data.truth, api.add_constant(inputs), family=family).fit()
            return leaks(fitted, folder, data)

        return meet

    yield Row("statsmodels", "OLS", result("OLS", "risk"))
    yield Row("statsmodels", "formula", result("formula", "risk"))
    yield Row("statsmodels", "logistic GLM", result("GLM", "ill"))

    def function(folder: Path) -> bool:
        data = planted("risk")
        return leaks(lambda table: 3.0 * table["smoker"].to_numpy(), folder, data)

    yield Row("a function", "of a DataFrame", function)
    yield Row("Jupyter", "an audit in a live notebook", in_a_notebook)


def _refused() -> Iterator[Row]:
    def pickled(folder: Path) -> bool:
        data = planted()
        (folder / "model.joblib").write_bytes(pickle.dumps(INPUTS))
        return _planned(folder, "model.joblib", data)

    yield Row("joblib", "a pickle", pickled, "skops.io as s; s.dump(joblib.load(")

    def survival(folder: Path) -> bool:
        data, library = planted("risk"), importlib.import_module("xgboost")
        model = library.XGBRegressor(objective="survival:cox", n_estimators=2)
        return leaks(model.fit(data.inputs, data.truth.abs() + 1), folder, data)

    yield Row("xgboost", "a model of survival", survival, "audit a function that returns")

    def unfitted(folder: Path) -> bool:
        from sklearn.linear_model import LogisticRegression

        return leaks(LogisticRegression(), folder, planted())

    yield Row("scikit-learn", "not fitted", unfitted, "call fit first")
