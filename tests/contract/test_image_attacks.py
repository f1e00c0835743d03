"""Every attack on images keeps its promises, on a table of targets, priors and views."""

from __future__ import annotations

import dataclasses
import functools
import itertools
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from torch import nn

from darkroom.access import Access
from darkroom.defenses.pipeline import Pipeline
from darkroom.errors import PlanError
from darkroom.images.attacks.auto import AutoAttack
from darkroom.images.attacks.base import Attack, Progress
from darkroom.images.attacks.boundary import BoundaryAttack
from darkroom.images.attacks.distillation import DistillationAttack
from darkroom.images.attacks.evolution import EvolutionAttack
from darkroom.images.attacks.finite_difference import FiniteDifferenceAttack
from darkroom.images.attacks.gradient import GradientAttack
from darkroom.images.attacks.mi_face import MIFaceAttack
from darkroom.images.attacks.policy import PolicyAttack
from darkroom.images.attacks.registry import ATTACKS
from darkroom.images.attacks.surrogate import SurrogateAttack
from darkroom.images.targets.torch import Outputs, TorchTarget
from darkroom.ledger import Limit
from darkroom.named import describe
from darkroom.testing.images.attacks import (
    DEFENSES,
    PROMISES,
    Trial,
    answers_images,
    check_attack,
    counts_what_it_asks,
    follows_the_seed,
    tells_the_truth,
)
from darkroom.vision.priors.base import ImagePrior
from darkroom.vision.priors.spaces import EigenfacePrior, GeneratorPrior, MeanPrior
from darkroom.vision.spec import ImageSpec

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
        # Compared as they are: under probes and the prior, more may be worth less confidence.
        GradientAttack(steps=40, probes=0, prior_weight=0.05),
        GradientAttack(steps=12, probes=2, **STILL),
        True,
    ),
    "gradient by cross-entropy, restarted": AttackCase(
        GradientAttack(steps=30, probes=1, restarts=3, loss="cross-entropy"),
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


ROWS = [
    row
    for row in itertools.product(ATTACK_CASES, TARGET_CASES, PRIOR_NAMES)
    if not ATTACK_CASES[row[0]].slow or row[1:] in FEW
]


def cell(row: tuple[str, str, str]) -> Any:
    """Returns a row as a parameter; every pair of parts is among those that are not slow."""
    place = sum(map(list.index, (list(ATTACK_CASES), list(TARGET_CASES), list(PRIOR_NAMES)), row))
    usual = ATTACK_CASES[row[0]].slow or place % len(PRIOR_NAMES) == 0
    return pytest.param(row, id=", ".join(row), marks=[] if usual else [pytest.mark.slow])


TABLE = [cell(row) for row in ROWS]

# One set of draws of a surrogate serves all goals, so that more goals mean more draws.
EACH_ITS_OWN = [cell(row) for row in ROWS if ATTACK_CASES[row[0]].attack.name != "surrogate"]
# Labels do not tell how confident a target is.
SEEING = [name for name, row in ATTACK_CASES.items() if row.attack.access is not Access.LABEL]
TOO_LITTLE = [
    (name, access)
    for name, row in ATTACK_CASES.items()
    for access in (Access.SCORES, Access.TOP_K, Access.LABEL)
    if not access.includes(row.attack.least_access)
]


class Case(NamedTuple):
    """One cell of the table."""

    attacks: AttackCase
    trial: Trial

    def end(self, attack: Attack, goals: list[int] | None = None) -> Progress:
        """What another attack has on the same target and prior."""
        return dataclasses.replace(self.trial, attack=attack).run(goals=goals)[0][-1]

    def with_changes(self, **changes: Any) -> Attack:
        attack: Attack = dataclasses.replace(self.attacks.attack, **changes)  # type: ignore[type-var]
        return attack


def make_case(attack: str, target_name: str, prior: str) -> Case:
    target, row = make_target(TARGET_CASES[target_name]), ATTACK_CASES[attack]
    trial = Trial(row.attack, target, make_prior(prior, target.spec), Access.WEIGHTS)
    return Case(row, trial)


@pytest.fixture(params=TABLE)
def case(request: pytest.FixtureRequest) -> Case:
    return make_case(*request.param)


@pytest.fixture(params=ATTACK_CASES)
def simple_case(request: pytest.FixtureRequest) -> Case:
    """Each attack against the linear target from the average of noise."""
    return make_case(request.param, "linear", "mean")


def test_the_tables_have_every_attack() -> None:
    seeing = {row.attack.name for row in ATTACK_CASES.values()}
    assert seeing | {attack.name for attack in BLIND.values()} == set(ATTACKS.own)


@pytest.mark.medium
def test_every_attack_keeps_its_promises(case: Case) -> None:
    for promise in (*PROMISES, tells_the_truth):
        promise(case.trial)


@pytest.mark.medium
def test_every_goal_gains_and_another_seed_draws_otherwise(case: Case) -> None:
    answers, _ = case.trial.ran
    first, last = (case.trial.confidence(answer) for answer in (answers[0], answers[-1]))
    assert (last > first + 1e-6).all()
    # Labels do not tell how confident a target is.
    sees = case.attacks.attack.access is not Access.LABEL
    assert np.isnan(answers[-1].confidence).any() != sees
    other = case.trial.run(seed=1)[0][-1].reconstructions
    assert np.array_equal(answers[-1].reconstructions, other) != case.attacks.draws
    within = case.trial.run(limit=Limit(per_goal=14))[0][-1]
    assert not sees or not np.isnan(within.confidence).any()


@pytest.mark.medium
def test_progress_is_told_more_than_a_few_times(simple_case: Case) -> None:
    assert len(simple_case.trial.ran[0]) > 3


@pytest.mark.medium
@pytest.mark.parametrize("case", EACH_ITS_OWN, indirect=True)
def test_goals_together_and_alone(case: Case) -> None:
    """Where no draw hangs on how many goals there are; see the attack's random moves."""
    together = case.end(case.attacks.still, [2, 0, 3])
    for position, goal in enumerate([2, 0, 3]):
        alone = case.end(case.attacks.still, [goal])
        np.testing.assert_allclose(
            together.reconstructions[position] / case.trial.target.spec.width_of_range,
            alone.reconstructions[0] / case.trial.target.spec.width_of_range,
            atol=1e-4,
        )


@pytest.mark.medium
def test_in_turns_and_at_once(case: Case) -> None:
    at_once, in_turns = (case.end(case.with_changes(memory=memory)) for memory in (1 << 30, 1))
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
    end = simple_case.end(attack)
    assert (end.confidence >= changes["confidence"]).all()
    assert (end.queries < attack.expected_queries() / 2).all()


@pytest.mark.medium
def test_it_never_spends_more_than_it_says(case: Case) -> None:
    attack = case.with_changes(confidence=1.0)
    assert case.end(attack).queries.max() <= attack.expected_queries()


@pytest.mark.parametrize("goals", [[], [CLASSES], [-1]])
def test_goals_that_are_none_are_refused(simple_case: Case, goals: list[int]) -> None:
    with pytest.raises(PlanError, match="goals must be classes"):
        simple_case.trial.run(goals=goals)


@pytest.mark.parametrize(("simple_case", "access"), TOO_LITTLE, indirect=["simple_case"])
def test_too_little_access_is_refused(simple_case: Case, access: Access) -> None:
    trial = dataclasses.replace(simple_case.trial, access=access)
    view, attack = trial.view(), trial.attack
    expected = f"needs {attack.least_access} but the view allows {access}"
    with pytest.raises(PlanError, match=expected):
        attack.run(view, trial.prior, np.array([0]), rng=np.random.default_rng(0))
    assert view.ledger.total == 0


def test_a_prior_of_another_range_is_refused(simple_case: Case) -> None:
    prior = make_prior("mean", ImageSpec(SHAPE, -1.0, 1.0))
    with pytest.raises(PlanError, match="fit the prior on photos"):
        dataclasses.replace(simple_case.trial, prior=prior).run()


# ---------------------------------------------------------------- attacks without weights

BLIND: dict[str, Attack] = {
    "evolution": EvolutionAttack(rows=300),
    "distillation": DistillationAttack(
        rows=300, shared=60, units=8, epochs=1, least_steps=20, steps=10
    ),
    "finite-difference": FiniteDifferenceAttack(rows=300),
    "auto": AutoAttack(rows=300),
    "boundary": BoundaryAttack(rows=300),
    "surrogate": SurrogateAttack(rows=300, members=2, units=32, epochs=4, least_steps=40, steps=20),
}

VIEWS = {"scores": (), **DEFENSES}

POSSIBLE = [
    (name, seen)
    for name, seen in itertools.product(BLIND, VIEWS)
    if (seen != "labels" or BLIND[name].least_access is Access.LABEL)
    # What it chooses is in the table by itself.
    and (name != "auto" or seen in ("scores", "labels"))
]


@functools.cache
def blind(name: str, seen: str) -> Trial:
    return Trial(BLIND[name], access=Access.SCORES, defense=Pipeline(VIEWS[seen]))


@pytest.mark.medium
@pytest.mark.parametrize(("name", "seen"), POSSIBLE)
def test_whatever_it_sees_it_comes_nearer_and_counts_what_it_asks(name: str, seen: str) -> None:
    trial = blind(name, seen)
    counts_what_it_asks(trial)
    answers_images(trial)
    answers, ledger = trial.ran
    first, last = (trial.confidence(answer).mean() for answer in (answers[0], answers[-1]))
    assert last > first + 0.2
    assert ledger.spent.max() <= 300
    asked = [int(answer.queries.max()) for answer in answers]
    for mark in (100, 300):
        assert any(mark / 2 <= most <= mark for most in asked), f"{asked}: none near {mark}"


@pytest.mark.medium
@pytest.mark.parametrize(("name", "seen"), [pair for pair in POSSIBLE if pair[1] != "noise"])
def test_a_confidence_that_it_tells_is_true(name: str, seen: str) -> None:
    trial = blind(name, seen)
    if seen == "labels" or BLIND[name].access is Access.LABEL:
        assert np.isnan(trial.ran[0][-1].confidence).all()
    elif seen == "scores":
        tells_the_truth(trial)


@pytest.mark.medium
@pytest.mark.parametrize("name", BLIND)
def test_behind_noise_a_seed_decides_everything(name: str) -> None:
    trial = blind(name, "noise")
    follows_the_seed(trial)
    other = trial.run(seed=1)[0][-1].reconstructions
    assert not np.array_equal(trial.ran[0][-1].reconstructions, other)


@pytest.mark.parametrize("name", ["evolution", "finite-difference"])
def test_scores_are_needed_and_labels_are_not_enough(name: str) -> None:
    trial = dataclasses.replace(blind(name, "scores"), access=Access.LABEL)
    with pytest.raises(PlanError, match="needs top_k but the view allows label"):
        trial.run()


def test_what_is_hidden_is_said_to_be() -> None:
    for seen in ("one decimal", "noise", "the best two"):
        assert BLIND["evolution"].adaptation(blind("evolution", seen).view()), seen
    plain = blind("evolution", "scores").view()
    assert BLIND["evolution"].adaptation(plain) == ()
    assert "evolution" in BLIND["auto"].adaptation(plain)[0]
    label = dataclasses.replace(blind("auto", "scores"), access=Access.LABEL).view()
    assert "label" in BLIND["auto"].adaptation(label)[0]


@pytest.mark.medium
@pytest.mark.parametrize("attack", [*BLIND.values(), GradientAttack(steps=12)], ids=describe)
def test_every_attack_passes_the_check_that_others_run(attack: Attack) -> None:
    check_attack(attack)
