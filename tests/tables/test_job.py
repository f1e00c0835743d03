"""Audits of models of tables, from plan to results, and everything that can be wrong with one."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped,unused-ignore]
from sklearn.ensemble import ExtraTreesClassifier, HistGradientBoostingClassifier
from sklearn.linear_model import LinearRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder
from tests.support.records import cells_of, known, timeless

import darkroom
from darkroom.api import audit_table
from darkroom.auditing.progress import Reporter
from darkroom.demo.tables import table_demo_plan
from darkroom.errors import DarkroomError
from darkroom.kinds import load_job, read_plan
from darkroom.report import load_schema
from darkroom.report.defenses import recommend
from darkroom.runs import audit_plan
from darkroom.tables.plan import TablePlan
from darkroom.tables.record import TableCell

N, MEMBERS, PRIVATE = 260, 120, 180


def people(seed: int = 0) -> pd.DataFrame:
    """Ages and cities, a secret that follows the age a little, and a grade that follows nothing.

    A model can only learn such grades by heart, so what it gives away it gives away of members.
    """
    rng = np.random.default_rng(seed)
    age = rng.integers(20, 50, N)
    secret = np.where(rng.random(N) < np.where(age > 35, 0.55, 0.3), "yes", "no")
    return pd.DataFrame(
        {
            "age": age,
            "city": rng.choice(["Bonn", "Jena", "Ulm"], N),
            "secret": secret,
            "grade": rng.choice(["low", "middle", "high"], N),
        }
    )


PLAN = """\
[run]
name = "people"

[target]
load = "own_people_model:grades"
response = "grade"

[private]
table = "people.csv"
rows = "0:180"
sensitive = "secret"
trained_on = "0:120"

[public]
table = "people.csv"
rows = "180:"
imputer = "logistic"

[[attack]]
name = "map"
prior = {name = "conditional", given = ["age"]}

[[attack]]
name = "tree-counts"
prior = "marginals"
"""

MODEL = """\
import pandas as pd
from pathlib import Path
from sklearn.ensemble import ExtraTreesClassifier, HistGradientBoostingClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OrdinalEncoder

def grades():
    rows = pd.read_csv(Path(__file__).parent / "people.csv")[:120]
    trees = ExtraTreesClassifier(10, random_state=0)
    return make_pipeline(OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1),
                         trees).fit(rows[["age", "city", "secret"]], rows["grade"])
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    people().to_csv(tmp_path / "people.csv", index=False)
    (tmp_path / "own_people_model.py").write_text(MODEL)
    (tmp_path / "plan.toml").write_text(PLAN)
    monkeypatch.chdir(tmp_path)
    # Modules of this name differ between tests only in the folder that their table is in.
    monkeypatch.delitem(sys.modules, "own_people_model", raising=False)
    return tmp_path


def edited(folder: Path, *pairs: tuple[str, str]) -> Path:
    path = folder / "plan.toml"
    text = path.read_text()
    for old, new in pairs:
        assert old in text
        text = text.replace(old, new)
    path.write_text(text)
    return path


@pytest.mark.medium
def test_a_leaking_model_is_found_out(folder: Path) -> None:
    run = audit_plan(folder / "plan.toml", progress=False)
    Draft202012Validator(load_schema()).validate(run.results)
    attack, counts = cells_of(run, TableCell)
    assert (attack.kind, attack.goals, attack.access) == ("tables", MEMBERS, "label")
    assert (counts.access, counts.prior) == ("weights", "marginals")
    assert (attack.queries.per_goal_median, attack.queries.total) == (2, 2 * PRIVATE)
    details = attack.details
    assert details.members.advantage.low > 0.1  # the trees have learned members by heart
    assert attack.advantage.low > 0
    assert run.leaks(0)
    others = known(details.others)
    assert others.n == PRIVATE - MEMBERS
    assert known(details.difference).success.low > 0
    assert others.advantage.low < 0.05
    strongest = details.members.over_strongest
    assert strongest.estimate == attack.advantage.estimate <= details.members.advantage.estimate
    assert getattr(details.members.success, strongest.name) == attack.baseline
    assert details.positive == "yes"
    assert sum(map(sum, known(details.members.confusion))) == MEMBERS
    assert known(details.worst_off).p_adjusted < 0.05
    assert "yes" in run.report.read_text()


@pytest.mark.medium
def test_the_run_resumes_to_the_same_results(folder: Path) -> None:
    first = audit_plan(folder / "plan.toml", progress=False)
    lost = folder / "runs" / "people" / "cells" / first.cells[1].key / "cell.json"
    lost.unlink()
    back = audit_plan(folder / "plan.toml", resume=True, progress=False)
    assert timeless(back) == timeless(first)


