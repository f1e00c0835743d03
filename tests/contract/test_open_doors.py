"""Parts of one's own in plans and from Python, for every kind of audit."""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.typing import NDArray
from sklearn.tree import DecisionTreeClassifier
from torch import nn

import darkroom
from darkroom.access import LanguageAccess
from darkroom.auditing.progress import Reporter
from darkroom.defenses.logprobs import LogprobRounding
from darkroom.defenses.values import ValueRounding
from darkroom.errors import DarkroomError, PlanError
from darkroom.images.attacks.gradient import GradientAttack
from darkroom.imports import import_callable
from darkroom.kinds import load_job
from darkroom.tables.attacks.map import MapAttack
from darkroom.tables.candidates import Candidates
from darkroom.tables.columns import schema_of
from darkroom.tables.priors.build import TablePriorConfiguration, UniformConfiguration
from darkroom.tables.priors.counts import TablePrior, UniformPrior
from darkroom.tables.schema import Rows, Schema
from darkroom.tables.targets.base import CallableTableTarget
from darkroom.tables.training.trees import MinimumLeaf
from darkroom.text.attacks.sampling import SamplingAttack
from darkroom.text.cell_plan import text_cell_plans
from darkroom.text.plan import TextPlan
from darkroom.vision.priors.build import EigenfacesConfiguration

EXTENSION = Path(__file__).parents[2] / "examples" / "extension" / "src" / "inversion_extras"

PRIOR = """\
from dataclasses import dataclass
from typing import ClassVar

from darkroom.vision.priors.build import PriorConfiguration
from darkroom.vision.priors.spaces import MeanPrior


@dataclass(frozen=True)
class Grey(PriorConfiguration):
    name: ClassVar[str] = "grey"
    level: float = 0.5

    def build(self, materials):
        photos = 0 * materials.photos[:2] + self.level
        return MeanPrior.fit(photos, materials.spec)
"""

PARTS = """\
[[attack]]
load = "random_search:RandomSearch"
rows = 20
prior = {load = "own_prior:Grey", level = 0.4}

[[defense]]
load = "smoothing:Smoothing"

[[defense]]
chain = [{load = "smoothing:Smoothing", share = 0.2}, {name = "rounding", decimals = 2}]
"""


@pytest.fixture
def own(plan_folder: Path) -> Iterator[Path]:
    """The folder of a plan whose attack, prior and defences are modules beside it."""
    for name in ("random_search", "smoothing"):
        (plan_folder / f"{name}.py").write_text((EXTENSION / f"{name}.py").read_text())
    (plan_folder / "own_prior.py").write_text(PRIOR)
    plan = plan_folder / "plan.toml"
    plan.write_text(plan.read_text().partition("[[attack]]")[0] + PARTS)
    yield plan_folder
    forget()


def forget() -> None:
    for name in ("random_search", "smoothing", "own_prior"):
        sys.modules.pop(name, None)


def keys(plan: Path) -> list[str]:
    forget()
    return load_job(plan, Reporter(shown=False)).keys("1")


