"""Reinforcement learning in the latent space."""

from __future__ import annotations

import random
import sys
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from darkroom.access import Access
from darkroom.defenses.noise import Noise
from darkroom.defenses.pipeline import Pipeline
from darkroom.defenses.rounding import Rounding
from darkroom.errors import MissingExtraError, PlanError
from darkroom.images.attacks.base import Progress
from darkroom.images.attacks.policy import PolicyAttack
from darkroom.images.attacks.search.latent_environment import LatentEnvironment, Leads, Reward
from darkroom.images.targets.torch import TorchTarget
from darkroom.images.targets.view import View
from darkroom.ledger import BudgetExhausted, Limit, QueryLedger
from darkroom.vision.priors.spaces import GeneratorPrior

CLASSES, LATENTS = 3, 3
QUICK: dict[str, Any] = {
    "rows": 160,
    "episodes": 8,
    "gradient_steps": 2,
    "warm_up": 16,
    "batch_size": 64,
    "hidden": 16,
    "learning_rate": 1e-2,
}


def make_target() -> TorchTarget:
    """Names a class for each of three pixels, the one that is brightest."""
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        layer = nn.Linear(4, CLASSES)
        layer.weight.copy_(8 * torch.eye(4)[:CLASSES])
        layer.bias.zero_()
    return TorchTarget(nn.Sequential(nn.Flatten(), layer), (1, 2, 2))


def make_prior(target: TorchTarget) -> GeneratorPrior:
    """Makes each pixel from a coordinate of its own."""
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        layer = nn.Linear(LATENTS, 4, bias=False)
        layer.weight.copy_(2 * torch.eye(4)[:, :LATENTS])
    module = nn.Sequential(layer, nn.Sigmoid(), nn.Unflatten(1, (1, 2, 2)))
    return GeneratorPrior(module, LATENTS, target.spec)


def run(
    attack: PolicyAttack,
    *,
    limit: Limit | None = None,
    seed: int = 0,
    access: Access = Access.SCORES,
    **view: Any,
) -> tuple[list[Progress], QueryLedger]:
    target, goals = make_target(), np.arange(CLASSES)
    ledger = QueryLedger(CLASSES, limit)
    shown = View(target, access, ledger, **view)
    rng = np.random.default_rng(seed)
    return list(attack.run(shown, make_prior(target), goals, rng=rng)), ledger


def truth(answer: Progress) -> NDArray[np.float64]:
    goals = np.arange(CLASSES)
    return make_target().scores(answer.reconstructions)[goals, goals]


@pytest.mark.medium
def test_what_it_asks_about_gets_better(monkeypatch: pytest.MonkeyPatch) -> None:
    """An agent that learned asks about better images than it did at random, one that did not none.

    All that the attack asks about is looked at, since of many random guesses the best is good too.
    """
    shown: list[float] = []
    real = View.scores

    def watched(view: View, images: Any, positions: Any) -> Any:
        scores = real(view, images, positions)
        shown.append(float(scores[np.arange(len(scores)), positions].mean()))
        return scores

    monkeypatch.setattr(View, "scores", watched)

    def gain(attack: PolicyAttack) -> float:
        shown.clear()
        run(attack)
        quarter = len(shown) // 4
        return float(np.mean(shown[-quarter:]) - np.mean(shown[:quarter]))

    assert gain(PolicyAttack(**QUICK)) > 0.2
    assert gain(PolicyAttack(**QUICK | {"warm_up": 10**6})) < 0.15


@pytest.mark.medium
def test_milestones_are_yielded_over_all_goals() -> None:
    answers, ledger = run(PolicyAttack(**QUICK))
    queries = [answer.queries.max() for answer in answers]
    for mark in (10, 30, 100):
        last = max(spent for spent in queries if spent <= mark)
        # No full generation fits between what was told and the mark.
        assert mark - last <= QUICK["episodes"] + 1
    assert all((answer.queries == answer.queries[0]).all() for answer in answers)
    assert answers[-1].queries.tolist() == ledger.spent.tolist()
    assert int(ledger.spent.max()) == QUICK["rows"]
    confidence = np.array([truth(answer) for answer in answers])
    assert (np.diff(confidence, axis=0) >= -1e-9).all()


def test_an_episode_costs_two_rows_where_state_and_action_differ() -> None:
    answers, ledger = run(PolicyAttack(**QUICK, diversity=0.5), limit=Limit(per_goal=101))
    assert 99 <= ledger.spent.max() <= 101
    assert (truth(answers[-1]) > truth(answers[0])).all()


def test_it_ends_when_it_is_confident() -> None:
    answers, ledger = run(PolicyAttack(**QUICK | {"confidence": 0.6, "settle": 0}))
    assert (answers[-1].confidence >= 0.6).all()
    assert (ledger.spent < QUICK["rows"]).all()


@pytest.mark.medium
@pytest.mark.parametrize(
    ("access", "view"),
    [
        (Access.TOP_K, {"k": 2}),
        (Access.SCORES, {"defense": Pipeline((Rounding(1),))}),
        (Access.SCORES, {"defense": Pipeline((Noise(0.05),))}),
    ],
    ids=["two classes named", "one decimal", "noise"],
)
def test_hidden_scores(access: Access, view: dict[str, Any]) -> None:
    attack = PolicyAttack(**QUICK | {"rows": 300 if access is Access.SCORES else 100})
    answers, ledger = run(attack, access=access, **view)
    assert (truth(answers[-1]) > 0.7).all()
    assert ledger.spent.max() <= attack.rows


