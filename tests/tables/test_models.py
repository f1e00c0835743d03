"""Models of tables that an audit trains: with every defence and without, once, and read safely."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor
from tests.support.records import known, timeless

import darkroom
from darkroom.api import audit_table
from darkroom.errors import DarkroomError
from darkroom.report.defenses import recommend
from darkroom.runs import audit_plan
from darkroom.tables.columns import schema_of
from darkroom.tables.training.columns import PublicTable
from darkroom.tables.training.course import TableCourse
from darkroom.tables.training.registry import TABLE_TRAINING_DEFENSES

pytestmark = pytest.mark.medium

N, MEMBERS, PRIVATE = 420, 200, 320

MODEL = """\
from sklearn.compose import make_column_transformer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder
from sklearn.tree import DecisionTreeRegressor

def dosing():
    encoder = make_column_transformer((OneHotEncoder(), ["gene", "race"]), remainder="passthrough")
    return make_pipeline(encoder, DecisionTreeRegressor())
"""

PLAN = """\
[run]
name = "dosing"
naive = true

[target]
load = "own_dosing_model:dosing"
response = "dose"

[private]
table = "doses.csv"
rows = "0:320"
sensitive = "gene"
trained_on = "0:200"

[public]
table = "doses.csv"
rows = "320:"
imputer = "logistic"

[[training]]
name = "minimum-leaf"
rows = 20

[[training]]
name = "pruning"
alpha = 5.0

[[training]]
name = "dp-linear"
epsilon = 50.0

[[attack]]
name = "map"
prior = "marginals"

[[attack]]
name = "tree-counts"
prior = "marginals"

