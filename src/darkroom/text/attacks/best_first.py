"""The shortest path to a secret: the most likely of all candidates, and the rank of a known one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from darkroom.access import LanguageAccess
from darkroom.defenses.effects import Effect
from darkroom.errors import PlanError
from darkroom.text.attacks.base import Places, SecretAttack, SecretGoal, SecretProgress
from darkroom.text.attacks.budget import Room
from darkroom.text.attacks.frontier import Node, Search
from darkroom.text.targets.base import NextTokens, Prompt
from darkroom.text.targets.view import DefendedTrie, LanguageView

Integers = NDArray[np.int64]


class PrefixSearch(SecretAttack):
    """An attack that continues partial secrets.

    Attributes:
        wanted: How many secrets to find.
        rows: The most rows to spend on a goal.
        batch: The most partial secrets of one goal to ask about at once.
    """

    wanted: int
    rows: int
    batch: int

    def __post_init__(self) -> None:
        """Refuses to look for nothing.

        Raises:
            PlanError: If a number is below 1.
        """
        if min(self.wanted, self.rows, self.batch) < 1:
            raise PlanError(f"attack {self.name}: wanted, rows and batch must be 1 or more")

    def expected_queries(self) -> int:
        """Returns the rows a goal that the attack spends when nothing ends it early."""
        return self.rows


@dataclass(frozen=True)
class BestFirst(PrefixSearch):
    """The most likely secrets of a format, by the shortest path through it.

    Carlini et al. 2019, "The Secret Sharer", section 5: partial secrets stand in a queue ordered
    by their surprise; the first is continued by every character that the format allows; the first
    complete secret to leave the queue is the most likely of all, whatever the size of the format.

    Differences from the paper: the steps are the model's tokens within the format's automaton,
    whose canonical cutting across the boundary of prompt and secret is kept, instead of single
    characters; the queue of every goal is served in one batch, with keys and values of prefixes
    kept once for all that grow from them; each step takes up to twice as many partial secrets as
    the one before, of those within two bits of the first, up to ``batch``, which asks a little more
    than needed; where a view tells only the
    likeliest tokens, what it hides is bounded, and an answer that the bound does not cover is
    marked as uncertain; behind fresh noise that the attacker knows of, every question is asked
    ``repeats`` times and the answers are averaged.

    Attributes:
        wanted: How many secrets to find, the most likely first.
        rows: The most rows to spend on a goal.
        batch: The most partial secrets of one goal to ask about at once.
        repeats: How often the same is asked where noise is fresh.
    """

    name: ClassVar[str] = "best-first"
    access: ClassVar[LanguageAccess] = LanguageAccess.TOP_K
    paper: ClassVar[str] = "Carlini et al. 2019, The Secret Sharer"
    masked: ClassVar[bool | None] = None

    wanted: int = 1
    rows: int = 500
    batch: int = 32
    repeats: int = 8

    def __post_init__(self) -> None:
        """Refuses to look for nothing.

        Raises:
            PlanError: If a number is below 1.
        """
        super().__post_init__()
        if self.repeats < 1:
            raise PlanError(f"attack {self.name}: repeats must be 1 or more")

    def adaptation(self, view: LanguageView) -> tuple[str, ...]:
        """Says what is done about noise; see :meth:`SecretAttack.adaptation`."""
        if view.effect.deterministic:
            return ()
        why = "may differ, for all that is known" if view.effect.silent else "differ"
        return (
            f"Answers to the same question {why}: each is asked {self.repeats} times, and the "
            "answers are averaged.",
        )

    def _asks(self, effect: Effect) -> int:
        return 1 if effect.deterministic else self.repeats

    def _search(
        self,
        view: LanguageView,
        goals: Sequence[SecretGoal],
        rng: np.random.Generator,  # noqa: ARG002 - nothing is drawn
    ) -> Iterator[SecretProgress]:
        places = Places(view)
        yield from self._drive(view, [Search(places.of(goal), self.wanted) for goal in goals])

    def explore(self, view: LanguageView, goal: SecretGoal) -> Search:
        """Searches for one secret and returns all that was looked at on the way.

        Args:
            view: The target; rows are charged to its first goal.
            goal: The secret to find.
        """
        *_, search = self.grow(view, goal)
        return search

    def grow(self, view: LanguageView, goal: SecretGoal) -> Iterator[Search]:
        """Searches for one secret, and yields the same search after each batch of questions.

        Arguments as :meth:`explore`.
        """
        search = Search(Places(view).of(goal), self.wanted)
        for _ in self._drive(view, [search]):
            yield search

    def _drive(self, view: LanguageView, searches: Sequence[Search]) -> Iterator[SecretProgress]:
        """Runs searches side by side until each is done or out of rows."""
        spent = np.zeros(len(searches), np.int64)
        trie = view.trie()
        effect = view.effect
        asks = self._asks(effect)
        yield _progress(spent, searches, effect)
        width, first = 1, True
        while True:
            room = Room(view.ledger, spent, self.rows, asks)
            batch = self._opening(searches, room) if first else _popped(searches, width, room)
            if not batch:
                break
            owners = np.array([owner for owner, _, _ in batch], np.int64)
            numbers, answers = _asked(trie, searches, batch, first=first)
            if asks > 1:
                told = [answers.logprobs]
                told += [
                    _asked(trie, searches, batch, first=first)[1].logprobs for _ in range(1, asks)
                ]
                answers = answers._replace(logprobs=np.mean(told, axis=0))
            width = width if first else min(2 * width, self.batch)
            first = False
            np.add.at(spent, owners, asks)
            for row, (owner, node, _) in enumerate(batch):
                asked = node._replace(prefix=int(numbers[row]))
                searches[owner].add(asked, answers.logprobs[row], float(answers.unseen[row]))
            yield _progress(spent, searches, effect)
        # What was found without another row is told too.
        yield _progress(spent, searches, effect)

    def _opening(self, searches: Sequence[Search], room: Room) -> list[_Asked]:
        """Returns the first questions; a model that fills masks is asked once for each length."""
        batch: list[_Asked] = []
        for owner, search in enumerate(searches):
            starts = search.tokens.starts
            taken = room.take(owner, len(starts))
            if taken < len(starts):
                search.unseen = 0.0
            batch += [
                (owner, Node(0.0, state, -1, -1, -1, b""), prompt)
                for prompt, state in starts[:taken]
            ]
        return batch


_Asked = tuple[int, Node, Prompt]
"""Whose question it is, the partial secret, and for first questions the prompt."""


def _asked(
    trie: DefendedTrie, searches: Sequence[Search], batch: Sequence[_Asked], *, first: bool
) -> tuple[Integers, NextTokens]:
    """Asks about a batch: about its prompts first, later about partial secrets."""
    owners = np.array([owner for owner, _, _ in batch], np.int64)
    if first:
        return trie.open([prompt for _, _, prompt in batch], owners)
    parents = [searches[owner].nodes[node.parent].prefix for owner, node, _ in batch]
    tokens = [node.token for _, node, _ in batch]
    return trie.extend(np.array(parents, np.int64), np.array(tokens, np.int64), owners)


def _popped(searches: Sequence[Search], width: int, room: Room) -> list[_Asked]:
    batch: list[_Asked] = []
    for owner, search in enumerate(searches):
        nodes = search.pop(min(width, room.left(owner)))
        room.take(owner, len(nodes))
        batch += [(owner, node, "") for node in nodes]
    return batch


def _progress(spent: Integers, searches: Sequence[Search], effect: Effect) -> SecretProgress:
    found = tuple(search.result() for search in searches)
    if not effect.exact:
        # Whoever knows that answers are off knows too that the order may be another.
        found = tuple(one._replace(certain=False, floor=0.0) for one in found)
    return SecretProgress(spent.copy(), found)
