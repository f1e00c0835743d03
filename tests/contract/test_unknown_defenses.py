"""A defence that does not say what it does is unknown, never none, in every audit."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from sklearn.linear_model import LinearRegression
from tests.support.tiny_language import memoriser
from torch import nn

from darkroom.access import Access
from darkroom.api import audit_table, audit_text
from darkroom.auditing.record import Cell
from darkroom.defenses.base import OutputDefense
from darkroom.defenses.logprobs import LogprobDefense
from darkroom.defenses.pipeline import Pipeline
from darkroom.defenses.values import ValueDefense
from darkroom.images.attacks.auto import AutoAttack
from darkroom.images.attacks.boundary import BoundaryAttack
from darkroom.images.attacks.evolution import EvolutionAttack
from darkroom.images.attacks.search.channel import Channel
from darkroom.images.targets.torch import TorchTarget
from darkroom.images.targets.view import View
from darkroom.ledger import QueryLedger
from darkroom.runs import Run, audit_plan
from darkroom.text.canaries import save_key

Floats = NDArray[np.float64]

OWN = """
from dataclasses import dataclass
from darkroom.defenses.base import OutputDefense

@dataclass(frozen=True)
class Silent(OutputDefense):
    name = "silent"
    cost = "nothing"

    def __call__(self, scores, rng):
        return scores
"""


@dataclass(frozen=True)
class SilentValue(ValueDefense):
    """Changes numbers, and does not say how."""

    name: ClassVar[str] = "silent"
    cost: ClassVar[str] = "nothing"

    def __call__(self, scores: Floats, rng: np.random.Generator) -> Floats:
        return scores


@dataclass(frozen=True)
class SilentLogprobs(LogprobDefense):
    """Changes log-probabilities, and does not say how."""

    name: ClassVar[str] = "silent"

    def __call__(self, logprobs: Floats, rng: np.random.Generator) -> Floats:
        return logprobs


def said(run: Run) -> dict[tuple[str, str], str]:
    """What the report says of the attacker in each cell, by defence and by what it is told."""
    return {
        (one.defense.partition("(")[0], one.attacker): " ".join(one.details.threat_model)
        for one in run.cells
        if isinstance(one, Cell)
    }


def check(run: Run) -> None:
    """The report says that the figure is a lower bound, where an attacker knows of the defence."""
    found = said(run)
    caveat = "The defence silent does not say what it does, so the attack is not adapted to it"
    assert {key for key, text in found.items() if caveat in text} == {("silent", "adaptive")}
    assert ("silent", "naive") in found
    assert ("none", "adaptive") in found
    assert "lower bound" in run.report.read_text()


@pytest.mark.slow
def test_an_audit_of_images_says_that_it_is_not_adapted(plan_folder: Path) -> None:
    (plan_folder / "own_defenses.py").write_text(OWN)
    plan = plan_folder / "plan.toml"
    first = plan.read_text().index("[[attack]]")
    plan.write_text(
        plan.read_text()[:first].replace("[run]", "[run]\nnaive = true")
        + '[[attack]]\nname = "evolution"\nrows = 40\npopulation = 4\n'
        + '[[defense]]\nload = "own_defenses:Silent"\n'
    )
    run = audit_plan(plan, progress=False)
    check(run)
    assert "the best is chosen on answers asked anew" in said(run)["silent", "adaptive"]


@pytest.mark.medium
def test_an_audit_of_tables_says_that_it_is_not_adapted(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    age, gene = rng.integers(20, 80, 90), rng.integers(0, 2, 90)
    frame = pd.DataFrame({"age": age, "gene": gene, "dose": 20 + age / 10 + 12 * gene})
    run = audit_table(
        LinearRegression().fit(frame[["age", "gene"]][:30], frame["dose"][:30]),
        frame[:60],
        frame[60:],
        response="dose",
        sensitive="gene",
        trained_on="0:30",
        imputer="logistic",
        attacks=[{"name": "map", "prior": "marginals", "repeats": 3}],
        defenses=[SilentValue()],
        naive=True,
        out=tmp_path,
        progress=False,
    )
    check(run)
    assert "each is asked 3 times" in said(run)["silent", "adaptive"]
    assert [one.queries.per_goal_median for one in run.cells] == [2, 6, 2]


@pytest.mark.slow
def test_an_audit_of_text_says_that_it_is_not_adapted(tmp_path: Path) -> None:
    known = memoriser()
    save_key(tmp_path / "key.json", known.canaries)
    run = audit_text(
        (known.target.model, known.wrapped),
        tmp_path / "key.json",
        attacks=[{"name": "best-first", "rows": 24, "repeats": 3}],
        defenses=[SilentLogprobs()],
        naive=True,
        out=tmp_path,
        progress=False,
    )
    check(run)
    assert "each is asked 3 times" in said(run)["silent", "adaptive"]


@dataclass(frozen=True)
class SilentScores(OutputDefense):
    """Changes scores, and does not say how."""

    name: ClassVar[str] = "silent"
    cost: ClassVar[str] = "nothing"

    def __call__(self, scores: Floats, rng: np.random.Generator) -> Floats:
        return scores


@pytest.mark.parametrize("told", [True, False])
def test_an_attack_takes_no_answer_of_an_unknown_defence_for_the_last_word(told: bool) -> None:
    """Who is not told of any defence takes it for none."""
    target = TorchTarget(nn.Flatten(), (1, 1, 4), value_range=(-9.0, 9.0))
    defense = Pipeline((SilentScores(),))
    view = View(target, Access.SCORES, QueryLedger(2), defense=defense, told=told)
    assert Channel.of(view).noisy == told
    assert Channel.of(view).repeats == 1
    assert bool(EvolutionAttack().adaptation(view)) == told
    assert bool(BoundaryAttack().adaptation(view)) == told
    assert AutoAttack().choose(view).name == "evolution"
