"""Attacks by scores: every one with every access and output defence, and on known models."""

from __future__ import annotations

import dataclasses
import itertools
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from darkroom.access import Access
from darkroom.defenses.base import OutputDefense
from darkroom.defenses.noise import Noise
from darkroom.defenses.pipeline import Pipeline
from darkroom.defenses.rounding import Rounding
from darkroom.defenses.top_k import LabelOnly, TopK
from darkroom.errors import PlanError
from darkroom.images.attacks.base import Progress
from darkroom.images.attacks.evolution import EvolutionAttack, EvolutionSearch
from darkroom.images.attacks.finite_difference import FiniteDifferenceAttack
from darkroom.images.attacks.mi_face import MIFaceAttack
from darkroom.images.attacks.search.scores import ScoreAttack
from darkroom.images.targets.torch import TorchTarget
from darkroom.images.targets.view import View
from darkroom.ledger import Limit, QueryLedger
from darkroom.vision.priors.spaces import EigenfacePrior
from darkroom.vision.spec import ImageSpec

SPEC = ImageSpec((1, 4, 4), -100.0, 100.0)
CLASSES, DIMENSIONS = 5, 10
GOALS = np.arange(CLASSES)

ATTACKS: dict[str, ScoreAttack] = {
    "evolution": EvolutionAttack(rows=300, population=10),
    "evolution alone": EvolutionAttack(rows=300, population=10, regression=False),
    "finite-difference": FiniteDifferenceAttack(rows=300),
    "along coordinates": FiniteDifferenceAttack(
        rows=300, method="coordinates", learning_rate=3.0, prior_weight=0.0
    ),
}
DEFENSES: dict[str, tuple[OutputDefense, ...]] = {
    "none": (),
    "rounding": (Rounding(2),),
    "noise": (Noise(0.02),),
    "top-k": (TopK(3),),
    "noise, rounding, top-k": (Noise(0.02), Rounding(2), TopK(3)),
}


class Linear(nn.Module):
    """Softmax regression with known weights."""

    def __init__(self, scale: float = 1.0) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(3)
        self.weights = nn.Parameter(scale * torch.randn(CLASSES, 16, generator=generator))

    def forward(self, images: Tensor) -> Tensor:
        return images.flatten(1) @ self.weights.T


def prior() -> EigenfacePrior:
    """Equal components at right angles, so that its geometry is that of pixels within a flat."""
    generator = torch.Generator().manual_seed(4)
    rows = torch.linalg.qr(torch.randn(16, DIMENSIONS, generator=generator))[0].T
    return EigenfacePrior(torch.zeros(SPEC.shape), rows.contiguous(), SPEC)


def target(scale: float = 1.0) -> TorchTarget:
    return TorchTarget(Linear(scale), SPEC.shape, value_range=(SPEC.low, SPEC.high))


def attack_all(
    attack: ScoreAttack,
    *defenses: OutputDefense,
    access: Access = Access.SCORES,
    limit: Limit | None = None,
    seed: int = 0,
    scale: float = 1.0,
) -> tuple[list[Progress], QueryLedger]:
    ledger = QueryLedger(CLASSES, limit)
    noise = np.random.default_rng(9)
    view = View(target(scale), access, ledger, defense=Pipeline(defenses), noise=noise, k=3)
    return list(attack.run(view, prior(), GOALS, rng=np.random.default_rng(seed))), ledger


def true_confidence(progress: Progress) -> NDArray[np.float64]:
    return target().scores(progress.reconstructions)[GOALS, GOALS]


def changed(attack: ScoreAttack, **changes: Any) -> ScoreAttack:
    return dataclasses.replace(attack, **changes)


@pytest.mark.medium
@pytest.mark.parametrize(
    ("name", "access", "defense"),
    list(itertools.product(ATTACKS, [Access.SCORES, Access.TOP_K], DEFENSES)),
)
def test_every_attack_gains_behind_every_defence(name: str, access: Access, defense: str) -> None:
    answers, ledger = attack_all(ATTACKS[name], *DEFENSES[defense], access=access)
    first, last = true_confidence(answers[0]), true_confidence(answers[-1])
    assert np.median(last) > 0.75
    assert np.median(last) > np.median(first) + 0.3
    assert answers[-1].queries.tolist() == ledger.spent.tolist()
    assert ledger.spent.max() <= 300