@pytest.mark.medium
def test_what_decides_a_cell_is_in_its_key(folder: Path) -> None:
    def keys() -> list[str]:
        job = load_job(folder / "plan.toml", Reporter(shown=False))
        return job.keys("1")

    first = keys()
    edited(folder, ('name = "map"', 'name = "map"\nmemory = 100000'))
    assert keys() == first
    edited(folder, ('name = "map"', 'name = "map"\nbudget = 1'))
    assert keys()[0] != first[0]
    assert keys()[1] == first[1]
    edited(folder, ('trained_on = "0:120"', 'trained_on = "0:110"'))
    assert keys()[1] != first[1]


@pytest.mark.medium
@pytest.mark.parametrize("names", ["[]", '["city"]'])
def test_groups_are_those_asked_for(folder: Path, names: str) -> None:
    edited(folder, ('sensitive = "secret"', f'sensitive = "secret"\ngroups = {names}'))
    cell, _ = cells_of(audit_plan(folder / "plan.toml", progress=False), TableCell)
    columns = {group.column for group in cell.details.members.groups}
    assert columns == {"secret", *json.loads(names)}


@pytest.mark.medium
def test_defences_meet_attacks_that_see_answers(folder: Path) -> None:
    plan = edited(folder, ('name = "tree-counts"', 'name = "csmia"'))
    plan.write_text(plan.read_text() + '\n[[defense]]\nname = "rounding"\ndecimals = 1\n')
    cells = audit_plan(plan, progress=False).cells
    assert [(cell.attack, cell.defense) for cell in cells] == [
        ("map", "none"),
        ("map", "rounding(decimals=1)"),
        ("csmia", "none"),
        ("csmia", "rounding(decimals=1)"),
    ]
    assert cells[0].success == cells[1].success  # rounding keeps the label


def doses(seed: int = 0) -> pd.DataFrame:
    """Doses that a gene decides, with an error of 3 that no model can foresee."""
    rng = np.random.default_rng(seed)
    age, gene = rng.integers(20, 80, N), rng.choice(["AA", "AG"], N)
    dose = 20 + 0.1 * age + 12 * (gene == "AG") + rng.normal(0, 3, N)
    return pd.DataFrame({"age": age, "gene": gene, "dose": dose})


def audited_doses(tmp_path: Path, *defenses: dict[str, Any], **options: Any) -> darkroom.Run:
    frame = doses()
    table = frame.assign(gene=(frame["gene"] == "AG").astype(int))
    model = LinearRegression().fit(table[["age", "gene"]][:MEMBERS], table["dose"][:MEMBERS])
    return audit_table(
        model,
        table[:PRIVATE],
        table[PRIVATE:],
        response="dose",
        sensitive="gene",
        trained_on=f"0:{MEMBERS}",
        imputer="logistic",
        attacks=[{"name": "map", "prior": "marginals", "repeats": 8}],
        defenses=defenses,
        naive=True,
        out=tmp_path,
        progress=False,
        **options,
    )


@pytest.mark.medium
@pytest.mark.parametrize("knows", ["response", "prediction"])
def test_rounded_and_noisy_doses(tmp_path: Path, knows: str) -> None:
    rounding = {"name": "value-rounding", "step": 40.0}
    noise = {"name": "value-noise", "deviation": 20.0}
    run = audited_doses(tmp_path, rounding, noise, knows=knows)
    plain, *defended = run.cells
    assert [(cell.defense, cell.attacker) for cell in defended] == [
        ("value-rounding(step=40.0)", "adaptive"),
        ("value-rounding(step=40.0)", "naive"),
        ("value-noise(deviation=20.0)", "adaptive"),
        ("value-noise(deviation=20.0)", "naive"),
    ]
    found = {(cell.defense.split("(")[0], cell.attacker): cell for cell in defended}
    assert plain.success.estimate > 0.9
    # The linear model is a good one; a step of 40 names 40 to nearly everyone.
    errors = {key: known(cell.utility.mean_absolute_error) for key, cell in found.items()}
    assert known(plain.utility.mean_absolute_error) < 4 < errors["value-rounding", "adaptive"]
    assert errors["value-noise", "naive"] > 10
    rounded, noisy = found["value-rounding", "adaptive"], found["value-noise", "adaptive"]
    assert rounded.success.estimate < plain.success.estimate - 0.1
    assert noisy.queries.per_goal_median == 16
    gained = noisy.success.estimate - found["value-noise", "naive"].success.estimate
    assert gained > (0.05 if knows == "response" else -0.1)
    assert "which the attacker knows" in " ".join(noisy.details.threat_model)
    told = found["value-noise", "naive"].details.threat_model
    assert "is not told of" in " ".join(told)
    found_best = recommend(run.cells, 10.0)
    assert found_best.chosen is not None
    assert "Error" in run.report.read_text()