@pytest.mark.medium
def test_a_plan_loads_parts_beside_it(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("/")
    text = (own / "plan.toml").read_text().replace('out = "runs"', f'out = "{own / "runs"}"')
    (own / "plan.toml").write_text(text)
    run = darkroom.audit_plan(own / "plan.toml", progress=False)
    assert [cell.attack for cell in run.cells] == ["random-search"] * 3
    assert [cell.prior for cell in run.cells] == ["grey"] * 3
    assert [cell.defense for cell in run.cells] == [
        "none",
        "smoothing(share=0.5)",
        "smoothing(share=0.2) + rounding(decimals=2)",
    ]


@pytest.mark.medium
def test_from_python_parts_are_objects_and_find_the_same(
    own: Path, weights: dict[str, torch.Tensor], private_photos: NDArray[np.float32]
) -> None:
    by_plan = darkroom.audit_plan(own / "plan.toml", progress=False)
    model = nn.Sequential(nn.Flatten(), nn.Linear(256, 6))
    model.load_state_dict(weights)
    forget()
    search, smoothing, grey = (
        import_callable(load, own)
        for load in ("random_search:RandomSearch", "smoothing:Smoothing", "own_prior:Grey")
    )
    strangers = np.load("strangers.npz")["images"]
    owners = np.repeat(np.arange(len(strangers)), strangers.shape[1])
    options: dict[str, Any] = {
        "public": (strangers.reshape(-1, 1, 16, 16), owners),
        "trained_on": "0:4",
        "attacks": [{"part": search(rows=20), "prior": grey(0.4)}],
        "defenses": [smoothing(), {"chain": [smoothing(0.2), {"name": "rounding", "decimals": 2}]}],
        "judges": {"steps": 8},
        "progress": False,
    }
    photos = private_photos.reshape(-1, 1, 16, 16), np.repeat(np.arange(6), 6)
    run = darkroom.audit(model, photos, **options)
    for here, there in zip(run.cells, by_plan.cells, strict=True):
        assert (here.defense, here.success, here.curve) == (
            there.defense,
            there.success,
            there.curve,
        )
    recorded = tomllib.loads((run.folder / "plan.toml").read_text())
    assert recorded["attack"] == [
        {
            "load": "random_search:RandomSearch",
            "rows": 20,
            "step": 0.3,
            "confidence": 0.999,
            "prior": {"load": "own_prior:Grey", "level": 0.4},
        }
    ]
    assert recorded["defense"][0] == {"load": "smoothing:Smoothing", "share": 0.5}


@pytest.mark.parametrize("name", ["random_search", "smoothing", "own_prior"])
def test_changed_code_is_not_answered_with_old_cells(own: Path, name: str) -> None:
    before = keys(own / "plan.toml")
    assert keys(own / "plan.toml") == before
    module = own / f"{name}.py"
    module.write_text(module.read_text() + "\n# another one\n")
    changed = [one != other for one, other in zip(keys(own / "plan.toml"), before, strict=True)]
    # The defence is in two of the three cells.
    assert changed == ([False, True, True] if name == "smoothing" else [True] * 3)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (":RandomSearch", ":RandomSerch", "random_search has no callable RandomSerch"),
        ("random_search:", "random_serch:", "cannot import random_serch"),
        ("rows = 20", "row = 20", "attack random-search has no parameter 'row': did you mean"),
        ("rows = 20", "rows = 0", "attack random-search: rows: "),
        ("own_prior:Grey", "smoothing:Smoothing", "smoothing:Smoothing is no prior: make it a sub"),
        ("level = 0.4", "levels = 0.4", "prior grey has no parameter 'levels'"),
        ("[[defense]]\nload", '[[defense]]\npart = "x"\nload', "defense.0: give a name, or load"),
        ('load = "smoothing:Smoothing"\n\n', "share = 0.3\n\n", "defense.0: give a name, or load"),
        ("[[attack]]\nload", '[[attack]]\npart = "me"\n_', "'me' is no attack: make it a subclass"),
    ],
)
def test_what_does_not_do_is_one_clear_line(own: Path, old: str, new: str, expected: str) -> None:
    plan = own / "plan.toml"
    assert old in plan.read_text()
    plan.write_text(plan.read_text().replace(old, new, 1))
    with pytest.raises(DarkroomError) as caught:
        load_job(plan, Reporter(shown=False))
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.medium
def test_darkrooms_own_parts_are_objects_too(
    weights: dict[str, torch.Tensor], private_photos: NDArray[np.float32], tmp_path: Path
) -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(256, 6))
    model.load_state_dict(weights)
    photos = private_photos.reshape(-1, 1, 16, 16), np.repeat(np.arange(6), 6)
    public = photos[0][::2]
    run = darkroom.audit(
        darkroom.TorchTarget(model, (1, 16, 16)),
        photos,
        public=public,
        trained_on="0:4",
        attacks=[{"part": GradientAttack(steps=3), "prior": EigenfacesConfiguration(components=4)}],
        ignore_checks=["duplicates"],
        judges={"steps": 8},
        out=tmp_path,
        progress=False,
    )
    assert [(cell.attack, cell.prior) for cell in run.cells] == [("gradient", "eigenfaces")]
    recorded = tomllib.loads((run.folder / "plan.toml").read_text())
    assert recorded["target"] == {
        "kind": "python",
        "load": "darkroom.images.targets.torch:TorchTarget",
    }
    assert recorded["attack"][0]["name"] == "gradient"
    options: dict[str, Any] = {"out": tmp_path, "name": "other", "progress": False}
    with pytest.raises(PlanError, match="GradientAttack is a class: give an object"):
        darkroom.audit(model, photos, attacks=[GradientAttack], **options)
    with pytest.raises(PlanError, match="value-rounding changes predicted numbers"):
        darkroom.audit(model, photos, defenses=[ValueRounding()], **options)