@pytest.mark.medium
@pytest.mark.parametrize("name", ATTACKS)
def test_the_same_seed_gives_the_same_answers_behind_noise(name: str) -> None:
    one, other = (attack_all(ATTACKS[name], Noise(0.02))[0][-1] for _ in range(2))
    np.testing.assert_array_equal(one.reconstructions, other.reconstructions)


@pytest.mark.parametrize("name", ATTACKS)
def test_labels_alone_are_too_little(name: str) -> None:
    with pytest.raises(PlanError, match="needs top_k but the view allows label"):
        attack_all(ATTACKS[name], LabelOnly())


@pytest.mark.parametrize("name", ["evolution", "finite-difference"])
@pytest.mark.parametrize("limit", [1, 2, 5, 23, 140])
@pytest.mark.parametrize("defense", ["none", "noise"])
def test_a_budget_is_spent_but_not_exceeded(name: str, limit: int, defense: str) -> None:
    attack = changed(ATTACKS[name], confidence=1.0)
    answers, ledger = attack_all(attack, *DEFENSES[defense], limit=Limit(per_goal=limit))
    assert ledger.spent.max() <= limit
    assert ledger.spent.min() >= 0.75 * limit - 3
    assert not np.isnan(answers[-1].confidence).any()


@pytest.mark.medium
@pytest.mark.parametrize("name", ["evolution", "finite-difference"])
def test_progress_is_told_at_every_budget_that_may_be_asked_about(name: str) -> None:
    attack = changed(ATTACKS[name], rows=1100, confidence=1.0)
    spent = [int(progress.queries.max()) for progress in attack_all(attack)[0]]
    for budget, floor in ((30, 10), (100, 70), (300, 270), (1000, 970)):
        assert any(floor <= rows <= budget for rows in spent), spent


@pytest.mark.medium
@pytest.mark.parametrize("name", ["evolution", "evolution alone", "finite-difference"])
def test_more_rows_never_lower_what_is_known_to_be_the_best(name: str) -> None:
    attack = changed(ATTACKS[name], rows=1100, confidence=1.0)
    seen = [true_confidence(progress) for progress in attack_all(attack)[0]]
    margins = [np.log(confidence / (1 - confidence)) for confidence in seen]
    for earlier, later in itertools.pairwise(margins):
        assert np.median(later) >= np.median(earlier) - 0.5


@pytest.mark.medium
@pytest.mark.parametrize(
    ("name", "least"),
    [("evolution", 0.97), ("evolution alone", 0.8), ("finite-difference", 0.9)],
)
def test_the_answer_points_away_from_the_rival(name: str, least: float) -> None:
    """With two classes the lead is linear, so its best point lies along one known direction."""
    model = Linear()
    weights = model.weights.detach()
    weights[2:] = 0
    pair = TorchTarget(
        nn.Sequential(nn.Flatten(), _layer(weights[:2])), SPEC.shape, value_range=(-100.0, 100.0)
    )
    view = View(pair, Access.SCORES, QueryLedger(2))
    attack = changed(ATTACKS[name], rows=1500, confidence=1.0)
    *_, last = attack.run(view, prior(), np.array([0, 1]), rng=np.random.default_rng(0))
    basis = prior()._components
    towards = basis @ (weights[0] - weights[1])
    for sign, image in zip((1, -1), last.reconstructions, strict=True):
        latent = basis @ torch.from_numpy(image).flatten()
        assert float(torch.cosine_similarity(latent, sign * towards, dim=0)) > least


def _layer(weights: Tensor) -> nn.Linear:
    layer = nn.Linear(weights.shape[1], len(weights), bias=False)
    layer.weight = nn.Parameter(weights.clone())
    return layer


def test_differences_along_coordinates_are_the_gradient_of_the_paper() -> None:
    """With narrow differences, the steps are those of the white-box attack."""
    measured = FiniteDifferenceAttack(
        rows=11 * (DIMENSIONS + 1),
        method="coordinates",
        learning_rate=0.5,
        width=1e-3,
        prior_weight=0.0,
        confidence=1.0,
    )
    derived = MIFaceAttack(steps=10, learning_rate=0.5, confidence=1.0)
    view = View(target(), Access.WEIGHTS, QueryLedger(CLASSES))
    *_, expected = derived.run(view, prior(), GOALS, rng=np.random.default_rng(0))
    answers, ledger = attack_all(measured)
    np.testing.assert_allclose(answers[-1].reconstructions, expected.reconstructions, atol=0.01)
    assert ledger.spent.tolist() == [11 * (DIMENSIONS + 1)] * CLASSES