def test_a_defence_of_another_kind_of_answer_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(DarkroomError, match="predicts numbers, and defence rounding changes conf"):
        audited_doses(tmp_path, {"name": "rounding"})


@pytest.mark.medium
def test_the_attacker_may_know_predictions_only(folder: Path) -> None:
    edited(folder, ('sensitive = "secret"', 'sensitive = "secret"\nknows = "prediction"'))
    cell = audit_plan(folder / "plan.toml", progress=False).cells[0]
    assert "what the model says of it" in " ".join(cell.details.threat_model)


@pytest.mark.medium
@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ('response = "grade"', 'response = "grad"', "no column is called 'grad': did you mean"),
        ('response = "grade"', 'responze = "grade"', "unknown key target.responze"),
        ('sensitive = "secret"', 'sensitive = "secrte"', "no column is called 'secrte': did you"),
        ('sensitive = "secret"', "sensitive = []", "private.sensitive.columns: "),
        (
            'sensitive = "secret"',
            'sensitive = "secret"\nunknown = ["agee"]',
            "no input column is called 'agee': did you mean 'age'",
        ),
        (
            'sensitive = "secret"',
            'sensitive = "secret"\npositive = "maybe"',
            "positive: no sensitive value 'maybe'",
        ),
        (
            'sensitive = "secret"',
            'sensitive = "secret"\ngroups = ["town"]',
            "groups: no column 'town'",
        ),
        (
            'sensitive = "secret"',
            'sensitive = "secret"\ntolerance = 1.0',
            "tolerance: the sensitive columns are categories",
        ),
        ('table = "people.csv"\nrows = "0:180"', 'table = "no.csv"', "no.csv: cannot be read"),
        ('rows = "180:"', 'rows = "100:"', "private rows '0:180' and public rows '100:' overlap"),
        ('rows = "180:"', 'rows = "900:"', "rows = '900:' selects none of 260 rows"),
        ('rows = "180:"', 'rows = "all"', "public.rows: 'all' is no slice"),
        ('trained_on = "0:120"', 'trained_on = "500:"', "trained on 0 private rows"),
        ('trained_on = "0:120"', 'trained_on = "0:900"', "'0:900' ends at row 900, of 180"),
        (
            'trained_on = "0:120"',
            'trained_on = ":"\nerrors_on = "others"',
            "errors_on = 'others', but the model was trained on all private rows",
        ),
        ('name = "map"', 'name = "mep"', "no attack is called 'mep': did you mean 'map'"),
        ('name = "map"', 'name = "map"\naccess = "top_k"', "access top_k is not for tables"),
        ('prior = "marginals"', 'prior = "mean"', "no prior is called 'mean'"),
        ('name = "map"', 'name = "csmia"\naccess = "label"', "needs scores but the view allows"),
        ('prior = "marginals"', 'prior = {name = "conditional", given = ["secret"]}', "'secret'"),
        ('load = "own_people_model:grades"', 'load = "model.pkl"', "Darkroom never unpickles"),
        (
            'load = "own_people_model:grades"',
            'load = "own_people_model:grades"\ninputs = ["city", "age", "secret"]',
            "takes its columns in another order, 'age' first",
        ),
        (
            'load = "own_people_model:grades"',
            'load = "own_people_model:grades"\ninputs = ["age", "secret"]',
            "was trained on column 'city'",
        ),
        (
            'sensitive = "secret"',
            'sensitive = "secret"\ncolumns = {city = {kind = "categorical", values = ["Ulm"]}}',
            "column 'city': value",
        ),
        (
            'sensitive = "secret"',
            'sensitive = "secret"\ncolumns = {city = {kind = "numeric"}}',
            "column 'city': 180 of 180 values are no numbers",
        ),
    ],
)
def test_a_bad_plan_is_one_clear_line(folder: Path, old: str, new: str, expected: str) -> None:
    edited(folder, (old, new))
    with pytest.raises(DarkroomError) as caught:
        audit_plan(folder / "plan.toml", progress=False)
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


