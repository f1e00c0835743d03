"""One table of attacks, targets and priors; what every attack owes to its user."""

from __future__ import annotations

import copy
import dataclasses
import itertools
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from torch import nn

from darkroom.access import Access
from darkroom.errors import PlanError
from darkroom.images.attacks.base import Attack, Progress
from darkroom.images.attacks.gradient import GradientAttack
from darkroom.images.attacks.mi_face import MIFaceAttack
from darkroom.images.attacks.policy import PolicyAttack
from darkroom.images.attacks.registry import ATTACKS
from darkroom.images.attacks.surrogate import SurrogateAttack
from darkroom.images.priors.base import ImagePrior
from darkroom.images.priors.spaces import EigenfacePrior, GeneratorPrior, MeanPrior
from darkroom.images.targets.base import ImageSpec
from darkroom.images.targets.torch import Outputs, TorchTarget
from darkroom.images.targets.view import View
from darkroom.ledger import Limit, QueryLedger

SHAPE, CLASSES, PIXELS = (1, 8, 8), 4, 64
STILL: dict[str, Any] = {"shift": 0.0, "turn": 0.0, "zoom": 0.0, "flip": 0.0}
PRIOR_NAMES = ("mean", "eigenfaces", "generator")
POLICY: dict[str, Any] = {
    "rows": 100,
    "episodes": 10,
    "warm_up": 16,
    "gradient_steps": 1,
    "batch_size": 16,
    "hidden": 8,
}
SURROGATE: dict[str, Any] = {
    "rows": 60,
    "members": 2,
    "units": 8,
    "epochs": 1,
    "least_steps": 40,
    "steps": 20,
    "probes": 2,
}
FEW = {("linear", "mean"), ("convolutional", "eigenfaces"), ("linear from -1 to 1", "eigenfaces")}
"""Targets and priors enough for an attack that takes long."""


class AttackCase(NamedTuple):
    """An attack with few steps.

    Attributes:
        attack: Draws nothing that hangs on how many goals there are, if ``still``.
        draws: Whether its answers follow the seed.
        slow: Whether it is tried on a few targets and priors only.
    """

    attack: Attack
    still: Attack
    draws: bool
    slow: bool = False


ATTACK_CASES = {
    "gradient by margin": AttackCase(
        GradientAttack(steps=12, probes=2), GradientAttack(steps=12, probes=2, **STILL), True
    ),
    "gradient by cross-entropy, restarted": AttackCase(
        GradientAttack(steps=12, probes=1, restarts=3, loss="cross-entropy"),
        GradientAttack(
            steps=12, loss="cross-entropy", learning_rate=0.1, prior_weight=0.05, **STILL
        ),
        True,
    ),
    "mi-face": AttackCase(
        MIFaceAttack(steps=12, learning_rate=0.5, confidence=0.999),
        MIFaceAttack(steps=12, learning_rate=0.5, confidence=0.999),
        False,
    ),
    "policy": AttackCase(PolicyAttack(**POLICY), PolicyAttack(**POLICY), True, slow=True),
    "surrogate": AttackCase(
        SurrogateAttack(**SURROGATE), SurrogateAttack(**SURROGATE), True, slow=True
    ),
}


def linear() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(PIXELS, CLASSES))


def perceptron() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(PIXELS, 20), nn.Sigmoid(), nn.Linear(20, CLASSES))


def convolutional() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 6, 3, stride=2, padding=1),
        nn.BatchNorm2d(6),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(96, CLASSES),
    )


class TargetCase(NamedTuple):
    """How to make a target."""

    build: Callable[[], nn.Module]
    outputs: Outputs = "logits"
    ends: tuple[float, float] = (0.0, 1.0)


TARGET_CASES = {
    "linear": TargetCase(linear),
    "linear with probabilities": TargetCase(linear, "probabilities"),
    "linear from -1 to 1": TargetCase(linear, ends=(-1.0, 1.0)),
    "perceptron": TargetCase(perceptron),
    "convolutional": TargetCase(convolutional),
    "convolutional with probabilities from -1 to 1": TargetCase(
        convolutional, "probabilities", (-1.0, 1.0)
    ),
}


def make_target(case: TargetCase) -> TorchTarget:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        model = case.build()
        # Untrained weights tell classes apart too little for a few steps.
        for parameter in model.parameters():
            parameter.data *= 3
        if case.outputs == "probabilities":
            model = nn.Sequential(model, nn.Softmax(dim=1))
    return TorchTarget(model, SHAPE, value_range=case.ends, outputs=case.outputs)


def make_prior(name: str, spec: ImageSpec) -> ImagePrior:
    unit = np.random.default_rng(0).random((30, *SHAPE), np.float32)
    photos = (unit * spec.width_of_range + spec.low).astype(np.float32)
    if name == "mean":
        return MeanPrior.fit(photos, spec)
    if name == "eigenfaces":
        return EigenfacePrior.fit(photos, spec, augmentation=1)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(2)
        module = nn.Sequential(nn.Linear(10, PIXELS), nn.Sigmoid(), nn.Unflatten(1, SHAPE))
    return GeneratorPrior(module, 10, spec)


