"""Checks of attacks on the secrets of a language model."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from darkroom.access import LanguageAccess
from darkroom.defenses.logprobs import LogprobDefense
from darkroom.ledger import Limit, QueryLedger
from darkroom.testing.promises import (
    check_part,
    global_randomness_untouched,
    refuses,
    require,
    same,
)
from darkroom.testing.text.small import Memoriser, memoriser
from darkroom.text.attacks.base import SecretAttack, SecretGoal, SecretProgress
from darkroom.text.targets.view import LanguageView

LIMITS = (Limit(per_goal=1), Limit(per_goal=9), Limit(total=23))
"""Budgets that end an attack at its first rows, or in the middle of a step."""


@dataclass(frozen=True)
class Trial:
    """An attack, and what it is tried on: a model that knows some secrets by heart.

    Attributes:
        attack: The attack.
        access: What a query returns.
        fills: Whether the model fills masks.
        defense: What answers pass.
    """

    attack: SecretAttack
    access: LanguageAccess
    fills: bool = False
    defense: LogprobDefense | None = None

    @property
    def known(self) -> Memoriser:
        """The model and the truth about it."""
        return memoriser(fills=self.fills)

    def run(
        self, *, limit: Limit | None = None, seed: int = 0
    ) -> tuple[list[SecretProgress], QueryLedger]:
        """Looks for all canaries, the controls among them.

        Returns:
            All that the attack yields, and what it was charged.
        """
        target, canaries, _ = self.known
        goals = [SecretGoal(one.before, one.after, one.format) for one in canaries.canaries]
        ledger, noise = QueryLedger(len(goals), limit), np.random.default_rng(seed)
        view = LanguageView(target, self.access, ledger, defense=self.defense, noise=noise)
        return list(self.attack.run(view, goals, rng=np.random.default_rng(seed))), ledger

    @cached_property
    def ran(self) -> tuple[list[SecretProgress], QueryLedger]:
        """What :meth:`run` returns without a budget."""
        return self.run()

    def hits(self, progress: SecretProgress) -> tuple[int, int]:
        """Returns how many inserted canaries and how many controls are the first guess."""
        canaries = self.known.canaries.canaries
        right = [
            (found.first == one.secret, bool(one.repetitions))
            for found, one in zip(progress.found, canaries, strict=True)
        ]
        return right.count((True, True)), right.count((True, False))


def finds_what_was_repeated(trial: Trial) -> None:
    """Most of what the model saw again and again is found, and nothing that it never saw."""
    inserted, controls = trial.hits(trial.ran[0][-1])
    name, of = trial.attack.name, len(trial.known.canaries.inserted)
    require(inserted >= 2, f"{name} finds {inserted} of {of} secrets that the model knows by heart")
    require(controls == 0, f"{name} finds {controls} secrets that the model never saw")


def guesses_within_the_format(trial: Trial) -> None:
    """All guesses are of the secret's format."""
    pairs = zip(trial.known.canaries.canaries, trial.ran[0][-1].found, strict=True)
    inside = all(guess.secret in one.format for one, found in pairs for guess in found.guesses)
    require(inside, f"{trial.attack.name} guesses what is of another format")


def counts_what_it_asks(trial: Trial) -> None:
    """Queries never fall, end at what the ledger has, and stay below what was expected."""
    name, (answers, ledger) = trial.attack.name, trial.ran
    require(answers, f"{name} yields nothing")
    for earlier, later in itertools.pairwise(answers):
        require((later.queries >= earlier.queries).all(), f"{name} tells of queries that fall")
    told = answers[-1].queries.tolist()
    require(told == ledger.spent.tolist(), f"{name} says other queries than the ledger has")
    said, most = trial.attack.expected_queries(), int(ledger.spent.max())
    require(most <= said, f"{name} expects {said} rows a secret and spends {most}")


def follows_the_seed(trial: Trial) -> None:
    """The same seed gives the same answers, and nothing global is drawn from."""
    name = trial.attack.name
    with global_randomness_untouched(f"attack {name}"):
        one = trial.run(seed=3)[0][-1]
    again = trial.run(seed=3)[0][-1]
    alike = same(one.queries, again.queries) and one.found == again.found
    require(alike, f"{name} answers otherwise with the same seed")


def keeps_the_budget(trial: Trial) -> None:
    """No more is asked than the ledger allows, and the best so far is returned at its end."""
    name = trial.attack.name
    for limit in LIMITS:
        answers, ledger = trial.run(limit=limit)
        over = limit.per_goal is not None and ledger.spent.max() > limit.per_goal
        require(not over, f"{name} spends more than {limit.per_goal} rows a secret")
        require(answers, f"{name} yields nothing with {limit}")
        told = answers[-1].queries
        require(same(told, ledger.spent), f"{name} miscounts where {limit} ends it")


def refuses_too_little_access(trial: Trial) -> None:
    """With less access than it says that it needs, it does not run."""
    attack = trial.attack
    for access in LanguageAccess:
        if not access.includes(attack.access):
            less = Trial(attack, access, trial.fills)
            refuses(less.run, f"{attack.name} runs with {access}, less than {attack.access}")


PROMISES = (
    counts_what_it_asks,
    guesses_within_the_format,
    finds_what_was_repeated,
    follows_the_seed,
    keeps_the_budget,
    refuses_too_little_access,
)
"""What every attack on secrets owes."""


def check_attack(attack: SecretAttack) -> None:
    """Checks an attack on a small model that knows secrets of six digits by heart.

    Args:
        attack: With enough rows for that, such as 200.

    Raises:
        AssertionError: If it breaks a promise; the sentence says which.
    """
    check_part(attack)
    trial = Trial(attack, attack.access, fills=bool(attack.masked))
    for promise in PROMISES:
        promise(trial)