def _table(folder: Path, change: Any) -> None:
    frame = people()
    change(frame).to_csv(folder / "people.csv", index=False)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda frame: frame.drop(columns="secret"), "no column is called 'secret'"),
        (lambda frame: frame.assign(secret="no"), "column 'secret': always 'no': there is nothing"),
        (lambda frame: frame.assign(secret=None), "column 'secret': no value in any row"),
        (lambda frame: frame.assign(city=None), "column 'city': no value in any row"),
        (
            lambda frame: frame.assign(age=["old", *map(str, frame["age"][1:])]),
            "column 'age': numbers and text are mixed, such as 'old'",
        ),
        (
            lambda frame: frame.assign(age=[None] * 180 + list(frame["age"][180:])),
            "people.csv: no row is complete; column 'age' misses most",
        ),
        (lambda frame: frame[:0], "no rows under the header"),
    ],
)
def test_a_bad_table_is_one_clear_line(folder: Path, change: Any, expected: str) -> None:
    # The model has to be there before its table is spoiled.
    sys.path.insert(0, str(folder))
    module = importlib.import_module("own_people_model")
    sys.path.remove(str(folder))
    fitted = module.grades()
    module.__dict__["grades"] = lambda: fitted
    _table(folder, change)
    with pytest.raises(DarkroomError) as caught:
        audit_plan(folder / "plan.toml", progress=False)
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)
    del sys.modules["own_people_model"]


@pytest.mark.medium
def test_rows_with_missing_values_are_left_out_and_counted(folder: Path) -> None:
    _table(folder, lambda frame: frame.assign(city=[None] * 4 + list(frame["city"][4:])))
    edited(folder, ('sensitive = "secret"', 'sensitive = "secret"\nmissing = "drop"'))
    run = audit_plan(folder / "plan.toml", progress=False)
    assert run.cells[0].goals == MEMBERS - 4
    record = json.loads((run.folder / "run.json").read_text())
    assert ["Left out", "4 rows with missing values"] in record["tested"]
    edited(folder, ('missing = "drop"', 'missing = "refuse"'))
    with pytest.raises(DarkroomError, match="4 rows have missing values, most in column 'city'"):
        audit_plan(folder / "plan.toml", progress=False)


@pytest.mark.medium
@pytest.mark.parametrize("model", [HistGradientBoostingClassifier, KNeighborsClassifier])
def test_rows_with_missing_values_are_kept_where_the_model_takes_them(
    tmp_path: Path, model: Callable[[], Any]
) -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"x": rng.normal(size=240), "secret": rng.choice(["a", "b"], 240)})
    frame["y"] = np.where((frame["x"] > 0) ^ (frame["secret"] == "a"), "up", "down")
    flags = frame.assign(secret=(frame["secret"] == "a") * 1.0)
    fitted = model().fit(flags[["x", "secret"]][:80], frame["y"][:80])
    flags.loc[::4, "x"] = np.nan
    table = flags.assign(secret=flags["secret"].astype(int))
    run = audit_table(
        fitted,
        table[:120],
        table[120:],
        response="y",
        sensitive="secret",
        trained_on=":80",
        out=tmp_path,
        ignore_checks=["knowledge"],
        progress=False,
    )
    takes = model is HistGradientBoostingClassifier
    assert run.cells[0].goals == (80 if takes else 60)
    assert (run.folder / "report.html").exists()


@pytest.mark.medium
def test_paths_are_relative_to_the_plan(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "elsewhere").mkdir()
    monkeypatch.chdir(folder / "elsewhere")
    plan = read_plan(folder / "plan.toml")
    assert isinstance(plan, TablePlan)
    assert plan.private.table == folder / "people.csv"
    assert audit_plan(folder / "plan.toml", progress=False).cells


def test_one_plan_is_of_one_kind_of_data(folder: Path) -> None:
    edited(folder, ('sensitive = "secret"', 'sensitive = "secret"\nimages = "photos"'))
    with pytest.raises(DarkroomError, match="images and table"):
        read_plan(folder / "plan.toml")


# ---------------------------------------------------------------- from Python


def _split() -> tuple[pd.DataFrame, pd.DataFrame]:
    frame = people()
    return frame[:PRIVATE], frame[PRIVATE:]


@pytest.mark.medium
def test_a_model_is_audited_from_python(tmp_path: Path) -> None:
    private, public = _split()
    inputs = private.drop(columns="grade")[:MEMBERS]
    encode = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    model = make_pipeline(encode, ExtraTreesClassifier(10, random_state=0))
    model.fit(inputs, private["grade"][:MEMBERS])
    run = darkroom.audit_table(
        model,
        private,
        public,
        response="grade",
        sensitive="secret",
        trained_on=f"0:{MEMBERS}",
        attacks=["map", {"name": "csmia", "prior": "marginals"}],
        imputer="logistic",
        out=tmp_path,
        progress=False,
    )
    assert [cell.attack for cell in run.cells] == ["map", "csmia"]
    for cell in cells_of(run, TableCell):
        assert known(cell.details.difference).success.low > 0
    assert run.report.exists()


