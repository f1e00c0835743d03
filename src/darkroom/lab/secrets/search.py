"""One search for a secret on the page, in a thread of its own."""

from __future__ import annotations

import threading
import traceback
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from darkroom.errors import DarkroomError, PlanError, one_line
from darkroom.lab.develop.gate import Gate, Stopped
from darkroom.lab.secrets.events import Branch, Grown, SearchChoice, SearchEnded, SearchEvent
from darkroom.report.wording import bits, count, several
from darkroom.text.asking import attacker_view
from darkroom.text.attacks.base import SecretGoal
from darkroom.text.attacks.best_first import BestFirst
from darkroom.text.tree import tree_nodes

if TYPE_CHECKING:
    from darkroom.text.attacks.frontier import Search
    from darkroom.text.canaries import Canary
    from darkroom.text.job import TextJob

ROWS = 400
"""Questions that a search asks at most."""

WATCHABLE = 0.12
"""Seconds a question, so that one can watch the tree grow."""


class LiveSearch:
    """A search that somebody watches.

    Attributes:
        canary: What it looks for.
        gate: Where it waits.
    """

    def __init__(self, job: TextJob, choice: SearchChoice) -> None:
        """Begins nothing yet.

        Args:
            job: The audit of the language model.
            choice: What to look for.

        Raises:
            PlanError: If there is no such canary.
        """
        canaries = job.subject.canaries.canaries
        if choice.canary >= len(canaries):
            raise PlanError(f"canary: there are {len(canaries)}, from 0 on")
        self.canary: Canary = canaries[choice.canary]
        self.gate, self._job, self._choice = Gate(), job, choice
        if choice.pace == "watch":
            self.gate.slow_down(WATCHABLE)
        self._search: Search | None = None
        self._ended: SearchEnded | None = None
        self._told, self._is_told = (-1, False), False
        self._thread = threading.Thread(target=self._work, name="search", daemon=True)

    def begin(self) -> None:
        """Starts the search's thread."""
        self._thread.start()

    def join(self, seconds: float) -> bool:
        """Waits for the thread to end; tells whether it did."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def _work(self) -> None:
        try:
            self._run()
            why, problem = "done", ""
        except Stopped:
            why, problem = "stopped", "The search was stopped."
        except DarkroomError as error:
            why, problem = "mistake", str(error)
        except Exception as error:  # the page must say that nothing comes any more
            traceback.print_exc()
            why, problem = "fault", f"A fault of Darkroom's own: {one_line(error)}"
        self._ended = self._end(why, problem)

    def _run(self) -> None:
        cells = [one for one in self._job.cells() if isinstance(one.attack, BestFirst)]
        if not cells:
            raise PlanError("the plan has no attack best-first, which is what the page shows")
        # One question at a time, so that nothing is asked that is not needed.
        attack = BestFirst(rows=ROWS, batch=1)
        cell = replace(cells[0], attack=attack, budget=None)
        view = attacker_view(
            cell, self._job.subject.target, 1, lambda spent, _: self.gate.charged(spent)
        )
        canary = self.canary
        goal = SecretGoal(canary.before, canary.after, canary.format)
        for search in attack.grow(view, goal):
            self._search = search

    def events(self) -> Sequence[SearchEvent]:
        """Returns what is new since the last call; the last of all is :class:`SearchEnded`."""
        ended, search = self._ended, self._search
        found: list[SearchEvent] = []
        state = (0 if search is None else len(search.nodes), self.gate.paused)
        if search is not None and state[0] and state != self._told:
            self._told = state
            nodes = tree_nodes(search, self.canary, reveal=self._choice.reveal)
            branches = tuple(Branch(**node.model_dump()) for node in nodes)
            found.append(Grown(asked=state[0], nodes=branches, paused=state[1]))
        if ended is not None and not self._is_told:
            self._is_told = True
            found.append(ended)
        return found

    def _end(self, why: str, problem: str) -> SearchEnded:
        search, canary = self._search, self.canary
        first = search.found[0].secret if search is not None and search.found else None
        asked = 0 if search is None else len(search.nodes)
        is_right = first == canary.secret
        shown = ""
        if first is not None:
            shown = first if self._choice.reveal else canary.format.mask(first)
        return SearchEnded.model_validate(
            {
                "why": why,
                "found": is_right,
                "guess": shown,
                "asked": asked,
                "sentence": problem or _sentence(canary, asked, first is not None, is_right),
            }
        )


def _sentence(canary: Canary, asked: int, has_guess: bool, is_right: bool) -> str:
    seen = (
        f"{several(canary.repetitions, 'time', 'times')} in the training data"
        if canary.repetitions
        else "never in the training data"
    )
    among = f"among {bits(canary.format.bits)} candidates"
    if is_right:
        return f"Found with {count(asked)} questions {among}. The secret was {seen}."
    if has_guess:
        return (
            f"The most likely of all candidates is not the secret, after {count(asked)} questions "
            f"{among}. The secret was {seen}."
        )
    return f"Not found with {count(asked)} questions {among}. The secret was {seen}."
