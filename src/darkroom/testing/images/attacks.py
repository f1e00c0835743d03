"""Checks of attacks on images."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial

import numpy as np
import torch
from numpy.typing import NDArray

from darkroom.access import Access
from darkroom.defenses.base import OutputDefense
from darkroom.defenses.noise import Noise
from darkroom.defenses.pipeline import Pipeline
from darkroom.defenses.rounding import Rounding
from darkroom.defenses.top_k import LabelOnly, TopK
from darkroom.images.attacks.base import Attack, Progress
from darkroom.images.targets.base import Target
from darkroom.images.targets.view import View
from darkroom.ledger import Limit, QueryLedger
from darkroom.testing.images.small import small_prior, small_target
from darkroom.testing.promises import (
    check_part,
    global_randomness_untouched,
    kept_apart,
    refuses,
    require,
    same,
)
from darkroom.vision.priors.base import ImagePrior
from darkroom.vision.spec import ImageSpec

LIMITS = (
    Limit(per_goal=1),
    Limit(per_goal=14),
    Limit(per_goal=45),
    Limit(total=23),
    Limit(total=77),
)
"""Budgets that end an attack at its first rows, or in the middle of a step."""

DEFENSES: dict[str, tuple[OutputDefense, ...]] = {
    "one decimal": (Rounding(1),),
    "noise": (Noise(0.02),),
    "the best two": (TopK(2),),
    "labels": (LabelOnly(),),
}
"""Output defences that an attack may meet."""


@dataclass(frozen=True)
class Trial:
    """An attack, and what it is tried on.

    Attributes:
        attack: The attack.
        target: What it attacks.
        prior: What it knows before.
        access: What a query returns; the attack's own when left out.
        defense: What answers pass.
    """

    attack: Attack
    target: Target = field(default_factory=small_target)
    prior: ImagePrior = field(default_factory=small_prior)
    access: Access | None = None
    defense: Pipeline = field(default_factory=Pipeline)

    def view(self, goals: int = 1, limit: Limit | None = None) -> View:
        """Returns the target as the attack sees it, with a ledger of its own."""
        return View(
            self.target,
            self.access or self.attack.access,
            QueryLedger(goals, limit),
            defense=self.defense,
            noise=np.random.default_rng(5),
        )

    def run(
        self, *, goals: Sequence[int] | None = None, limit: Limit | None = None, seed: int = 0
    ) -> tuple[list[Progress], QueryLedger]:
        """Attacks all classes, or some.

        Returns:
            All that the attack yields, and what it was charged.
        """
        chosen = np.arange(self.target.classes) if goals is None else np.array(goals, np.int64)
        view, rng = self.view(len(chosen), limit), np.random.default_rng(seed)
        return list(self.attack.run(view, self.prior, chosen, rng=rng)), view.ledger

    @cached_property
    def ran(self) -> tuple[list[Progress], QueryLedger]:
        """What :meth:`run` returns for all classes, without a budget."""
        return self.run()

    def confidence(self, progress: Progress) -> NDArray[np.float64]:
        """Returns the target's true confidence in what an attack on all classes has, ``(n,)``."""
        rows = np.arange(self.target.classes)
        found: NDArray[np.float64] = self.target.scores(progress.reconstructions)[rows, rows]
        return found


def comes_nearer(trial: Trial) -> None:
    """What an attack ends with is better than what it begins with."""
    answers, _ = trial.ran
    first, last = (trial.confidence(answer).mean() for answer in (answers[0], answers[-1]))
    require(
        last > first,
        f"{trial.attack.name} comes no nearer: a mean confidence of {last:.3f} after {first:.3f}",
    )


def counts_what_it_asks(trial: Trial) -> None:
    """Progress begins at no query, never falls, and ends at what the ledger has."""
    name, (answers, ledger) = trial.attack.name, trial.ran
    require(answers, f"{name} yields nothing")
    require(not answers[0].queries.any(), f"{name} tells nothing before its first query")
    for earlier, later in itertools.pairwise(answers):
        require((later.queries >= earlier.queries).all(), f"{name} tells of queries that fall")
    require(
        same(answers[-1].queries, ledger.spent),
        f"{name} says {answers[-1].queries.tolist()} queries, but spent {ledger.spent.tolist()}",
    )


def answers_images(trial: Trial) -> None:
    """Every reconstruction is an image of the target's shape and range."""
    for answer in trial.ran[0]:
        _require_images(trial, answer)


def _require_images(trial: Trial, answer: Progress) -> None:
    name, spec, goals = trial.attack.name, trial.target.spec, trial.target.classes
    images, shape = answer.reconstructions, (goals, *spec.shape)
    require(
        images.shape == shape and images.dtype == np.float32,
        f"{name} answers {images.dtype} {list(images.shape)}, not float32 {list(shape)}",
    )
    low, high = images.min(), images.max()
    require(
        spec.low <= low and high <= spec.high,  # false of NaN too
        f"{name} answers values from {low:g} to {high:g}, out of the target's range",
    )
    require(answer.confidence.shape == (goals,), f"{name} tells no confidence for each goal")


