"""Models of tables as targets: every kind answers alike, in batches as one by one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.ensemble import (
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.linear_model import LinearRegression, LogisticRegression, RidgeClassifier
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor
from tests.support.needs import needed

from darkroom.access import Access
from darkroom.errors import DarkroomError, TargetError
from darkroom.imports import load_skops
from darkroom.tables.columns import schema_of
from darkroom.tables.schema import Column, Rows, Schema
from darkroom.tables.targets.base import CallableTableTarget, TableTarget
from darkroom.tables.targets.load import load_table_target
from darkroom.tables.targets.onnx import OnnxTableTarget
from darkroom.tables.targets.sklearn import SklearnTableTarget

TREE_TYPE = "sklearn.tree._tree.Tree"


def _frame(n: int = 120) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "age": rng.integers(20, 80, n).astype(float),
            "city": rng.choice(["Bonn", "Jena", "Ulm"], n),
            "smokes": rng.choice(["no", "yes"], n),
        }
    )
    risk = frame["age"] / 20 + 2 * (frame["smokes"] == "yes") + rng.normal(0, 0.5, n)
    frame["risk"] = risk
    frame["class"] = np.where(risk > 4, "high", np.where(risk > 2.5, "middle", "low"))
    return frame


FRAME = _frame()
INPUTS = FRAME[["age", "city", "smokes"]]
CLASSES = schema_of(FRAME.drop(columns="risk"), "class", ["smokes"])
NUMBERS = schema_of(FRAME.drop(columns="class"), "risk", ["smokes"])


def _pipeline(model: Any) -> Any:
    encode = make_column_transformer((OneHotEncoder(), ["city", "smokes"]), remainder="passthrough")
    return make_pipeline(encode, model)


CLASSIFIERS: dict[str, Callable[[], Any]] = {
    "tree": lambda: DecisionTreeClassifier(random_state=0),
    "forest": lambda: RandomForestClassifier(5, random_state=0),
    "extra trees": lambda: ExtraTreesClassifier(5, random_state=0),
    "boosting": lambda: GradientBoostingClassifier(n_estimators=5, random_state=0),
    "logistic": lambda: LogisticRegression(max_iter=2000),
    "ridge": RidgeClassifier,
    "svm": LinearSVC,
}

REGRESSORS: dict[str, Callable[[], Any]] = {
    "tree": lambda: DecisionTreeRegressor(random_state=0),
    "forest": lambda: RandomForestRegressor(5, random_state=0),
    "boosting": lambda: GradientBoostingRegressor(n_estimators=5, random_state=0),
    "linear": LinearRegression,
}


def _classifier(name: str) -> SklearnTableTarget:
    model = _pipeline(CLASSIFIERS[name]()).fit(INPUTS, FRAME["class"])
    return SklearnTableTarget(model, CLASSES)


def _regressor(name: str) -> SklearnTableTarget:
    model = _pipeline(REGRESSORS[name]()).fit(INPUTS, FRAME["risk"])
    return SklearnTableTarget(model, NUMBERS)


def _onnx(path: Path, model: Any, schema: Schema) -> OnnxTableTarget:
    from skl2onnx import to_onnx

    like = INPUTS[:1].astype({"age": np.float32})
    path.write_bytes(to_onnx(model, like).SerializeToString())
    return OnnxTableTarget(path, schema)


def _assert_rows_alone(target: TableTarget, rows: Rows) -> None:
    together = target.predict(rows)
    alone = np.concatenate([target.predict(rows[place : place + 1]) for place in range(len(rows))])
    np.testing.assert_allclose(together, alone, rtol=1e-6)
    assert target.predict(rows[:0]).shape == (0,)
    if target.has_scores:
        scores = target.scores(rows)
        np.testing.assert_allclose(scores.sum(axis=1), 1, rtol=1e-12)
        alone = np.concatenate([target.scores(rows[place : place + 1]) for place in range(9)])
        np.testing.assert_allclose(scores[:9], alone, rtol=1e-6)  # ONNX counts in float32
        assert target.scores(rows[:0]).shape == (0, target.classes)


@pytest.mark.medium
@pytest.mark.parametrize("name", CLASSIFIERS)
def test_classifiers_answer_as_the_model_does(name: str) -> None:
    target = _classifier(name)
    rows = CLASSES.encode(FRAME)[:30]
    said = [CLASSES.response.values[int(place)] for place in target.predict(rows)]
    assert said == target._model.predict(INPUTS[:30]).tolist()
    if target.has_scores:
        np.testing.assert_allclose(target.scores(rows), target._model.predict_proba(INPUTS[:30]))
    _assert_rows_alone(target, rows)


@pytest.mark.parametrize("name", REGRESSORS)
def test_regressors_answer_as_the_model_does(name: str) -> None:
    target = _regressor(name)
    rows = NUMBERS.encode(FRAME)[:30]
    np.testing.assert_allclose(target.predict(rows), target._model.predict(INPUTS[:30]))
    assert target.classes is None
    _assert_rows_alone(target, rows)
    with pytest.raises(TargetError, match="has no confidence scores"):
        target.scores(rows)


@pytest.mark.parametrize(
    ("name", "trees", "linear"),
    [("tree", 1, False), ("forest", 5, False), ("boosting", 15, False), ("logistic", 0, True)],
)
def test_weights_are_trees_or_coefficients(name: str, trees: int, linear: bool) -> None:
    target = _classifier(name)
    assert target.access is Access.WEIGHTS
    assert (target.linear is not None) == linear
    assert (0 if target.trees is None else len(target.trees.counts)) == trees
    rows = CLASSES.encode(FRAME)
    if not trees:
        with pytest.raises(TargetError, match="not made of decision trees"):
            target.leaves(rows)
        return
    assert target.trees is not None
    leaves = target.leaves(rows)
    assert leaves.shape == (len(rows), trees)
    assert target.leaves(rows[:0]).shape == (0, trees)
    if name == "tree":
        # Every training row is counted at the leaf that it reaches.
        reached = np.bincount(leaves[:, 0], minlength=len(target.trees.counts[0]))
        assert (target.trees.counts[0][reached > 0] == reached[reached > 0]).all()


def test_a_model_that_only_answers_scores_or_labels() -> None:
    neighbours = _pipeline(KNeighborsClassifier(5)).fit(INPUTS, FRAME["class"])
    assert SklearnTableTarget(neighbours, CLASSES).access is Access.SCORES
    assert _classifier("ridge").has_scores is False


def test_models_fitted_on_arrays_get_arrays() -> None:
    rows = CLASSES.encode(FRAME)
    columns = tuple(
        Column(column.name, "categorical", tuple(range(len(column.values))))
        if column.values
        else column
        for column in CLASSES.columns
    )
    tree = DecisionTreeClassifier(random_state=0).fit(rows, FRAME["class"])
    target = SklearnTableTarget(tree, Schema(columns, CLASSES.response, ("smokes",)))
    said = [CLASSES.response.values[int(place)] for place in target.predict(rows)]
    assert said == tree.predict(rows).tolist()
    assert target.leaves(rows).shape == (len(rows), 1)


def test_categories_stay_categories() -> None:
    frame = FRAME.astype({"city": "category", "smokes": "category"})
    schema = schema_of(frame.drop(columns="risk"), "class", ["smokes"])
    model = HistGradientBoostingClassifier(max_iter=5, categorical_features="from_dtype")
    inputs = frame[["age", "city", "smokes"]]
    target = SklearnTableTarget(model.fit(inputs, frame["class"]), schema)
    np.testing.assert_allclose(target.scores(schema.encode(frame)), model.predict_proba(inputs))


def test_a_search_is_its_best_estimator() -> None:
    model = _pipeline(LogisticRegression(max_iter=5000))
    search = GridSearchCV(model, {"logisticregression__C": [0.1, 1]}, cv=2)
    target = SklearnTableTarget(search.fit(INPUTS, FRAME["class"]), CLASSES)
    assert target.linear is not None
    assert target.name == "LogisticRegression"


def test_the_fingerprint_tells_models_apart() -> None:
    prints = {_classifier(name).fingerprint() for name in ("tree", "forest", "logistic")}
    assert len(prints) == 3
    assert _classifier("forest").fingerprint() == _classifier("forest").fingerprint()
    model = _pipeline(DecisionTreeClassifier(random_state=0)).fit(
        INPUTS[:100], FRAME["class"][:100]
    )
    assert SklearnTableTarget(model, CLASSES).fingerprint() not in prints


@pytest.mark.parametrize(
    ("model", "schema", "expected"),
    [
        (object(), CLASSES, "it has no predict: give a fitted estimator"),
        (DecisionTreeClassifier(), CLASSES, "not fitted: call fit first"),
        (_pipeline(LinearRegression()).fit(INPUTS, FRAME["risk"]), CLASSES, "is a regressor, but"),
        (
            _pipeline(RidgeClassifier()).fit(INPUTS, FRAME["class"]),
            NUMBERS,
            "is a classifier, but the response 'risk' is numeric",
        ),
        (
            LogisticRegression().fit(FRAME[["age"]], FRAME["class"]),
            CLASSES,
            "was not trained on column 'city'",
        ),
        (
            LogisticRegression().fit(FRAME[["age", "risk"]], FRAME["class"]),
            CLASSES,
            "was trained on column 'risk', which the table lacks",
        ),
        (
            _pipeline(RidgeClassifier()).fit(INPUTS[["city", "age", "smokes"]], FRAME["class"]),
            CLASSES,
            "takes its columns in another order, 'city' first",
        ),
        (
            LogisticRegression().fit(FRAME[["age"]].to_numpy(), FRAME["class"]),
            CLASSES,
            "takes 1 columns, but the schema has 3",
        ),
        (
            _pipeline(RidgeClassifier()).fit(INPUTS, FRAME["class"] + "!"),
            CLASSES,
            "predicts 'high!', which is no value of 'class'",
        ),
    ],
)
def test_models_that_do_not_fit_the_schema(model: Any, schema: Schema, expected: str) -> None:
    with pytest.raises(TargetError) as caught:
        SklearnTableTarget(model, schema)
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_category_that_the_model_never_saw_is_one_line() -> None:
    model = _pipeline(RidgeClassifier()).fit(INPUTS, FRAME["class"])
    more = FRAME.drop(columns="risk").assign(city=["Köln", *FRAME["city"][1:]])
    schema = schema_of(more, "class", ["smokes"])
    with pytest.raises(TargetError, match="the model refuses rows") as caught:
        SklearnTableTarget(model, schema).predict(schema.encode(more))
    assert "\n" not in str(caught.value)


# ---------------------------------------------------------------- functions


def _risk(table: pd.DataFrame) -> Any:
    return (table["age"] > 50).map({True: "high", False: "low"}) if len(table) else []


def test_a_function_is_a_target() -> None:
    target = CallableTableTarget(_risk, CLASSES)
    rows = CLASSES.encode(FRAME)
    assert target.access is Access.LABEL
    assert set(target.predict(rows).astype(int)) == {0, 1}
    _assert_rows_alone(target, rows[:20])
    assert target.fingerprint() == CallableTableTarget(_risk, CLASSES).fingerprint()


def test_a_function_with_scores() -> None:
    def scores(table: pd.DataFrame) -> Any:
        high = table["age"].to_numpy() / 100
        return np.stack([high, 0.9 - high, np.full(len(high), 0.1)], axis=1)

    target = CallableTableTarget(scores, CLASSES, outputs="scores")
    assert target.access is Access.SCORES
    _assert_rows_alone(target, CLASSES.encode(FRAME)[:20])


@pytest.mark.parametrize(
    ("answer", "schema", "outputs", "expected"),
    [
        (lambda t: 1 / 0, NUMBERS, "predictions", "the model refuses rows (ZeroDivisionError"),
        (lambda t: np.zeros(3), NUMBERS, "predictions", "answers [3] to 5 rows"),
        (lambda t: np.full(5, np.nan), NUMBERS, "predictions", "a prediction is not finite"),
        (lambda t: ["a"] * 5, NUMBERS, "predictions", "but the response 'risk' is numeric"),
        (lambda t: ["a"] * 5, CLASSES, "predictions", "predicts 'a', which is no value of 'class'"),
        (lambda t: np.zeros((5, 2)), CLASSES, "scores", "answers [5, 2] to 5 rows and 3 classes"),
        (lambda t: np.ones((5, 3)), CLASSES, "scores", "scores do not sum to one"),
        (lambda t: np.full((5, 3), np.nan), CLASSES, "scores", "scores are no probabilities"),
        (lambda t: [[2, -1, 0]] * 5, CLASSES, "scores", "scores are no probabilities"),
        (lambda t: [[1, 0, 0]] * 5, NUMBERS, "scores", "scores of a numeric response 'risk'"),
        (lambda t: t, NUMBERS, "logits", "outputs 'logits': give 'predictions' or 'scores'"),
    ],
)
def test_answers_that_are_none(
    answer: Callable[[Any], Any], schema: Schema, outputs: str, expected: str
) -> None:
    with pytest.raises(TargetError) as caught:
        CallableTableTarget(answer, schema, outputs=outputs).predict(schema.encode(FRAME)[:5])
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


# ---------------------------------------------------------------- ONNX


@pytest.mark.parametrize("name", ["tree", "logistic"])
def test_onnx_answers_as_the_model_does(name: str, tmp_path: Path) -> None:
    model = _pipeline(CLASSIFIERS[name]()).fit(INPUTS, FRAME["class"])
    target = _onnx(tmp_path / "model.onnx", model, CLASSES)
    rows = CLASSES.encode(FRAME)
    assert target.access is Access.SCORES
    np.testing.assert_allclose(target.scores(rows), model.predict_proba(INPUTS), atol=1e-4)
    assert (target.predict(rows) == SklearnTableTarget(model, CLASSES).predict(rows)).mean() > 0.98
    _assert_rows_alone(target, rows[:9])


def test_onnx_regressors_answer_values(tmp_path: Path) -> None:
    model = _pipeline(LinearRegression()).fit(INPUTS, FRAME["risk"])
    target = _onnx(tmp_path / "model.onnx", model, NUMBERS)
    rows = NUMBERS.encode(FRAME)
    assert target.access is Access.LABEL
    np.testing.assert_allclose(target.predict(rows), model.predict(INPUTS), rtol=1e-4)


def test_onnx_with_one_matrix(tmp_path: Path) -> None:
    from skl2onnx import to_onnx

    numbers = FRAME[["age", "risk"]].to_numpy(np.float32)
    model = LogisticRegression().fit(numbers, FRAME["smokes"])
    path = tmp_path / "model.onnx"
    path.write_bytes(to_onnx(model, numbers[:1], options={"zipmap": False}).SerializeToString())
    columns = (Column("age", "numeric"), Column("risk", "numeric"))
    target = OnnxTableTarget(
        path, Schema(columns, Column("smokes", "categorical", ("no", "yes")), ("risk",))
    )
    rows = FRAME[["age", "risk"]].to_numpy()
    np.testing.assert_allclose(target.scores(rows), model.predict_proba(numbers), atol=1e-5)
    with pytest.raises(TargetError, match="of width 2, but the schema has 3 columns"):
        OnnxTableTarget(path, CLASSES)


def test_onnx_files_that_do_not_do(tmp_path: Path) -> None:
    with pytest.raises(TargetError, match="no such file"):
        OnnxTableTarget(tmp_path / "absent.onnx", CLASSES)
    (tmp_path / "bad.onnx").write_bytes(b"nothing")
    with pytest.raises(TargetError, match="not a model that ONNX Runtime can run"):
        OnnxTableTarget(tmp_path / "bad.onnx", CLASSES)
    model = _pipeline(DecisionTreeClassifier()).fit(INPUTS, FRAME["class"])
    other = schema_of(
        FRAME.drop(columns="risk").rename(columns={"age": "years"}), "class", ["city"]
    )
    with pytest.raises(TargetError, match="takes column 'age', which the table lacks"):
        _onnx(tmp_path / "model.onnx", model, other)


# ---------------------------------------------------------------- loading


def test_loading_by_the_words_of_a_plan(tmp_path: Path) -> None:
    from skops import io

    model = _pipeline(LogisticRegression(max_iter=2000)).fit(INPUTS, FRAME["class"])
    io.dump(model, tmp_path / "model.skops")
    (tmp_path / "own_tables.py").write_text(
        "from sklearn.dummy import DummyClassifier\n"
        "def model():\n"
        "    return DummyClassifier().fit([[0, 0, 0]] * 3, ['high', 'low', 'middle'])\n"
        "def nothing():\n    return 3\n"
        "def always(table):\n    return ['low'] * len(table)\n"
    )
    rows = CLASSES.encode(FRAME)
    loaded = load_table_target("sklearn", "model.skops", CLASSES, folder=tmp_path)
    assert loaded.name == "model.skops"
    np.testing.assert_array_equal(
        loaded.predict(rows), SklearnTableTarget(model, CLASSES).predict(rows)
    )
    called = load_table_target("sklearn", "own_tables:model", CLASSES, folder=tmp_path)
    assert called.predict(rows).tolist() == [0.0] * len(rows)
    function = load_table_target("function", "own_tables:always", CLASSES, folder=tmp_path)
    assert function.predict(rows).tolist() == [1.0] * len(rows)
    with pytest.raises(TargetError, match="it gave int, not a fitted estimator"):
        load_table_target("sklearn", "own_tables:nothing", CLASSES, folder=tmp_path)


def test_skops_files_hold_only_what_is_trusted(tmp_path: Path) -> None:
    from skops import io

    path = tmp_path / "tree.skops"
    io.dump(_pipeline(DecisionTreeClassifier()).fit(INPUTS, FRAME["class"]), path)
    with pytest.raises(TargetError, match="skops does not know to be safe"):
        load_skops(path)
    assert SklearnTableTarget(load_skops(path, [TREE_TYPE]), CLASSES).trees is not None


def test_a_booster_in_skops_needs_trust_for_its_own_types_alone(tmp_path: Path) -> None:
    from skops import io

    numbers = np.arange(60.0).reshape(30, 2)
    model = needed("lightgbm").LGBMClassifier(n_estimators=2, verbose=-1, n_jobs=1)
    path = tmp_path / "model.skops"
    io.dump(model.fit(numbers, numbers[:, 0] > 30), path)  # holds a dictionary too: no risk
    with pytest.raises(TargetError, match=r"lightgbm\.basic\.Booster and 1 more.*trusted"):
        load_skops(path)
    own = ["lightgbm.basic.Booster", "lightgbm.sklearn.LGBMClassifier"]
    assert (load_skops(path, own).predict(numbers) == model.predict(numbers)).all()


@pytest.mark.parametrize(
    ("kind", "load", "expected"),
    [
        ("sklearn", "absent.skops", "no such file"),
        ("sklearn", "bad.skops", "not a readable skops file"),
        ("sklearn", "model.pkl", "Darkroom never unpickles"),
        ("sklearn", "model.joblib", "Darkroom never unpickles"),
        ("sklearn", "no_such_module_here:model", "cannot import no_such_module_here"),
        ("sklearn", "json:nothing_there", "json has no callable nothing_there"),
        ("sklearn", "nonsense", "give an import path such as"),
        ("sklearn", "json:loads", "calling it failed"),
        ("onnx", "absent.onnx", "no such file"),
        ("function", "absent.py", "give an import path"),
    ],
)
def test_what_cannot_be_loaded_is_one_line(
    kind: Any, load: str, expected: str, tmp_path: Path
) -> None:
    (tmp_path / "bad.skops").write_bytes(b"nothing")
    with pytest.raises(DarkroomError) as caught:
        load_table_target(kind, load, CLASSES, folder=tmp_path)
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


class Answering:
    """What answers like a classifier, and is none of scikit-learn's."""

    classes_ = np.array(["high", "low"])

    def predict(self, table: Any) -> Any:
        return np.repeat("low", len(table))


def test_what_is_no_estimator_is_said_to_be_none() -> None:
    with pytest.raises(TargetError, match=r'has no fit, .* with \[target\] kind = "function"'):
        SklearnTableTarget(Answering(), CLASSES)