@dataclasses.dataclass(frozen=True)
class Case:
    """One cell of the table."""

    attacks: AttackCase
    target: TorchTarget
    prior: ImagePrior

    @property
    def sees_scores(self) -> bool:
        """Whether the attack knows any confidence."""
        return self.attacks.attack.access is not Access.LABEL

    def run(
        self,
        attack: Attack | None = None,
        *,
        goals: list[int] | None = None,
        limit: Limit | None = None,
        seed: int = 0,
    ) -> tuple[list[Progress], QueryLedger]:
        chosen = np.arange(CLASSES) if goals is None else np.array(goals)
        ledger = QueryLedger(len(chosen), limit)
        view = View(self.target, Access.WEIGHTS, ledger)
        rng = np.random.default_rng(seed)
        answers = list((attack or self.attacks.attack).run(view, self.prior, chosen, rng=rng))
        return answers, ledger

    def with_changes(self, **changes: Any) -> Attack:
        attack: Attack = dataclasses.replace(self.attacks.attack, **changes)  # type: ignore[type-var]
        return attack


TABLE = [
    row
    for row in itertools.product(ATTACK_CASES, TARGET_CASES, PRIOR_NAMES)
    if not ATTACK_CASES[row[0]].slow or row[1:] in FEW
]

# One set of draws of a surrogate serves all goals, so that more goals mean more draws.
EACH_ITS_OWN = [row for row in TABLE if ATTACK_CASES[row[0]].attack.name != "surrogate"]
# Labels do not tell how confident a target is.
SEEING = [name for name, row in ATTACK_CASES.items() if row.attack.access is not Access.LABEL]
TOO_LITTLE = [
    (name, access)
    for name, row in ATTACK_CASES.items()
    for access in (Access.SCORES, Access.TOP_K, Access.LABEL)
    if not access.includes(row.attack.least_access)
]


@pytest.fixture(params=TABLE, ids=", ".join)
def case(request: pytest.FixtureRequest) -> Case:
    attack, target_name, prior = request.param
    target = make_target(TARGET_CASES[target_name])
    return Case(ATTACK_CASES[attack], target, make_prior(prior, target.spec))


@pytest.fixture(params=ATTACK_CASES)
def simple_case(request: pytest.FixtureRequest) -> Case:
    """Each attack against the linear target from the average of noise."""
    target = make_target(TARGET_CASES["linear"])
    return Case(ATTACK_CASES[request.param], target, make_prior("mean", target.spec))


def test_the_tables_have_every_attack() -> None:
    """Those that need no weights are in the table of ``test_black_box_attacks``."""
    elsewhere = {"evolution", "finite-difference", "auto", "boundary", "surrogate"}
    assert {row.attack.name for row in ATTACK_CASES.values()} | elsewhere == set(ATTACKS.own)


def test_every_attack_beats_its_start_and_tells_the_truth_about_it(case: Case) -> None:
    answers, ledger = case.run()
    start, end = answers[0], answers[-1]
    goals = np.arange(CLASSES)
    first = case.target.scores(start.reconstructions)[goals, goals]
    last = case.target.scores(end.reconstructions)[goals, goals]
    assert (last > first + 1e-6).all()
    if case.sees_scores:
        np.testing.assert_allclose(end.confidence, last, atol=1e-4)
    else:
        assert np.isnan(end.confidence).all()
    for answer in answers:
        assert answer.reconstructions.shape == (CLASSES, *SHAPE)
        assert answer.reconstructions.dtype == np.float32
        assert float(answer.reconstructions.min()) >= case.target.spec.low
        assert float(answer.reconstructions.max()) <= case.target.spec.high
    assert start.queries.tolist() == [0] * CLASSES
    assert end.queries.tolist() == ledger.spent.tolist()
    for earlier, later in itertools.pairwise(answers):
        assert (later.queries >= earlier.queries).all()


def test_a_seed_decides_everything(case: Case) -> None:
    runs = [case.run(seed=seed)[0] for seed in (0, 0, 1)]
    for one, other in zip(runs[0], runs[1], strict=True):
        for field, again in zip(one, other, strict=True):
            np.testing.assert_array_equal(field, again)
    same = np.array_equal(runs[0][-1].reconstructions, runs[2][-1].reconstructions)
    assert same != case.attacks.draws


