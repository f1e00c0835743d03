"""The secret behind noisy or rounded log-probabilities: asked again until one is sure."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from darkroom.access import LanguageAccess
from darkroom.defenses.effects import UNCHANGED
from darkroom.errors import PlanError
from darkroom.ledger import BudgetExhausted
from darkroom.text.attacks.bandits import Floats, Integers, Pull, successive_elimination
from darkroom.text.attacks.base import (
    NOTHING,
    Found,
    Guess,
    Places,
    SecretAttack,
    SecretGoal,
    SecretProgress,
)
from darkroom.text.attacks.best_first import BestFirst
from darkroom.text.targets.view import LanguageView


@dataclass(frozen=True)
class Averaging(SecretAttack):
    """Candidates as arms, the best one found with confidence.

    A format of at most ``candidates`` secrets is tried whole; of a larger one, best-first search
    over the noisy answers proposes that many (or as many as it finds with half of the rows), and
    averaging decides among them. A question is asked in other words each time (``leads``), because
    a server that rounds, or draws its noise from the text, answers the same words the same way.
    Arms are eliminated after :func:`darkroom.text.attacks.bandits.successive_elimination`.

    The deviation of one answer is known from the defence (the attacker knows it), or else measured
    on the first two answers about each candidate, pooled.

    Attributes:
        candidates: The most arms.
        rows: The most rows to spend on a goal.
        confidence: That the answer is the best arm, where it is called certain.
        leads: What is put before the prompt, in turn.
    """

    name: ClassVar[str] = "averaging"
    access: ClassVar[LanguageAccess] = LanguageAccess.LOGPROBS
    paper: ClassVar[str] = "Even-Dar et al. 2006, Action elimination and stopping conditions"
    masked: ClassVar[bool | None] = False

    candidates: int = 64
    rows: int = 2000
    confidence: float = 0.95
    leads: tuple[str, ...] = ("",)

    def __post_init__(self) -> None:
        """Refuses numbers that make no sense.

        Raises:
            PlanError: If one is out of its range.
        """
        if min(self.candidates, self.rows) < 1 or not 0 < self.confidence < 1 or not self.leads:
            raise PlanError(
                "attack averaging: candidates and rows must be 1 or more, confidence between 0 "
                "and 1, and leads not empty"
            )

    def expected_queries(self) -> int:
        """Returns the rows a goal that the attack spends when nothing ends it early."""
        return self.rows

    def _search(
        self, view: LanguageView, goals: Sequence[SecretGoal], rng: np.random.Generator
    ) -> Iterator[SecretProgress]:
        proposed = self._proposals(view, goals, rng)
        places = Places(view)
        found: list[Found] = [NOTHING] * len(goals)
        yield SecretProgress(view.ledger.spent, tuple(found))
        for number, goal in enumerate(goals):
            end = _end(places, goal)
            found[number] = self._decide(view, goal, end, number, proposed[number])
            yield SecretProgress(view.ledger.spent, tuple(found))

    def _proposals(
        self, view: LanguageView, goals: Sequence[SecretGoal], rng: np.random.Generator
    ) -> list[list[str]]:
        """Returns the arms of each goal."""
        small = [goal.secrets.size <= self.candidates for goal in goals]
        listed = [
            [goal.secrets.at(index) for index in range(goal.secrets.size)] if is_small else []
            for goal, is_small in zip(goals, small, strict=True)
        ]
        if all(small):
            return listed
        search = BestFirst(wanted=self.candidates, rows=max(1, self.rows // 2), repeats=1)
        *_, last = search.run(view, goals, rng=rng)
        return [
            arms if is_small else [guess.secret for guess in found.guesses]
            for arms, is_small, found in zip(listed, small, last.found, strict=True)
        ]

    def _decide(
        self, view: LanguageView, goal: SecretGoal, end: str, number: int, arms: list[str]
    ) -> Found:
        """Finds the least surprising arm of one goal."""
        if not arms:
            return NOTHING
        budget = self.rows - int(view.ledger.spent[number])
        left = view.ledger.remaining(number)
        budget = budget if left is None else min(budget, left)
        pull = self._pull(view, goal, end, number, arms)
        deviation = self._known_deviation(view, goal, end, arms)
        if deviation is None and budget < 2 * len(arms):
            return NOTHING
        try:
            if deviation is None:
                everyone = np.arange(len(arms))
                first = [pull(everyone), pull(everyone)]
                told = np.isfinite(first[0]) & np.isfinite(first[1])
                if not told.any():
                    return NOTHING
                # Two answers about each of many arms: half the squared difference is a variance.
                apart = first[0][told] - first[1][told]
                deviation = float(np.sqrt(np.square(apart).mean() / 2))
                pull = _after(first, pull)
            choice = successive_elimination(
                pull, len(arms), deviation, confidence=self.confidence, budget=budget
            )
        except BudgetExhausted:
            return NOTHING
        told = np.isfinite(choice.means)
        if not told[choice.best]:
            return NOTHING
        order = np.argsort(choice.means, kind="stable")
        runners_up = [int(arm) for arm in order[:8] if arm != choice.best and told[arm]]
        guesses = [Guess(arms[arm], float(choice.means[arm])) for arm in (choice.best, *runners_up)]
        # Best among the arms that were told of; of a large format, only those that were proposed.
        certain = choice.certain and len(arms) == goal.secrets.size and bool(told.all())
        return Found(tuple(guesses), certain, 0.0)

    def _pull(
        self, view: LanguageView, goal: SecretGoal, end: str, number: int, arms: list[str]
    ) -> Pull:
        """Returns what asks about arms, in other words each time."""
        leads = itertools.cycle(self.leads)

        def pull(chosen: Integers) -> Floats:
            lead = next(leads)
            owners = np.full(len(chosen), number, np.int64)
            endings = [arms[arm] + end for arm in chosen]
            return view.surprises([lead + goal.before] * len(chosen), endings, owners)

        return pull

    def _known_deviation(
        self, view: LanguageView, goal: SecretGoal, end: str, arms: Sequence[str]
    ) -> float | None:
        """Returns the deviation of an arm's surprise in bits, ``None`` if it must be measured."""
        if len(self.leads) > 1:
            return None
        effect = view.effect
        if effect == UNCHANGED:
            return 0.0
        if effect.deviation > 0 and not effect.silent and view.knows_tokens:
            whole = view.codec.encode([goal.before + arm + end for arm in arms])
            edge = len(goal.before.encode())
            most = max(sum(end > edge for end in one.ends) for one in whole)
            return effect.deviation * math.sqrt(most) / math.log(2)
        return None


def _end(places: Places, goal: SecretGoal) -> str:
    """Returns what is scored behind a secret: what a token may share with its end.

    Where only the server knows its tokens, that is taken to be the next word.
    """
    place = places.of(goal)
    if place.knows_tokens:
        return place.head.decode(errors="ignore")
    following = re.match(r"\s*\S*", goal.after)
    return following[0] if following else ""


def _after(first: list[Floats], pull: Pull) -> Pull:
    """Returns a pull whose first answers, about every arm, are those already there."""
    waiting = list(first)

    def answer(chosen: Integers) -> Floats:
        if waiting:
            return waiting.pop(0)[chosen]
        return pull(chosen)

    return answer