@pytest.mark.medium
def test_a_function_is_audited_from_python(tmp_path: Path) -> None:
    private, public = _split()

    def grade(table: pd.DataFrame) -> Any:
        return np.where(table["secret"] == "yes", "high", "low")

    run = audit_table(
        grade,
        private.assign(grade=grade(private)),
        public.assign(grade=grade(public)),
        response="grade",
        sensitive="secret",
        imputer="logistic",
        out=tmp_path,
        progress=False,
    )
    (cell,) = cells_of(run, TableCell)
    assert cell.target == "grade"
    assert cell.details.others is None
    assert cell.details.difference is None
    assert "trained on all private rows" in run.report.read_text()


@pytest.mark.medium
def test_several_columns_and_unknown_ones(tmp_path: Path) -> None:
    private, public = _split()
    model = make_pipeline(
        OneHotEncoder(handle_unknown="ignore"), ExtraTreesClassifier(5, random_state=0)
    )
    model.fit(private.drop(columns="grade"), private["grade"])
    run = audit_table(
        model,
        private,
        public,
        response="grade",
        sensitive=["secret", "city"],
        unknown=["age"],
        attacks=[{"name": "map", "draws": 4}],
        imputer="logistic",
        out=tmp_path,
        progress=False,
    )
    (cell,) = cells_of(run, TableCell)
    assert cell.queries.per_goal_median == 2 * 3 * 4
    assert cell.details.values[:2] == ("no, Bonn", "no, Jena")
    assert len(known(cell.details.members.confusion)) == 6


@pytest.mark.medium
def test_a_number_is_inferred_with_error_and_interval(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"height": rng.normal(170, 10, 400), "income": rng.normal(50, 15, 400)})
    frame["rent"] = 2 * frame["income"] + frame["height"] + rng.normal(0, 4, 400)
    inputs = frame[["height", "income"]]
    model = LinearRegression().fit(inputs[:200], frame["rent"][:200])
    run = audit_table(
        model,
        frame[:300],
        frame[300:],
        response="rent",
        sensitive="income",
        trained_on="0:200",
        attacks=[{"name": "map", "prior": "marginals"}],
        imputer="logistic",
        out=tmp_path,
        progress=False,
    )
    (cell,) = cells_of(run, TableCell)
    number = known(cell.details.members.numeric)
    assert cell.details.members.measures is None
    assert number.error.estimate < 3 < 15
    assert number.coverage.estimate > 0.85
    assert number.tolerance == pytest.approx(0.1 * 15 * 3.29, rel=0.2)
    assert cell.success.estimate > 0.9


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"sensitive": "scret"}, "did you mean 'secret'"),
        ({"attacks": ["gradient"]}, "no attack is called 'gradient'"),
        ({"trained_on": "x"}, "darkroom.audit_table: private.trained_on: 'x' is no slice"),
        ({"name": "../x"}, "darkroom.audit_table: run.name"),
    ],
)
def test_arguments_that_do_not_do(options: dict[str, Any], expected: str, tmp_path: Path) -> None:
    private, public = _split()
    wanted = {"response": "grade", "sensitive": "secret", "out": tmp_path, **options}
    with pytest.raises(DarkroomError) as caught:
        audit_table(lambda table: ["low"] * len(table), private, public, progress=False, **wanted)
    assert expected in str(caught.value)


def test_the_example_is_a_plan() -> None:
    path = Path(__file__).parents[2] / "examples" / "diabetes" / "plan.toml"
    job = load_job(path, Reporter(shown=False))
    assert len(job.keys("1")) == 3
    assert ("Private rows", "250 that the model was trained on and 70 that it was not") in (
        job.facts().tested
    )


@pytest.mark.slow
def test_the_demo_finds_the_leak(tmp_path: Path) -> None:
    plan = table_demo_plan(tmp_path / "inputs", tmp_path / "runs")
    run = audit_plan(plan, resume=True, progress=False)
    assert run.folder == tmp_path / "runs" / "demo-table"
    for cell in cells_of(run, TableCell):
        assert cell.success.estimate > 0.95
        assert cell.advantage.low > 0.2
        assert known(cell.details.others).advantage.low < 0
    assert table_demo_plan(tmp_path / "inputs", tmp_path / "runs") == plan