# ---------------------------------------------------------------- tables


@dataclass(frozen=True)
class Halves(TablePriorConfiguration):
    """Knows nothing, and says so."""

    name: ClassVar[str] = "halves"

    def build(self, candidates: Candidates, public: Rows, seed: int) -> TablePrior:
        return UniformPrior(candidates)


class Constant(CallableTableTarget):
    """Predicts the same of everybody."""

    def __init__(self, schema: Schema, place: int = 0) -> None:
        values = schema.response.values
        super().__init__(lambda table: [values[place]] * len(table), schema, name="constant")


def people() -> tuple[pd.DataFrame, pd.DataFrame]:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "age": rng.integers(20, 50, 120),
            "secret": rng.integers(0, 2, 120),
            "grade": rng.choice(["high", "low"], 120),
        }
    )
    return frame[:60], frame[60:]


def audit_people(model: Any, folder: Path, **options: Any) -> darkroom.Run:
    return darkroom.audit_table(
        model,
        *people(),
        response="grade",
        sensitive="secret",
        trained_on="0:30",
        imputer="logistic",
        out=folder,
        progress=False,
        **options,
    )


@pytest.mark.medium
def test_parts_of_tables_are_objects(tmp_path: Path) -> None:
    attacks = [
        {"part": MapAttack(draws=4), "prior": Halves()},
        {"part": MapAttack(draws=4), "prior": UniformConfiguration()},
    ]
    training = [MinimumLeaf(rows=9)]
    run = audit_people(DecisionTreeClassifier(), tmp_path, attacks=attacks, training=training)
    assert [cell.prior for cell in run.cells] == ["halves", "uniform"] * 2
    assert run.cells[0].success == run.cells[1].success
    assert [cell.defense for cell in run.cells][2:] == ["minimum-leaf(rows=9)"] * 2


@pytest.mark.medium
def test_a_target_of_tables_is_used_as_it_is(tmp_path: Path) -> None:
    schema = schema_of(pd.concat(people()), "grade", ["secret"])
    run = audit_people(Constant(schema), tmp_path, attacks=["map"])
    assert [cell.target for cell in run.cells] == ["constant"]
    other = schema_of(pd.concat(people()), "grade", ["age"])
    with pytest.raises(PlanError, match="give its schema the response and the sensitive columns"):
        audit_people(Constant(other), tmp_path)


def test_a_plan_of_tables_names_a_target_in_python(tmp_path: Path) -> None:
    both = pd.concat(people())
    both.to_csv(tmp_path / "people.csv", index=False)
    (tmp_path / "plan.toml").write_text(
        f"""\
[run]
name = "constant"
out = "{tmp_path / "runs"}"
[target]
kind = "python"
load = "{__name__}:Constant"
response = "grade"
place = 1
[private]
table = "people.csv"
rows = "0:60"
sensitive = "secret"
[public]
table = "people.csv"
rows = "60:"
imputer = "logistic"
[[attack]]
name = "map"
prior = {{load = "{__name__}:Halves"}}
"""
    )
    run = darkroom.audit_plan(tmp_path / "plan.toml", progress=False)
    assert [(cell.target, cell.prior) for cell in run.cells] == [("constant", "halves")]


# ---------------------------------------------------------------- text


def test_parts_of_text_are_objects() -> None:
    plan = TextPlan.model_validate(
        {
            "run": {"name": "text"},
            "target": {"kind": "transformers", "load": "model"},
            "private": {"canaries": "key.json"},
            "attack": [SamplingAttack(rows=7), "best-first"],
            "defense": [{"part": LogprobRounding(0.5)}],
        }
    )
    cells = text_cell_plans(plan, LanguageAccess.LOGPROBS)
    assert [(cell.attack.name, cell.defense.name) for cell in cells] == [
        ("sampling", "none"),
        ("best-first", "none"),
        ("best-first", "logprob-rounding(step=0.5)"),
    ]
