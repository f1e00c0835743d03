"""Every attack on tables keeps its promises, on every kind of model."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import (
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from darkroom.access import Access
from darkroom.ledger import Limit
from darkroom.tables.attacks.registry import TABLE_ATTACKS
from darkroom.tables.candidates import Candidates
from darkroom.testing.tables.attacks import PROMISES, Trial, check_attack
from darkroom.testing.tables.small import small_schema, small_table

MODELS: dict[str, Callable[[], Any]] = {
    "tree": lambda: DecisionTreeClassifier(random_state=0),
    "forest": lambda: RandomForestClassifier(10, random_state=0),
    "boosting": lambda: GradientBoostingClassifier(n_estimators=40, random_state=0),
    "logistic": lambda: LogisticRegression(max_iter=1000),
    "tree regressor": lambda: DecisionTreeRegressor(random_state=0),
    "extra trees regressor": lambda: ExtraTreesRegressor(10, random_state=0),
    "linear": LinearRegression,
}
REGRESSORS = {"tree regressor", "extra trees regressor", "linear"}


def fits(attack: str, model: str) -> bool:
    if attack == "tree-counts":
        return model not in ("logistic", "linear")
    return attack == "map" or model not in REGRESSORS


PAIRS = [pair for pair in itertools.product(TABLE_ATTACKS.own, MODELS) if fits(*pair)]


@pytest.mark.medium
@pytest.mark.parametrize(("attack", "model"), PAIRS)
def test_every_attack_keeps_its_promises_on_every_model(attack: str, model: str) -> None:
    # Its own model takes seconds each time: once is enough.
    options = {"model": "logistic"} if attack == "lomia" and model != "tree" else {}
    trial = Trial(TABLE_ATTACKS.make(attack, options), small_table(MODELS[model]()))
    for promise in PROMISES:
        promise(trial)
    (first, last), ledger = trial.ran
    assert trial.right(last).mean() > trial.right(first).mean() + 0.08
    assert ledger.spent.tolist() == [3] * len(trial.table.rows)


@pytest.mark.medium
@pytest.mark.parametrize(("attack", "model"), PAIRS)
@pytest.mark.parametrize("unknown", [(), pytest.param(("b",), marks=pytest.mark.slow), ("a", "b")])
def test_blocks_change_no_answer(attack: str, model: str, unknown: tuple[str, ...]) -> None:
    table = small_table(MODELS[model](), unknown=unknown)
    options = {"draws": 5, **({"model": "logistic"} if attack == "lomia" else {})}
    whole, ledger = Trial(TABLE_ATTACKS.make(attack, options), table).run()
    blocks = TABLE_ATTACKS.make(attack, {**options, "memory": 20_000})
    parts, again = Trial(blocks, table).run()
    np.testing.assert_allclose(whole[-1].posterior, parts[-1].posterior, rtol=1e-9, atol=1e-12)
    assert ledger.total == again.total


@pytest.mark.medium
@pytest.mark.parametrize("attack", TABLE_ATTACKS.own)
def test_no_more_is_asked_than_the_budget_allows(attack: str) -> None:
    table = small_table(MODELS["tree"]())
    trial = Trial(TABLE_ATTACKS.make(attack, {}), table)
    (first, last), ledger = trial.run(limit=Limit(per_goal=2))
    assert ledger.total == 0
    np.testing.assert_allclose(first.posterior, last.posterior)
    blocks = Trial(TABLE_ATTACKS.make(attack, {"memory": 10_000}), table)
    (first, last), ledger = blocks.run(limit=Limit(total=3 * 100))
    assert 0 < ledger.total <= 300
    assert not np.allclose(first.posterior, last.posterior)


@pytest.mark.parametrize("attack", TABLE_ATTACKS.own)
def test_every_attack_says_what_it_is(attack: str) -> None:
    made = TABLE_ATTACKS.make(attack, {})
    assert made.name == attack
    assert made.access in Access
    assert any(year.isdigit() for year in made.paper.split("(")[0].split())
    assert made.expected_queries(Candidates.of(small_schema())) == 3


@pytest.mark.medium
@pytest.mark.parametrize("attack", TABLE_ATTACKS.own)
def test_every_attack_passes_the_check_that_others_run(attack: str) -> None:
    check_attack(TABLE_ATTACKS.make(attack, {}))