@pytest.mark.parametrize("limit", [Limit(per_goal=1), Limit(per_goal=14), Limit(total=23)])
def test_a_budget_is_kept_and_the_best_so_far_returned(case: Case, limit: Limit) -> None:
    answers, ledger = case.run(limit=limit)
    assert limit.per_goal is None or ledger.spent.max() <= limit.per_goal
    assert limit.total is None or ledger.total <= limit.total
    end = answers[-1]
    assert end.queries.tolist() == ledger.spent.tolist()
    case.target.spec.check(end.reconstructions, "reconstructions")
    known = ~np.isnan(end.confidence)
    assert known.all() or limit != Limit(per_goal=14) or not case.sees_scores
    rows = np.arange(CLASSES)
    seen = case.target.scores(end.reconstructions)[rows, rows]
    np.testing.assert_allclose(end.confidence[known], seen[known], atol=1e-4)


def test_a_budget_that_is_never_reached_changes_nothing(simple_case: Case) -> None:
    free, paid = (simple_case.run(limit=limit)[0][-1] for limit in (None, Limit(10**6, 10**6)))
    for field, other in zip(free, paid, strict=True):
        np.testing.assert_array_equal(field, other)


def test_the_caller_may_keep_what_it_was_given(simple_case: Case) -> None:
    view = View(simple_case.target, Access.WEIGHTS, QueryLedger(CLASSES))
    rng = np.random.default_rng(0)
    attack = simple_case.attacks.attack
    answers = attack.run(view, simple_case.prior, np.arange(CLASSES), rng=rng)
    kept = [(answer, copy.deepcopy(answer)) for answer in answers]
    assert len(kept) > 3
    for answer, copied in kept:
        for field, original in zip(answer, copied, strict=True):
            np.testing.assert_array_equal(field, original)


@pytest.mark.parametrize("case", EACH_ITS_OWN, ids=", ".join, indirect=True)
def test_goals_together_and_alone(case: Case) -> None:
    """Where no draw hangs on how many goals there are; see the attack's random moves."""
    together = case.run(case.attacks.still, goals=[2, 0, 3])[0][-1]
    for position, goal in enumerate([2, 0, 3]):
        alone = case.run(case.attacks.still, goals=[goal])[0][-1]
        np.testing.assert_allclose(
            together.reconstructions[position] / case.target.spec.width_of_range,
            alone.reconstructions[0] / case.target.spec.width_of_range,
            atol=1e-4,
        )


def test_in_turns_and_at_once(case: Case) -> None:
    at_once, in_turns = (
        case.run(case.with_changes(memory=memory))[0][-1] for memory in (1 << 30, 1)
    )
    np.testing.assert_allclose(at_once.reconstructions, in_turns.reconstructions, atol=1e-4)
    np.testing.assert_allclose(at_once.confidence, in_turns.confidence, atol=1e-4)
    np.testing.assert_array_equal(at_once.queries, in_turns.queries)


@pytest.mark.parametrize("simple_case", SEEING, indirect=True)
def test_it_stops_early_when_it_is_confident_enough(simple_case: Case) -> None:
    changes: dict[str, Any] = {"confidence": 0.9}
    if simple_case.attacks.attack.name == "policy":
        changes |= {"confidence": 0.35, "rows": 400, "settle": 0}
    else:
        changes |= {"steps": 500}
    if simple_case.attacks.attack.name == "gradient":
        changes |= {"settle": 0, "learning_rate": 0.3}
    attack: Any = dataclasses.replace(simple_case.attacks.still, **changes)  # type: ignore[type-var]
    end = simple_case.run(attack)[0][-1]
    assert (end.confidence >= changes["confidence"]).all()
    assert (end.queries < attack.expected_queries() / 2).all()


def test_it_never_spends_more_than_it_says(case: Case) -> None:
    attack = case.with_changes(confidence=1.0)
    assert case.run(attack)[1].spent.max() <= attack.expected_queries()


@pytest.mark.parametrize("goals", [[], [CLASSES], [-1]])
def test_goals_that_are_none_are_refused(simple_case: Case, goals: list[int]) -> None:
    with pytest.raises(PlanError, match="goals must be classes"):
        simple_case.run(goals=goals)


@pytest.mark.parametrize(("simple_case", "access"), TOO_LITTLE, indirect=["simple_case"])
def test_too_little_access_is_refused(simple_case: Case, access: Access) -> None:
    view = View(simple_case.target, access, QueryLedger(1))
    attack = simple_case.attacks.attack
    expected = f"needs {attack.least_access} but the view allows {access}"
    with pytest.raises(PlanError, match=expected):
        attack.run(view, simple_case.prior, np.array([0]), rng=np.random.default_rng(0))
    assert view.ledger.total == 0


def test_a_prior_of_another_range_is_refused(simple_case: Case) -> None:
    other = dataclasses.replace(simple_case, prior=make_prior("mean", ImageSpec(SHAPE, -1.0, 1.0)))
    with pytest.raises(PlanError, match="fit the prior on photos"):
        other.run()


def test_the_global_random_state_is_left_alone(simple_case: Case) -> None:
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    simple_case.run()
    assert torch.equal(torch.rand(3), expected)