[[defense]]
name = "value-rounding"
step = 5.0
"""

NAMES = ("minimum-leaf(rows=20)", "pruning(alpha=5)", "dp-linear(epsilon=50)")


def doses() -> pd.DataFrame:
    """Doses that a gene says little of, so that only who remembers a patient knows the gene."""
    rng = np.random.default_rng(0)
    age, gene = rng.integers(20, 80, N), rng.choice(["AA", "AG"], N)
    dose = 20 + 0.2 * age + 1.0 * (gene == "AG") + rng.normal(0, 6, N)
    return pd.DataFrame({"age": age, "gene": gene, "race": rng.choice(["x", "y"], N), "dose": dose})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dosing")
    doses().to_csv(folder / "doses.csv", index=False)
    (folder / "own_dosing_model.py").write_text(MODEL)
    (folder / "plan.toml").write_text(PLAN.replace("naive", f'out = "{folder}/runs"\nnaive'))
    sys.modules.pop("own_dosing_model", None)
    return folder


@pytest.fixture(scope="module")
def run(folder: Path) -> darkroom.Run:
    return audit_plan(folder / "plan.toml", progress=False)


def test_every_attack_meets_every_model(run: darkroom.Run) -> None:
    rounding = "value-rounding(step=5.0)"
    expected = []
    for name in ("none", *NAMES):
        both = rounding if name == "none" else f"{name} + {rounding}"
        expected += [("map", name, "adaptive"), ("map", both, "adaptive"), ("map", both, "naive")]
        if "linear" not in name:
            expected.append(("tree-counts", name, "adaptive"))
    found = [(cell.attack, cell.defense, cell.attacker) for cell in run.cells]
    assert found == expected


def test_what_is_said_of_each_training(run: darkroom.Run) -> None:
    cells = {cell.defense: cell for cell in run.cells if cell.attack == "map"}
    plain = cells["none"]
    control = known(plain.details.training)
    assert (control.defense, control.name) == ("none", "none")
    assert control.time_factor == 1.0
    # An unpruned tree knows its members by heart; large leaves do not, and err less on others.
    leaf = cells[NAMES[0]]
    assert plain.advantage.low > 0.1
    assert leaf.advantage.estimate < plain.advantage.estimate - 0.1
    errors = [known(one.utility.mean_absolute_error) for one in (plain, leaf)]
    assert errors[1] < errors[0]
    private = known(cells[NAMES[2]].details.training)
    privacy, bound = known(private.privacy), known(private.bound)
    assert (privacy.unit, privacy.epsilon) == ("row", 50.0)
    assert [(one.about, one.examples) for one in bound.chances] == [("row", 1)]
    assert bound.chances[0].most == pytest.approx(1, abs=0.01)
    assert not bound.exceeded
    assert "the attacker knows how" in " ".join(cells[NAMES[1]].details.threat_model)
    assert known(leaf.details.training).time_factor > 0


@pytest.mark.medium
def test_the_best_defence_is_recommended(run: darkroom.Run) -> None:
    found = recommend(run.cells, 0.1)
    assert found.chosen is not None
    assert found.chosen.defense != "none"
    assert found.chosen.leak.estimate < found.undefended.leak.estimate
    assert "minimum-leaf" in run.report.read_text()


def test_nothing_is_trained_twice(
    run: darkroom.Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = run.folder / "models"
    assert {file.suffix for file in models.iterdir()} == {".skops", ".json"}
    assert len(list(models.iterdir())) == 8
    for cell in run.cells[3:6]:
        (run.folder / "cells" / cell.key / "cell.json").unlink()

    def refuse(*_: object) -> None:
        raise AssertionError("trained twice")

    monkeypatch.setattr("darkroom.tables.models.TableTrainer.train", refuse)
    again = audit_plan(folder / "plan.toml", resume=True, progress=False)
    assert timeless(again) == timeless(run)


def test_a_model_that_was_changed_is_not_read(
    run: darkroom.Run, folder: Path, tmp_path: Path
) -> None:
    moved = tmp_path / "dosing"
    shutil.copytree(run.folder, moved)
    for file in (moved / "models").glob("*.skops"):
        file.write_bytes(file.read_bytes() + b"x")
    key = run.cells[0].key
    (moved / "cells" / key / "cell.json").unlink()
    plan = folder / "moved.toml"
    plan.write_text((folder / "plan.toml").read_text().replace(f"{folder}/runs", str(tmp_path)))
    with pytest.raises(DarkroomError, match="not the model that was trained"):
        audit_plan(plan, resume=True, progress=False)


def test_another_training_makes_another_model(run: darkroom.Run, folder: Path) -> None:
    plan = folder / "other.toml"
    plan.write_text((folder / "plan.toml").read_text().replace("rows = 20", "rows = 30"))
    again = audit_plan(plan, resume=True, progress=False)
    keys = [{cell.key for cell in one.cells} for one in (run, again)]
    assert len(keys[0] & keys[1]) == len(keys[0]) - 4


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ('"minimum-leaf"', '"minimum-laef"', "did you mean 'minimum-leaf'"),
        ("rows = 20", "row = 20", "did you mean 'rows'"),
        ("own_dosing_model:dosing", "model.skops", r"\[\[training\]\] fits a scikit-learn"),
        ("alpha = 5.0", "alpha = 0.0", "alpha must be above 0"),
        ("epsilon = 50.0", "epsilon = 0.0", "give above 0"),
        ("epsilon = 50.0", "low = [0, 1]\nhigh = [9, 9]", "2 bounds for 1 numeric columns"),
    ],
)
def test_a_plan_that_does_not_do_is_one_clear_line(
    folder: Path, old: str, new: str, why: str
) -> None:
    plan = folder / "wrong.toml"
    text = (folder / "plan.toml").read_text().replace('"dosing"', '"wrong"')
    assert old in text
    plan.write_text(text.replace(old, new))
    with pytest.raises(DarkroomError, match=why) as caught:
        audit_plan(plan, resume=True, progress=False)
    assert "\n" not in str(caught.value)


def _audited(tmp_path: Path, model: Any, response: str, *training: Any) -> darkroom.Run:
    frame = doses().assign(grade=lambda one: np.where(one["dose"] > 30, "high", "low"))
    frame = frame[["age", "gene", "race", response]]
    return audit_table(
        model,
        frame[:PRIVATE],
        frame[PRIVATE:],
        response=response,
        sensitive="gene",
        trained_on=f"0:{MEMBERS}",
        imputer="logistic",
        training=training,
        out=tmp_path,
        progress=False,
    )


def test_private_trees_from_python(tmp_path: Path) -> None:
    with pytest.raises(DarkroomError, match="cannot be trained"):
        _audited(tmp_path, DecisionTreeClassifier(), "grade", "dp-tree")  # takes no text
    model = make_pipeline(OneHotEncoder(handle_unknown="ignore"), DecisionTreeClassifier())
    run = _audited(tmp_path / "b", model, "grade", {"name": "dp-tree", "epsilon": 1.0})
    plain, private = run.cells
    training = known(private.details.training)
    assert known(training.privacy).delta == 0
    bound = known(training.bound)
    assert bound.baseline < bound.chances[0].most <= min(1, bound.baseline * np.e)
    assert private.advantage.estimate < plain.advantage.estimate


def public_of(frame: pd.DataFrame) -> PublicTable:
    schema = schema_of(frame, "dose", ["gene"])
    values = tuple(column.values for column in schema.columns)
    return PublicTable(schema.names, values, (), schema.encode(frame), frame["dose"].to_numpy())


def test_private_regression_stays_near_the_plain_one_with_a_large_epsilon() -> None:
    frame = doses()
    public = public_of(frame[PRIVATE:])
    defense = TABLE_TRAINING_DEFENSES.make("dp-linear", {"epsilon": 1e5})
    inputs = frame.drop(columns="dose")
    model = defense.train(TableCourse(LinearRegression(), inputs, frame["dose"], public, 0)).model
    plain = LinearRegression().fit(pd.get_dummies(inputs), frame["dose"])
    off = model.predict(inputs) - plain.predict(pd.get_dummies(inputs))
    assert np.abs(off).mean() < 0.5
    with pytest.raises(DarkroomError, match="for regressors"):
        defense.train(TableCourse(LogisticRegression(), inputs, frame["dose"], public, 0))


def test_estimators_that_draw_get_the_seed_of_the_run() -> None:
    frame = doses()
    inputs, none = frame[["age"]], TABLE_TRAINING_DEFENSES.make("none", {})
    for own, found in ((None, 7), (3, 3)):
        tree = DecisionTreeRegressor(random_state=own)
        made = none.train(TableCourse(tree, inputs, frame["dose"], public_of(frame), 7)).model
        assert made.random_state == found
