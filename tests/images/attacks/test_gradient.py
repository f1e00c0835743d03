"""The gradient attack on models whose best reconstruction is known by algebra."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from darkroom.access import Access
from darkroom.errors import PlanError
from darkroom.images.attacks.base import Progress, milestones
from darkroom.images.attacks.gradient import GradientAttack
from darkroom.images.attacks.search.losses import Loss
from darkroom.images.targets.torch import TorchTarget
from darkroom.images.targets.view import View
from darkroom.ledger import Limit, QueryLedger
from darkroom.vision.priors.base import ImagePrior
from darkroom.vision.priors.spaces import EigenfacePrior, MeanPrior
from darkroom.vision.spec import ImageSpec

Array = NDArray[np.float64]

SPEC = ImageSpec((1, 3, 4))
RATE = 0.1
BARE: dict[str, Any] = {"softness": 0.0, "noise": 0.0, "average": False}
UNMOVED: dict[str, Any] = {
    **BARE,
    "shift": 0.0,
    "turn": 0.0,
    "zoom": 0.0,
    "flip": 0.0,
    "probes": 0,
}
STILL: dict[str, Any] = {**UNMOVED, "learning_rate": RATE}


class Linear(nn.Module):
    """Softmax regression with known weights; keeps what it is shown."""

    def __init__(self, weights: Array, bias: Array | None = None) -> None:
        super().__init__()
        rows = torch.from_numpy(weights).float()
        self.weights = nn.Parameter(rows)
        self.bias = nn.Parameter(
            torch.zeros(len(rows)) if bias is None else torch.tensor(bias).float()
        )
        self.shown: list[Tensor] = []

    def forward(self, images: Tensor) -> Tensor:
        self.shown.append(images.detach())
        return torch.addmm(self.bias, images.flatten(1), self.weights.T)


def rows(classes: int = 4, scale: float = 1.0, pixels: int = 12) -> Array:
    return scale * np.random.default_rng(3).standard_normal((classes, pixels))


def gray(level: float = 0.5, spec: ImageSpec = SPEC, spread: float = 0.2) -> MeanPrior:
    return MeanPrior(torch.full(spec.shape, level), spec, spread)


def attack_all(
    attack: GradientAttack,
    model: nn.Module,
    prior: ImagePrior,
    goals: list[int],
    *,
    limit: Limit | None = None,
    seed: int = 0,
) -> list[Progress]:
    spec = prior.spec
    target = TorchTarget(model, spec.shape, value_range=(spec.low, spec.high))
    if isinstance(model, Linear):
        model.shown.clear()
    view = View(target, Access.WEIGHTS, QueryLedger(len(goals), limit))
    return list(attack.run(view, prior, np.array(goals), rng=np.random.default_rng(seed)))


def softmax(logits: Array) -> Array:
    powers = np.exp(logits - logits.max())
    shares: Array = powers / powers.sum()
    return shares


def loss_and_gradient(weights: Array, x: Array, goal: int, loss: Loss) -> tuple[float, Array]:
    """Returns the loss of a linear softmax and its gradient, from their formulas."""
    logits = weights @ x
    if loss == "cross-entropy":
        f = softmax(logits)
        # d -log f_g / dx = -(w_g - E_f[w])
        return -float(np.log(f[goal])), -(weights[goal] - f @ weights)
    others = np.where(np.arange(len(weights)) == goal, -np.inf, logits)
    best = int(others.argmax())
    return float(others[best] - logits[goal]), weights[best] - weights[goal]


def adam(weights: Array, x: Array, goal: int, attack: GradientAttack, rate: float) -> Array:
    """The attack for one goal without moves, energy or stopping, in plain double precision."""
    first, second, best = np.zeros_like(x), np.zeros_like(x), (np.inf, x)
    marks = set(milestones(attack.steps)) | {attack.steps}
    for step in range(attack.steps + 1):
        value, gradient = loss_and_gradient(weights, x, goal, attack.loss)
        if step in marks:
            best = min(best, (value, x), key=lambda pair: pair[0])
        first = 0.9 * first + 0.1 * gradient
        second = 0.999 * second + 0.001 * gradient**2
        corrected = np.sqrt(second / (1 - 0.999 ** (step + 1))) + 1e-8
        x = np.clip(x - rate * first / (1 - 0.9 ** (step + 1)) / corrected, 0, 1)
    return best[1]


@pytest.mark.parametrize("loss", ["margin", "cross-entropy"])
def test_the_first_step_is_along_the_goals_weights_less_those_of_the_others(loss: Loss) -> None:
    weights = rows()
    attack = GradientAttack(1, loss=loss, prior_weight=0, **STILL)
    answer = attack_all(attack, Linear(weights), gray(), [0, 1, 2, 3])[-1]
    f = softmax(weights @ np.full(12, 0.5))
    for goal in range(4):
        if loss == "cross-entropy":
            along = weights[goal] - f @ weights
        else:
            other = max(set(range(4)) - {goal}, key=lambda one: f[one])
            along = weights[goal] - weights[other]
        # Adam's first step has the same length in every coordinate: only signs are left.
        step = answer.reconstructions[goal].ravel() - 0.5
        np.testing.assert_allclose(step, 0.1 * 0.2 * np.sign(along), atol=1e-6)


@pytest.mark.parametrize("loss", ["margin", "cross-entropy"])
@pytest.mark.parametrize("steps", [1, 2, 7, 40])
@pytest.mark.parametrize("scale", [0.3, 1.0])
def test_the_batch_is_adam_one_at_a_time(loss: Loss, steps: int, scale: float) -> None:
    weights = rows(scale=scale)
    attack = GradientAttack(steps, loss=loss, prior_weight=0, confidence=1, **STILL)
    answer = attack_all(attack, Linear(weights), gray(), [2, 0, 3])[-1]
    for position, goal in enumerate([2, 0, 3]):
        expected = adam(weights, np.full(12, 0.5), goal, attack, rate=0.1 * 0.2)
        np.testing.assert_allclose(answer.reconstructions[position].ravel(), expected, atol=2e-4)
        sure = softmax(weights @ expected)[goal]
        assert answer.confidence[position] == pytest.approx(sure, abs=1e-3)


@pytest.mark.parametrize("loss", ["margin", "cross-entropy"])
def test_a_reconstruction_is_like_its_own_weights_and_not_like_others(loss: Loss) -> None:
    weights = rows(classes=6, pixels=64)
    prior = gray(spec=ImageSpec((1, 8, 8)))
    attack = GradientAttack(60, loss=loss, **STILL)
    answer = attack_all(attack, Linear(weights), prior, list(range(6)))[-1]
    likeness = np.corrcoef(answer.reconstructions.reshape(6, -1), weights)[:6, 6:]
    assert (likeness.argmax(axis=1) == np.arange(6)).all()
    assert likeness.diagonal().min() > 0.5


@pytest.mark.parametrize("ends", [(0.0, 1.0), (-1.0, 1.0), (0.0, 255.0)])
def test_against_one_other_class_the_best_image_is_a_vertex(ends: tuple[float, float]) -> None:
    spec = ImageSpec(SPEC.shape, *ends)
    weights = rows(classes=2) / spec.width_of_range
    prior = gray(sum(ends) / 2, spec)
    attack = GradientAttack(80, prior_weight=0, confidence=1, **STILL)
    answer = attack_all(attack, Linear(weights), prior, [0, 1])[-1]
    for goal in range(2):
        vertex = np.where(weights[goal] > weights[1 - goal], *ends[::-1])
        np.testing.assert_allclose(answer.reconstructions[goal].ravel(), vertex, atol=1e-4)


MUCH = 1e4
"""Times so much, margin and energy end at the same place, and logits are not too small."""


@pytest.mark.medium
@pytest.mark.parametrize("weight", [0.5, 2.0])
def test_the_energy_of_free_pixels_ends_where_algebra_says(weight: float) -> None:
    weights = np.stack([np.zeros(12), 0.02 * np.linspace(-1, 1, 12)])
    attack = GradientAttack(
        400, prior_weight=MUCH * weight, learning_rate=0.02, confidence=1, **UNMOVED
    )
    answer = attack_all(attack, Linear(MUCH * weights), gray(), [1])[-1]
    # -d'z + weight / 2 * mean((z / 0.2)^2) is least at z = 0.2^2 * 12 * d / weight.
    expected = 0.5 + 0.2**2 * 12 * weights[1] / weight
    np.testing.assert_allclose(answer.reconstructions[0].ravel(), expected, atol=1e-3)


@pytest.mark.medium
def test_the_energy_of_eigenfaces_ends_where_algebra_says() -> None:
    components = 0.1 * np.linalg.qr(np.random.default_rng(0).standard_normal((12, 3)))[0].T
    prior = EigenfacePrior(torch.full(SPEC.shape, 0.5), torch.from_numpy(components).float(), SPEC)
    weights = np.stack([np.zeros(12), np.linspace(-1, 1, 12)])
    attack = GradientAttack(
        400, prior_weight=2.0 * MUCH, learning_rate=0.02, confidence=1, **UNMOVED
    )
    answer = attack_all(attack, Linear(MUCH * weights), prior, [1])[-1]
    # -d'Cz + 2 / 2 * mean(z^2) is least at z = 3 / 2 * C'd.
    expected = 0.5 + 1.5 * weights[1] @ components.T @ components
    np.testing.assert_allclose(answer.reconstructions[0].ravel(), expected, atol=2e-3)


def test_total_variation_smooths() -> None:
    noisy = torch.rand(1, 6, 6, generator=torch.Generator().manual_seed(0))
    spec = ImageSpec((1, 6, 6))
    prior = MeanPrior(noisy, spec)
    flat = Linear(np.zeros((2, 36)))
    attack = GradientAttack(60, prior_weight=0, total_variation=1.0, confidence=1, **STILL)
    image = attack_all(attack, flat, prior, [0])[-1].reconstructions[0, 0]

    def roughness(picture: NDArray[Any]) -> float:
        return float(np.abs(np.diff(picture, axis=0)).mean() + np.abs(np.diff(picture)).mean())

    assert roughness(image) < 0.3 * roughness(noisy[0].numpy())


def test_gradients_are_taken_through_the_moves() -> None:
    """With every look mirrored, what grows is the mirror image of the weights."""
    weights = np.zeros((2, 12))
    weights[1].reshape(3, 4)[:, 0] = 1.0
    mirrored = GradientAttack(1, prior_weight=0, **{**STILL, "flip": 1.0})
    model = Linear(weights)
    attack_all(mirrored, model, gray(), [1])
    # The probing of the target comes first, then a look, the comparison, and the moved image.
    moved = model.shown[-1][0, 0].numpy() - 0.5
    assert (moved[:, 3] > 0.01).all()
    np.testing.assert_allclose(moved[:, :3], 0, atol=1e-6)


def test_moves_are_drawn_anew_at_every_step() -> None:
    prior = MeanPrior(torch.rand(SPEC.shape, generator=torch.Generator().manual_seed(0)), SPEC)
    flat = Linear(np.zeros((2, 12)))
    attack = GradientAttack(6, prior_weight=0, probes=0, confidence=1)
    attack_all(attack, flat, prior, [0])
    looks = [shown for shown in flat.shown if not torch.equal(shown, flat.shown[1])]
    assert len(looks) == 6
    assert not any(torch.equal(one, other) for one, other in itertools.combinations(looks, 2))


@pytest.mark.medium
def test_an_answer_does_not_hang_on_who_else_is_attacked() -> None:
    prior = MeanPrior(torch.rand(SPEC.shape, generator=torch.Generator().manual_seed(0)), SPEC)
    attack = GradientAttack(40, restarts=2, confidence=1)  # more steps than moves drawn at a time
    together = attack_all(attack, Linear(rows()), prior, [0, 1, 2, 3])[-1]
    for goals in ([2], [3, 0]):
        apart = attack_all(attack, Linear(rows()), prior, goals)[-1]
        np.testing.assert_allclose(
            apart.reconstructions, together.reconstructions[goals], atol=1e-6
        )
        np.testing.assert_array_equal(apart.queries, together.queries[goals])
    assert np.abs(together.reconstructions[0] - together.reconstructions[1]).max() > 0.01


def test_probes_are_the_same_at_every_comparison() -> None:
    prior = MeanPrior(torch.rand(SPEC.shape, generator=torch.Generator().manual_seed(0)), SPEC)
    flat = Linear(np.zeros((2, 12)))
    still = {name: STILL[name] for name in ("turn", "zoom", "flip")}
    attack = GradientAttack(2, prior_weight=0, probes=3, confidence=1, shift=0.3, **still)
    attack_all(attack, flat, prior, [0])
    # Step 0: a look and 1 + 3 comparisons; the same for step 1; then the last comparison.
    first, second, last = flat.shown[1:5], flat.shown[6:10], flat.shown[10:]
    assert len(last) == 4
    for one, other, another in zip(first, second, last, strict=True):
        assert torch.equal(one, other)
        assert torch.equal(one, another)


def test_restarts_begin_apart_and_the_first_at_the_start() -> None:
    model = Linear(rows())
    attack = GradientAttack(1, restarts=4, jitter=0.5, **STILL)
    attack_all(attack, model, gray(), [1])
    starts = torch.cat(model.shown)[:4]
    assert torch.equal(starts[0], torch.full(SPEC.shape, 0.5))
    away = (starts[1:] - 0.5).flatten(1).norm(dim=1) / np.sqrt(12)
    assert ((away > 0.03) & (away < 0.3)).all()
    assert len({float(one) for one in away}) == 3


def test_restarts_answer_with_the_best_of_them() -> None:
    """A valley with two ends: from the start it leads to the lesser one."""

    class TwoHills(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            level = images.flatten(1).mean(dim=1) - 0.5
            low, high = 2 - 90 * (level + 0.1).square(), 6 - 900 * (level - 0.2).square()
            return torch.stack([torch.maximum(low, high), torch.zeros_like(level)], dim=1)

    one, many = (
        attack_all(
            GradientAttack(
                40, restarts=restarts, jitter=3.0, prior_weight=0, confidence=1, **STILL
            ),
            TwoHills(),
            gray(spread=0.3),
            [0],
        )[-1].confidence[0]
        for restarts in (1, 30)
    )
    assert one == pytest.approx(1 / (1 + np.exp(-2)), abs=0.01)
    assert many == pytest.approx(1 / (1 + np.exp(-6)), abs=0.001)


class Hill(nn.Module):
    """Two classes whose margin is a narrow hill at mean intensity 0.5: long steps leap over it."""

    def forward(self, images: Tensor) -> Tensor:
        height = 3 - 400 * (images.flatten(1).mean(dim=1) - 0.5).square()
        return torch.stack([height, torch.zeros_like(height)], dim=1)


def test_a_start_better_than_every_step_is_kept() -> None:
    attack = GradientAttack(30, learning_rate=3.0, prior_weight=0, confidence=1, **UNMOVED)
    answers = attack_all(attack, Hill(), gray(0.501), [0])
    np.testing.assert_allclose(answers[-1].reconstructions[0], 0.501, atol=1e-6)
    confidences = [answer.confidence[0] for answer in answers[1:]]
    assert confidences == sorted(confidences)


@pytest.mark.parametrize(("restarts", "probes"), [(1, 0), (1, 4), (3, 2)])
@pytest.mark.parametrize("steps", [1, 2, 9])
def test_what_it_says_it_asks_is_what_it_asks(restarts: int, probes: int, steps: int) -> None:
    flat = Linear(np.zeros((3, 12)))
    attack = GradientAttack(steps, restarts=restarts, probes=probes)
    answer = attack_all(attack, flat, gray(), [0, 2])[-1]
    assert answer.queries.tolist() == [attack.expected_queries()] * 2
    assert sum(len(shown) for shown in flat.shown) == answer.queries.sum()


@pytest.mark.parametrize("settle", [0, 5, 1000])
def test_goals_go_on_for_a_while_after_they_settled(settle: int) -> None:
    attack = GradientAttack(40, confidence=0.01, settle=settle, **STILL)
    answer = attack_all(attack, Linear(rows()), gray(), [1])[-1]
    # Comparisons are at 0, 1, 2, 3, 4, 6, ...: the first at or after ``settle`` is the last.
    looks = {0: 1, 5: 7, 1000: 40}[settle]
    comparisons = {0: 1, 5: 6, 1000: len(milestones(40)) + 1}[settle]
    assert answer.queries.tolist() == [looks + comparisons]


def test_goals_that_are_done_leave_the_batch() -> None:
    weights = np.zeros((3, 12))
    weights[0] = 5.0
    attack = GradientAttack(30, confidence=0.9, settle=0, **STILL)
    answer = attack_all(attack, Linear(weights), gray(), [0, 1])[-1]
    assert answer.queries[0] == 2
    assert answer.queries[1] > 10


def test_every_restart_of_a_goal_stops_with_it() -> None:
    attack = GradientAttack(50, restarts=3, confidence=0.5, settle=0, **STILL)
    model = Linear(rows())
    answer = attack_all(attack, model, gray(), [1])[-1]
    assert answer.queries[0] == sum(len(shown) for shown in model.shown)
    assert answer.queries[0] % 3 == 0
    assert answer.queries[0] < attack.expected_queries()


def test_without_moves_a_goal_alone_and_among_others_is_the_same() -> None:
    model = Linear(rows())
    attack = GradientAttack(20, **STILL)
    together = attack_all(attack, model, gray(), [3, 0, 3, 1])[-1]
    for position, goal in enumerate([3, 0, 3, 1]):
        alone = attack_all(attack, model, gray(), [goal])[-1]
        np.testing.assert_allclose(
            together.reconstructions[position], alone.reconstructions[0], atol=1e-5
        )
        assert together.queries[position] == alone.queries[0]


def test_milestones_rise_and_begin_at_zero() -> None:
    for steps in (1, 2, 3, 10, 300, 5000):
        marks = milestones(steps)
        assert marks[0] == 0
        assert marks == sorted(set(marks))
        assert marks[-1] < steps
        assert len(marks) < 4 + 2.1 * np.log2(steps + 1)


@pytest.mark.parametrize(
    "arguments",
    [
        {"steps": 0},
        {"restarts": 0},
        {"memory": 0},
        {"probes": -1},
        {"learning_rate": 0.0},
        {"learning_rate": float("nan")},
        {"confidence": 0.0},
        {"confidence": 1.5},
        {"loss": "hinge"},
        {"jitter": -1.0},
        {"settle": -1},
        {"flip": 2.0},
        {"prior_weight": -1.0},
        {"total_variation": float("nan")},
        {"zoom": 1.0},
        {"softness": -1.0},
        {"noise": -0.1},
    ],
)
def test_values_that_make_no_search(arguments: dict[str, Any]) -> None:
    with pytest.raises(PlanError, match="attack gradient"):
        GradientAttack(**arguments)