def test_too_few_rows_for_one_step_along_coordinates_are_refused() -> None:
    attack = FiniteDifferenceAttack(rows=DIMENSIONS + 1, method="coordinates")
    with pytest.raises(PlanError, match="a step over 10 coordinates costs 11 rows"):
        attack_all(attack)


@pytest.mark.parametrize("kind", [EvolutionAttack, FiniteDifferenceAttack])
@pytest.mark.parametrize(
    "wrong", [{"rows": 0}, {"restarts": 0}, {"confidence": 2.0}, {"jitter": -1.0}, {"settle": -1}]
)
def test_values_that_make_no_search_are_refused(kind: Any, wrong: dict[str, Any]) -> None:
    with pytest.raises(PlanError, match=f"attack {kind.name}"):
        kind(**wrong)


@pytest.mark.parametrize(
    ("kind", "wrong"),
    [
        (EvolutionAttack, {"population": 3}),
        (EvolutionAttack, {"deviation": 0.0}),
        (EvolutionAttack, {"step": -1.0}),
        (FiniteDifferenceAttack, {"method": "central"}),
        (FiniteDifferenceAttack, {"directions": 0}),
        (FiniteDifferenceAttack, {"width": -1.0}),
    ],
)
def test_more_values_that_make_no_search(kind: Any, wrong: dict[str, Any]) -> None:
    with pytest.raises(PlanError, match=f"attack {kind.name}"):
        kind(**wrong)


def test_noisy_answers_choose_no_lucky_candidate() -> None:
    """Told confidence is that of fresh answers: over many goals it is right on average."""
    told, true = [], []
    for seed in range(6):
        attack = changed(ATTACKS["evolution"], rows=120, confidence=1.0)
        last = attack_all(attack, Noise(0.15), seed=seed)[0][-1]
        told.append(last.confidence)
        true.append(true_confidence(last))
    assert abs(np.mean(told) - np.mean(true)) < 0.08


class Rare(nn.Module):
    """Says of nothing that it is the goal, class 1, but of what lies far out along one pixel."""

    def forward(self, images: Tensor) -> Tensor:
        far = 8 * (images.flatten(1)[:, 0] - 1.2)
        return torch.stack([torch.zeros_like(far), far], dim=1)


def test_a_goal_whose_score_rounds_to_nothing_is_sought_until_it_is_told() -> None:
    rows = torch.eye(16)[:DIMENSIONS]
    flat = EigenfacePrior(torch.zeros(SPEC.shape), rows.contiguous(), SPEC)
    rare = TorchTarget(Rare(), SPEC.shape, value_range=(SPEC.low, SPEC.high))
    assert rare.scores(flat.decode(flat.start()[None]).numpy())[0, 1] < 0.005
    view = View(
        rare,
        Access.SCORES,
        QueryLedger(1),
        defense=Pipeline((Rounding(2),)),
        noise=np.random.default_rng(0),
    )
    attack = EvolutionAttack(rows=300, population=10)
    *_, end = attack.run(view, flat, np.array([1]), rng=np.random.default_rng(0))
    assert end.confidence[0] > 0.99


@pytest.mark.parametrize("scale", [1e-2, 1e-4])
@pytest.mark.parametrize("regression", [True, False])
def test_the_prior_does_not_outweigh_faint_scores(scale: float, regression: bool) -> None:
    attack = changed(ATTACKS["evolution"], regression=regression)
    plain = true_confidence(attack_all(attack)[0][-1])
    faint = true_confidence(attack_all(attack, scale=scale)[0][-1])
    assert np.median(faint) > np.median(plain) - 0.05


def searched(scale: float, *defenses: OutputDefense) -> tuple[float, ...]:
    attack = changed(ATTACKS["evolution"], prior_weight=0.3)
    assert isinstance(attack, EvolutionAttack)
    view = View(
        target(scale),
        Access.SCORES,
        QueryLedger(CLASSES),
        defense=Pipeline(defenses),
        noise=np.random.default_rng(9),
    )
    search = EvolutionSearch(attack, view, prior(), GOALS, np.random.default_rng(0))
    search.generation(10)
    assert search.prior_weights is not None
    return tuple(search.prior_weights.tolist())


def test_the_prior_keeps_its_weight_where_scores_are_plain_or_hidden() -> None:
    asked = pytest.approx((0.3,) * CLASSES)
    assert searched(1.0) == asked
    assert searched(1e-4, Rounding(2)) == asked
    assert searched(1e-4, Noise(0.02)) == asked
    assert max(searched(1e-4)) < 0.03