def tells_the_truth(trial: Trial) -> None:
    """A confidence that it tells is the target's; what it cannot know is NaN."""
    _require_truth(trial, trial.ran[0][-1])


def _require_truth(trial: Trial, end: Progress) -> None:
    known = ~np.isnan(end.confidence)
    off = np.abs(end.confidence[known] - trial.confidence(end)[known]).max(initial=0)
    require(off < 2e-4, f"{trial.attack.name} tells confidences that are off by {off:.4f}")


def follows_the_seed(trial: Trial) -> None:
    """The same seed gives the same answers, and nothing global is drawn from."""
    name = trial.attack.name
    torch.manual_seed(3)
    with global_randomness_untouched(f"attack {name}"):
        one = trial.run()[0]
    torch.manual_seed(4)
    require(same(one, trial.ran[0]), f"{name} answers otherwise with the same seed")


def keeps_the_budget(trial: Trial) -> None:
    """No more is asked than the ledger allows, and the best so far is returned at its end."""
    name = trial.attack.name
    for limit in LIMITS:
        answers, ledger = trial.run(limit=limit)
        require(answers, f"{name} yields nothing with {limit}")
        require(
            limit.per_goal is None or ledger.spent.max() <= limit.per_goal,
            f"{name} spends more than {limit.per_goal} rows a goal",
        )
        require(same(answers[-1].queries, ledger.spent), f"{name} miscounts where {limit} ends it")
        _require_images(trial, answers[-1])
        if not trial.defense.defenses:
            _require_truth(trial, answers[-1])


def is_not_changed_by_what_it_does_not_spend(trial: Trial) -> None:
    """A budget that is never reached changes nothing."""
    paid = trial.run(limit=Limit(10**6, 10**6))[0]
    require(
        same(trial.ran[0], paid), f"{trial.attack.name} hangs on a budget that it does not reach"
    )


def lets_answers_be(trial: Trial) -> None:
    """What it has yielded is the caller's."""
    goals = np.arange(trial.target.classes)
    view, rng = trial.view(len(goals)), np.random.default_rng(0)
    kept_apart(
        trial.attack.run(view, trial.prior, goals, rng=rng),
        f"{trial.attack.name} changes arrays that it has yielded: yield copies",
    )


def spends_no_more_than_it_says(trial: Trial) -> None:
    """``expected_queries`` is not exceeded."""
    said, spent = trial.attack.expected_queries(), int(trial.ran[1].spent.max())
    require(spent <= said, f"{trial.attack.name} expects {said} rows a goal and spends {spent}")


def refuses_what_it_cannot_do(trial: Trial) -> None:
    """Goals that are no classes, too little access and a prior of another range are errors."""
    name, none = trial.attack.name, trial.target.classes
    for goals in ([], [none], [-1]):
        refuses(partial(trial.run, goals=goals), f"{name} takes {goals} for classes")
    shape, low, high = trial.target.spec.shape, trial.target.spec.low, trial.target.spec.high
    other = replace(trial, prior=small_prior(ImageSpec(shape, low, high + 1)))
    refuses(other.run, f"{name} takes a prior of another range")
    for access in Access:
        if not access.includes(trial.attack.least_access):
            less = replace(trial, access=access)
            refuses(less.run, f"{name} runs with {access}, less than {trial.attack.least_access}")


PROMISES = (
    lets_answers_be,
    answers_images,
    counts_what_it_asks,
    comes_nearer,
    follows_the_seed,
    keeps_the_budget,
    is_not_changed_by_what_it_does_not_spend,
    spends_no_more_than_it_says,
    refuses_what_it_cannot_do,
)
"""What every attack owes on every target and prior."""


def check_attack(attack: Attack) -> None:
    """Checks an attack on a small linear target and eigenfaces.

    Args:
        attack: With parameters for a small problem, such as few steps; it is run some thirty times.

    Raises:
        AssertionError: If it breaks a promise; the sentence says which.
    """
    check_part(attack)
    require(0 < attack.confidence <= 1, f"{attack.name}: confidence is above 0 and at most 1")
    plain = Trial(attack)
    for promise in (*PROMISES, tells_the_truth):
        promise(plain)
    if attack.access is Access.WEIGHTS:
        return
    for defense in DEFENSES.values():
        behind = replace(plain, defense=Pipeline(defense))
        if behind.view().access.includes(attack.least_access):
            for promise in (counts_what_it_asks, answers_images, follows_the_seed):
                promise(behind)