@pytest.mark.medium
def test_the_global_random_states_are_left_alone() -> None:
    def draw() -> list[float]:
        return [random.random(), float(np.random.rand()), float(torch.rand(()))]  # noqa: NPY002

    def seed() -> None:
        random.seed(3)
        np.random.seed(3)  # noqa: NPY002
        torch.manual_seed(3)

    attack = PolicyAttack(**QUICK | {"rows": 48})
    seed()
    expected = draw()
    seed()
    first = run(attack)[0][-1]
    assert draw() == expected
    # Nor does the answer hang on them.
    again = run(attack)[0][-1]
    np.testing.assert_array_equal(first.reconstructions, again.reconstructions)


@pytest.mark.parametrize("library", ["stable_baselines3", "gymnasium"])
def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch, library: str) -> None:
    for name in list(sys.modules):
        if name.split(".")[0] == library:
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.delitem(
        sys.modules, "darkroom.images.attacks.search.latent_environment", raising=False
    )
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(MissingExtraError, match=r"pip install 'darkroom\[rl\]'"):
        run(PolicyAttack(**QUICK))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"diversity": 1.0}, "diversity must be 0 or more and below 1"),
        ({"episodes": 1}, "episodes must be 2 or more"),
        ({"gradient_steps": 0}, "gradient_steps must be 1 or more"),
        ({"coordinates": -1}, "coordinates must be 0 or more"),
        ({"lead_weight": float("nan")}, "lead_weight must be 0 or more"),
        ({"reach": 0.0}, "reach and learning_rate must be positive"),
        ({"prior_weight": 1.0}, "prior_weight has no part in the reward"),
        ({"rows": 0}, "rows must be 1 or more"),
    ],
)
def test_values_that_make_no_search(changes: dict[str, Any], expected: str) -> None:
    with pytest.raises(PlanError, match="attack policy: ") as caught:
        PolicyAttack(**changes)
    assert expected in str(caught.value)


def environment(diversity: float, asked: list[NDArray[np.float32]]) -> LatentEnvironment:
    """Two goals, three episodes; a point's first number is the logarithm of the goal's score."""

    def ask(points: NDArray[np.float32]) -> Leads:
        asked.append(points)
        goal = points[:, :, 0].ravel().astype(np.float64)
        return Leads(goal, np.log1p(-np.exp(goal)))

    sources = [np.random.default_rng(goal) for goal in range(2)]
    return LatentEnvironment(ask, sources, episodes=3, coordinates=4, diversity=diversity)


def test_an_environment_pays_the_published_reward() -> None:
    asked: list[NDArray[np.float32]] = []
    playing = environment(0.25, asked)
    states, _ = playing.reset()
    assert states.shape == playing.observation_space.shape == (6, 4)
    actions = np.full((6, 4), -0.125, np.float32)
    states[:] = -0.125
    after, rewards, ended, cut, _ = playing.step(actions)
    np.testing.assert_allclose(after, 0.25 * states + 0.75 * actions)
    assert asked[0].shape == (2, 6, 4)
    score = np.exp(-0.125)
    expected = 2 * np.log(score) + 2 * np.log(score) + 8 * np.log(score - (1 - score))
    np.testing.assert_allclose(rewards, expected, rtol=1e-6)
    assert ended.all()
    assert not cut.any()


def test_states_and_actions_are_told_apart() -> None:
    asked: list[NDArray[np.float32]] = []
    playing = environment(0.5, asked)
    states, _ = playing.reset()
    states[:] = -0.4
    actions = -np.linspace(0.1, 0.2, 6, dtype=np.float32)[:, None].repeat(4, axis=1)
    after, rewards, _, _, _ = playing.step(actions)
    np.testing.assert_array_equal(asked[0][0, :3], after[:3])
    np.testing.assert_array_equal(asked[0][1, 3:], actions[3:])
    reward = Reward(state=0.0, action=1.0, lead=0.0)
    state = Leads(np.log([0.5]), np.log([0.5]))
    action = Leads(np.log([0.25]), np.log([0.75]))
    assert reward.of(state, action).tolist() == [np.log(0.25)]
    score = np.exp(after[:, 0].astype(np.float64))
    lead = np.log(np.maximum(2 * score - 1, 1e-7))
    np.testing.assert_allclose(rewards, 2 * after[:, 0] + 2 * actions[:, 0] + 8 * lead, rtol=1e-5)


def test_without_diversity_an_image_is_asked_once() -> None:
    asked: list[NDArray[np.float32]] = []
    playing = environment(0.0, asked)
    playing.reset()
    playing.step(np.full((6, 4), -0.1, np.float32))
    assert asked[0].shape == (2, 3, 4)


def test_an_unpaid_step_is_refused() -> None:
    """By the ledger; the attack itself never asks for more than it can pay."""
    target = make_target()
    view = View(target, Access.SCORES, QueryLedger(1, Limit(per_goal=2)))

    def ask(points: NDArray[np.float32]) -> Leads:
        images = np.zeros((points.shape[1], 1, 2, 2), np.float32)
        scores = view.scores(images, np.zeros(len(images), np.int64))
        return Leads(scores[:, 0], scores[:, 1])

    playing = LatentEnvironment(ask, [np.random.default_rng(0)], episodes=3, coordinates=2)
    playing.reset()
    with pytest.raises(BudgetExhausted):
        playing.step(np.zeros((3, 2), np.float32))
    assert view.ledger.total == 0
