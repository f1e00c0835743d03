"""What attacks without weights owe to their user, whatever they see of the target."""

from __future__ import annotations

import itertools
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from torch import nn

from darkroom.access import Access
from darkroom.defenses.base import OutputDefense
from darkroom.defenses.noise import Noise
from darkroom.defenses.pipeline import Pipeline
from darkroom.defenses.rounding import Rounding
from darkroom.defenses.top_k import LabelOnly, TopK
from darkroom.errors import PlanError
from darkroom.images.attacks.auto import AutoAttack
from darkroom.images.attacks.base import Attack, Progress
from darkroom.images.attacks.boundary import BoundaryAttack
from darkroom.images.attacks.evolution import EvolutionAttack
from darkroom.images.attacks.finite_difference import FiniteDifferenceAttack
from darkroom.images.attacks.surrogate import SurrogateAttack
from darkroom.images.priors.spaces import EigenfacePrior
from darkroom.images.targets.base import ImageSpec
from darkroom.images.targets.torch import TorchTarget
from darkroom.images.targets.view import View
from darkroom.ledger import Limit, QueryLedger

SPEC = ImageSpec((1, 8, 8))
CLASSES = 4

ATTACKS: dict[str, Attack] = {
    "evolution": EvolutionAttack(rows=300),
    "finite-difference": FiniteDifferenceAttack(rows=300),
    "auto": AutoAttack(rows=300),
    "boundary": BoundaryAttack(rows=300),
    "surrogate": SurrogateAttack(rows=300, members=2, units=32, epochs=4, least_steps=40, steps=20),
}

VIEWS: dict[str, tuple[Access, tuple[OutputDefense, ...]]] = {
    "scores": (Access.SCORES, ()),
    "one decimal": (Access.SCORES, (Rounding(1),)),
    "noise": (Access.SCORES, (Noise(0.02),)),
    "the best two": (Access.SCORES, (TopK(2),)),
    "labels": (Access.SCORES, (LabelOnly(),)),
}

POSSIBLE = [
    (name, seen)
    for name, seen in itertools.product(ATTACKS, VIEWS)
    if (seen != "labels" or ATTACKS[name].least_access is Access.LABEL)
    # What it chooses is in the table by itself.
    and (name != "auto" or seen in ("scores", "labels"))
]


@pytest.fixture(scope="module")
def prior() -> EigenfacePrior:
    photos = np.random.default_rng(0).random((60, *SPEC.shape), np.float32)
    return EigenfacePrior.fit(photos, SPEC, components=12, augmentation=0)


@pytest.fixture(scope="module")
def target(prior: EigenfacePrior) -> TorchTarget:
    """Knows a class by its direction in the space of the prior."""
    layer = nn.Linear(64, CLASSES)
    ways = prior.decode(2 * torch.eye(12)[:CLASSES]) - prior.decode(torch.zeros(1, 12))
    with torch.no_grad():
        layer.weight.copy_(30 * ways.flatten(1) / ways.flatten(1).norm(dim=1, keepdim=True))
        layer.bias.copy_(-(layer.weight @ prior.decode(torch.zeros(1, 12)).flatten()))
    return TorchTarget(nn.Sequential(nn.Flatten(), layer), SPEC.shape)


class Ran(NamedTuple):
    """A run of an attack."""

    answers: list[Progress]
    ledger: QueryLedger


def run(
    name: str,
    seen: str,
    target: TorchTarget,
    prior: EigenfacePrior,
    *,
    limit: Limit | None = None,
    seed: int = 0,
) -> Ran:
    access, defenses = VIEWS[seen]
    ledger = QueryLedger(CLASSES, limit)
    noise = np.random.default_rng(5)
    view = View(target, access, ledger, defense=Pipeline(defenses), noise=noise)
    rng = np.random.default_rng(seed)
    return Ran(list(ATTACKS[name].run(view, prior, np.arange(CLASSES), rng=rng)), ledger)


def confidence(target: TorchTarget, answer: Progress) -> Any:
    scores = target.scores(answer.reconstructions)
    return scores[np.arange(CLASSES), np.arange(CLASSES)]


