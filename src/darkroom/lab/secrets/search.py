"""One search for a secret on the page, in a thread of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, NamedTuple

import numpy as np

from darkroom.access import LanguageAccess
from darkroom.defenses.logprobs import LogprobNoise
from darkroom.errors import PlanError
from darkroom.lab.live.work import Ending, LiveWork
from darkroom.lab.secrets.events import (
    AttackName,
    Branch,
    Candidate,
    Grown,
    SearchChoice,
    SearchEnded,
    SearchEvent,
    Weighed,
)
from darkroom.report.wording import bits, count, several
from darkroom.text.asking import attacker_view
from darkroom.text.attacks.averaging import Averaging
from darkroom.text.attacks.base import NOTHING, Found, SecretAttack, SecretGoal
from darkroom.text.attacks.best_first import BestFirst
from darkroom.text.attacks.sampling import SamplingAttack
from darkroom.text.cell_plan import AnswersDefense
from darkroom.text.tree import tree_nodes

if TYPE_CHECKING:
    from darkroom.text.attacks.frontier import Search
    from darkroom.text.canaries import Canary
    from darkroom.text.job import TextJob
    from darkroom.text.targets.view import LanguageView


class Way(NamedTuple):
    """A way to look for a secret.

    Attributes:
        attack: The audit's.
        access: What a query returns to it.
        defense: What its answers pass.
        seconds: That a question takes at the pace that one can watch.
        asked: What its questions are called.
    """

    attack: SecretAttack
    access: LanguageAccess
    defense: AnswersDefense
    seconds: float
    asked: str


WAYS: dict[AttackName, Way] = {
    # One question at a time, so that nothing is asked that is not needed.
    "best-first": Way(
        BestFirst(rows=400, batch=1), LanguageAccess.TOP_K, AnswersDefense(), 0.12, "questions"
    ),
    "sampling": Way(
        SamplingAttack(rows=128),
        LanguageAccess.SAMPLES,
        AnswersDefense(),
        0.06,
        "texts that the model wrote,",
    ),
    "averaging": Way(
        Averaging(candidates=16, rows=400),
        LanguageAccess.LOGPROBS,
        AnswersDefense(LogprobNoise(0.5)),
        0.02,
        "questions, each answered with noise of 0.5 nats,",
    ),
}


class LiveSearch(LiveWork[SearchEvent, SearchEnded]):
    """A search that somebody watches.

    Attributes:
        canary: What it looks for.
    """

    what: ClassVar[str] = "search"

    def __init__(self, job: TextJob, choice: SearchChoice) -> None:
        """Begins nothing yet.

        Args:
            job: The audit of the language model.
            choice: What to look for, and how.

        Raises:
            PlanError: If there is no such canary.
        """
        super().__init__()
        canaries = job.subject.canaries.canaries
        if choice.canary >= len(canaries):
            raise PlanError(f"canary: there are {len(canaries)}, from 0 on")
        self.canary: Canary = canaries[choice.canary]
        self._job, self._choice, self._way = job, choice, WAYS[choice.attack]
        if choice.pace == "watch":
            self.gate.slow_down(self._way.seconds)
        self._search: Search | None = None
        self._view: LanguageView | None = None
        self._found: Found = NOTHING
        self._told: tuple[int, bool, Found] = (-1, False, NOTHING)

    def work(self) -> None:
        """Searches; see :meth:`LiveWork.work`."""
        way, canary = self._way, self.canary
        cell = replace(
            self._job.cells()[0],
            attack=way.attack,
            access=way.access,
            defense=way.defense,
            budget=None,
            naive=False,
            guarded=None,
        )
        target = self._job.subject.target
        view = attacker_view(cell, target, 1, lambda spent, _: self.gate.charged(spent))
        goal = SecretGoal(canary.before, canary.after, canary.format)
        self._view = view
        if isinstance(way.attack, BestFirst):
            for search in way.attack.grow(view, goal):
                self._search = search
            return
        for progress in way.attack.run(view, [goal], rng=np.random.default_rng([cell.seed, 1])):
            self._found = progress.found[0]

    def news(self) -> Sequence[SearchEvent]:
        """Returns the tree, or the likeliest candidates; see :meth:`LiveWork.news`."""
        search, found = self._search, self._found
        state = self._asked, self.gate.paused, found
        if not state[0] or state == self._told:
            return []
        self._told = state
        if search is None:
            return [Weighed(asked=state[0], candidates=self._candidates(found), paused=state[1])]
        nodes = tree_nodes(search, self.canary, reveal=self._choice.reveal)
        branches = tuple(Branch(**node.model_dump()) for node in nodes)
        return [Grown(asked=state[0], nodes=branches, paused=state[1])]

    @property
    def _asked(self) -> int:
        if self._search is not None:
            return len(self._search.nodes)
        return 0 if self._view is None else self._view.ledger.total

    def _candidates(self, found: Found) -> tuple[Candidate, ...]:
        return tuple(
            Candidate(
                text=self._shown(one.secret),
                right=one.secret == self.canary.secret,
                surprise=one.surprise,
            )
            for one in found.guesses
        )

    def _shown(self, secret: str) -> str:
        return secret if self._choice.reveal else self.canary.format.mask(secret)

    def end(self, ending: Ending) -> SearchEnded:
        """Says what it came to; see :meth:`LiveWork.end`."""
        search, canary = self._search, self.canary
        guesses = self._found.guesses if search is None else search.found
        first = guesses[0].secret if guesses else None
        is_right = first == canary.secret
        return SearchEnded(
            why=ending.why,
            found=is_right,
            guess="" if first is None else self._shown(first),
            asked=self._asked,
            sentence=ending.problem or self._sentence(first is not None, is_right),
        )

    def _sentence(self, has_guess: bool, is_right: bool) -> str:
        repetitions = self.canary.repetitions
        seen = (
            f"{several(repetitions, 'time', 'times')} in the training data"
            if repetitions
            else "never in the training data"
        )
        among = f"among {bits(self.canary.format.bits)} candidates"
        asked = f"{count(self._asked)} {self._way.asked}"
        if is_right:
            return f"Found with {asked} {among}. The secret was {seen}."
        if has_guess:
            return (
                f"The most likely of all candidates is not the secret, after {asked} {among}. The "
                f"secret was {seen}."
            )
        return f"Not found with {asked} {among}. The secret was {seen}."
