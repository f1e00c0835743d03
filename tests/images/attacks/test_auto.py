"""Which attack is the strongest for what a view leaves."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from darkroom.access import Access
from darkroom.defenses.base import OutputDefense
from darkroom.defenses.pipeline import Pipeline
from darkroom.defenses.rounding import Rounding
from darkroom.defenses.top_k import LabelOnly, TopK
from darkroom.errors import PlanError
from darkroom.images.attacks import auto
from darkroom.images.attacks.auto import AutoAttack
from darkroom.images.attacks.base import Attack
from darkroom.images.attacks.evolution import EvolutionAttack
from darkroom.images.attacks.gradient import GradientAttack
from darkroom.images.attacks.surrogate import SurrogateAttack
from darkroom.images.targets.torch import TorchTarget
from darkroom.images.targets.view import View
from darkroom.ledger import QueryLedger
from darkroom.vision.priors.spaces import MeanPrior
from darkroom.vision.spec import ImageSpec

SPEC = ImageSpec((1, 3, 3))


def view(*defenses: OutputDefense, access: Access = Access.SCORES) -> View:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Flatten(), nn.Linear(9, 4))
    ledger = QueryLedger(2)
    return View(TorchTarget(model, SPEC.shape), access, ledger, defense=Pipeline(defenses))


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        (view(access=Access.WEIGHTS), GradientAttack()),
        (view(LabelOnly(), access=Access.WEIGHTS), GradientAttack()),
        (view(), EvolutionAttack()),
        (view(Rounding(1)), EvolutionAttack()),
        (view(access=Access.TOP_K), EvolutionAttack()),
        (view(TopK(2)), EvolutionAttack()),
    ],
)
def test_the_access_decides(seen: View, expected: Attack) -> None:
    assert AutoAttack().choose(seen) == expected
    assert seen.ledger.total == 0


@pytest.mark.parametrize("defense", [LabelOnly(), TopK(1)])
def test_labels_call_for_an_attack_by_labels(defense: OutputDefense) -> None:
    """``top-k`` of one divides by its own score, which leaves a one beside the label."""
    assert auto.effective_access(view(defense)) is Access.LABEL
    chosen = AutoAttack().choose(view(defense))
    assert chosen == SurrogateAttack()
    assert chosen.least_access is Access.LABEL


def test_it_says_what_it_chose_and_how_that_adapts() -> None:
    said = AutoAttack().adaptation(view(Rounding(2)))
    assert said[0].startswith("auto chose evolution, the strongest known against scores")
    assert said[1:] == EvolutionAttack().adaptation(view(Rounding(2)))


def test_it_does_what_the_chosen_attack_does() -> None:
    prior, goals = MeanPrior.black(SPEC), np.array([1, 3])
    one, other = (
        [*attack.run(view(), prior, goals, rng=np.random.default_rng(0))][-1]
        for attack in (AutoAttack(rows=60, confidence=0.7), EvolutionAttack(60, confidence=0.7))
    )
    for field, again in zip(one, other, strict=True):
        np.testing.assert_array_equal(field, again)


def test_it_expects_the_costliest() -> None:
    assert AutoAttack(rows=50_000).expected_queries() >= 50_000
    assert AutoAttack().expected_queries() >= EvolutionAttack().expected_queries()


@pytest.mark.parametrize("wrong", [{"rows": -1}, {"confidence": 0.0}, {"confidence": 1.1}])
def test_values_that_make_no_search_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(PlanError, match="attack auto"):
        AutoAttack(**wrong)  # type: ignore[arg-type]