@pytest.mark.parametrize(("name", "seen"), POSSIBLE)
def test_it_comes_nearer_and_counts_what_it_asks(
    name: str, seen: str, target: TorchTarget, prior: EigenfacePrior
) -> None:
    answers, ledger = run(name, seen, target, prior)
    assert confidence(target, answers[-1]).mean() > confidence(target, answers[0]).mean() + 0.2
    assert answers[0].queries.tolist() == [0] * CLASSES
    assert answers[-1].queries.tolist() == ledger.spent.tolist()
    assert ledger.spent.max() <= 300
    for earlier, later in itertools.pairwise(answers):
        assert (later.queries >= earlier.queries).all()
    for answer in answers:
        SPEC.check(answer.reconstructions, "reconstructions")
    asked = [int(answer.queries.max()) for answer in answers]
    for mark in (100, 300):
        assert any(mark / 2 <= most <= mark for most in asked), f"{asked}: none near {mark}"


@pytest.mark.parametrize(("name", "seen"), [pair for pair in POSSIBLE if pair[1] != "noise"])
def test_a_confidence_that_it_tells_is_true(
    name: str, seen: str, target: TorchTarget, prior: EigenfacePrior
) -> None:
    end = run(name, seen, target, prior).answers[-1]
    known = ~np.isnan(end.confidence)
    if seen == "labels" or ATTACKS[name].access is Access.LABEL:
        assert not known.any()
    elif seen == "scores":
        np.testing.assert_allclose(end.confidence[known], confidence(target, end)[known], atol=1e-4)


@pytest.mark.parametrize("name", ATTACKS)
@pytest.mark.parametrize("limit", [Limit(per_goal=1), Limit(per_goal=45), Limit(total=77)])
def test_a_budget_is_kept_and_the_best_so_far_returned(
    name: str, limit: Limit, target: TorchTarget, prior: EigenfacePrior
) -> None:
    answers, ledger = run(name, "scores", target, prior, limit=limit)
    assert limit.per_goal is None or ledger.spent.max() <= limit.per_goal
    assert limit.total is None or ledger.total <= limit.total
    SPEC.check(answers[-1].reconstructions, "reconstructions")
    assert answers[-1].queries.tolist() == ledger.spent.tolist()


@pytest.mark.parametrize("name", ATTACKS)
def test_a_seed_decides_everything_and_nothing_global_does(
    name: str, target: TorchTarget, prior: EigenfacePrior
) -> None:
    torch.manual_seed(3)
    state = torch.random.get_rng_state()
    one = run(name, "noise", target, prior).answers
    assert torch.equal(torch.random.get_rng_state(), state)
    torch.manual_seed(4)
    again = run(name, "noise", target, prior).answers
    assert len(one) == len(again)
    for first, second in zip(one, again, strict=True):
        for field, other in zip(first, second, strict=True):
            np.testing.assert_array_equal(field, other)
    other = run(name, "noise", target, prior, seed=1).answers[-1]
    assert not np.array_equal(one[-1].reconstructions, other.reconstructions)


@pytest.mark.parametrize("name", ["evolution", "finite-difference"])
def test_scores_are_needed_and_labels_are_not_enough(
    name: str, target: TorchTarget, prior: EigenfacePrior
) -> None:
    view = View(target, Access.LABEL, QueryLedger(1))
    with pytest.raises(PlanError, match="needs top_k but the view allows label"):
        ATTACKS[name].run(view, prior, np.array([0]), rng=np.random.default_rng(0))


def test_what_is_hidden_is_said_to_be(target: TorchTarget) -> None:
    for seen in ("one decimal", "noise", "the best two"):
        access, defenses = VIEWS[seen]
        view = View(target, access, QueryLedger(1), defense=Pipeline(defenses))
        assert ATTACKS["evolution"].adaptation(view), seen
    plain = View(target, Access.SCORES, QueryLedger(1))
    assert ATTACKS["evolution"].adaptation(plain) == ()
    assert "evolution" in ATTACKS["auto"].adaptation(plain)[0]
    label = View(target, Access.LABEL, QueryLedger(1))
    assert "label" in ATTACKS["auto"].adaptation(label)[0]
