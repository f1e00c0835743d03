"""The shortest path to a secret: the most likely of all candidates, and the rank of a known one."""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from darkroom.access import LanguageAccess
from darkroom.defenses.logprobs import LogprobDefense, LogprobNoise, LogprobRounding
from darkroom.errors import PlanError
from darkroom.text.attacks.base import (
    Found,
    Guess,
    Places,
    SecretAttack,
    SecretGoal,
    SecretProgress,
)
from darkroom.text.attacks.budget import Room
from darkroom.text.formats.tokens import Children, SecretTokens
from darkroom.text.targets.base import NextTokens, Prompt, Tokens
from darkroom.text.targets.view import DefendedTrie, LanguageView

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

BITS = 1 / math.log(2)

_WINDOW = 2.0
"""Bits by which a partial secret may be more surprising than the first of its batch: what is
farther off will hardly be needed."""


class Node(NamedTuple):
    """A partial secret that the model has been asked about, or is about to be.

    Attributes:
        cost: Its surprise so far, in bits.
        state: Where it stands in the format.
        parent: The place of the node before it among the nodes of its goal, -1 for none.
        token: The token that it adds.
        prefix: Its number in the trie, -1 until the model is asked.
        spelled: The bytes that it adds.
    """

    cost: float
    state: int
    parent: int
    token: int
    prefix: int
    spelled: bytes


class _Block(NamedTuple):
    """What may follow a node, the least surprising first.

    Attributes:
        parent: The node's place.
        following: The node's children, as they were then: a server's vocabulary grows.
        costs: The surprise of each in bits, rising.
        children: The place of each among them.
        complete: Whether it is meant as a complete secret, or as a partial one.
    """

    parent: int
    following: Children
    costs: Floats
    children: Integers
    complete: NDArray[np.bool_]


class Search:
    """The search for one goal: a queue of partial secrets, the least surprising first.

    Children of a node are kept as one sorted block, of which only the next stands in the queue, so
    that a vocabulary of 50,000 tokens costs a sort and not as many entries.

    Attributes:
        tokens: The goal's place in its text.
        nodes: All partial secrets asked about.
        found: Complete secrets, from the least surprising on. All in the queue is at least as
            surprising, and only grows more so.
        unseen: No candidate that leads over a token which the model did not tell of is less
            surprising than this.
    """

    def __init__(self, tokens: SecretTokens, wanted: int) -> None:
        """Starts before the first question.

        Args:
            tokens: The goal's place in its text.
            wanted: How many secrets to find.
        """
        self.tokens = tokens
        self.wanted = wanted
        self.nodes: list[Node] = []
        self.found: list[Guess] = []
        self.unseen = math.inf
        self._queue: list[tuple[float, int, int]] = []
        self._blocks: list[_Block] = []
        self._spelled: set[str] = set()

    @property
    def floor(self) -> float:
        """No secret that is not found yet is less surprising than this, in bits."""
        if not self.nodes:
            return 0.0
        return min(self._queue[0][0] if self._queue else math.inf, self.unseen)

    def add(self, node: Node, logprobs: Floats, unseen: float) -> None:
        """Puts what may follow a node into the queue.

        Args:
            node: With its number in the trie.
            logprobs: Of every token, ``(tokens,)``.
            unseen: The most that a token not told of can have.
        """
        parent = len(self.nodes)
        self.nodes.append(node)
        children = self.tokens.children(node.state)
        told = logprobs[children.tokens]
        hides = np.isneginf(told).any() or not self.tokens.knows_tokens
        if unseen > -math.inf and hides:
            self.unseen = min(self.unseen, node.cost - unseen * BITS)
        costs = node.cost - told * BITS
        possible = np.isfinite(costs)
        whole, partial = (
            np.flatnonzero(possible & flags)
            for flags in (self.tokens.ending(children), self.tokens.going_on(children))
        )
        both = np.concatenate([whole, partial])
        complete = np.arange(len(both)) < len(whole)
        order = np.argsort(costs[both], kind="stable")
        if len(order):
            block = _Block(parent, children, costs[both][order], both[order], complete[order])
            self._blocks.append(block)
            heapq.heappush(self._queue, (float(block.costs[0]), len(self._blocks) - 1, 0))

    def pop(self, most: int) -> list[Node]:
        """Takes the next partial secrets to ask about, and the secrets found on the way.

        Stops before a complete secret that one of those just taken may still undercut.

        Args:
            most: How many to take.
        """
        taken: list[Node] = []
        while self._queue and len(self.found) < self.wanted:
            cost, number, rank = self._queue[0]
            block = self._blocks[number]
            complete = bool(block.complete[rank])
            if (complete and taken) or (not complete and len(taken) == most):
                break
            if taken and cost > taken[0].cost + _WINDOW:
                break
            if rank + 1 < len(block.costs):
                heapq.heapreplace(self._queue, (float(block.costs[rank + 1]), number, rank + 1))
            else:
                heapq.heappop(self._queue)
            node = self._child(block, rank, cost)
            if complete:
                self._complete(node)
            elif self._is_canonical(node):
                taken.append(node)
        return taken

    def _child(self, block: _Block, rank: int, cost: float) -> Node:
        children = block.following
        child = int(block.children[rank])
        return Node(
            cost,
            int(children.states[child]),
            block.parent,
            int(children.tokens[child]),
            -1,
            children.spelled[child],
        )

    def _is_canonical(self, node: Node) -> bool:
        """Tells whether the tokenizer would cut what a node spells as the node does."""
        if not self.tokens.ambiguous:
            return True
        path, spelled = self.trace(node)
        return self.tokens.canonical([path], [spelled])[0]

    def _complete(self, node: Node) -> None:
        if not self._is_canonical(node):
            return
        secret = self.tokens.secret(self.trace(node)[1])
        if secret not in self._spelled:  # a server's tokens may spell one in several ways
            self._spelled.add(secret)
            self.found.append(Guess(secret, node.cost))

    def trace(self, node: Node) -> tuple[Tokens, bytes]:
        """Returns the tokens that lead to a node, and what they spell."""
        tokens: list[int] = []
        pieces: list[bytes] = []
        while node.token >= 0:
            tokens.append(node.token)
            pieces.append(node.spelled)
            node = self.nodes[node.parent]
        return tuple(reversed(tokens)), b"".join(reversed(pieces))

    def result(self) -> Found:
        """Returns what is found so far."""
        certain = bool(self.found) and self.found[0].surprise <= self.floor
        return Found(tuple(self.found), certain, max(self.floor, 0.0))


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
        search = Search(Places(view).of(goal), self.wanted)
        for _ in self._drive(view, [search]):
            pass
        return search

    def _drive(self, view: LanguageView, searches: Sequence[Search]) -> Iterator[SecretProgress]:
        """Runs searches side by side until each is done or out of rows."""
        spent = np.zeros(len(searches), np.int64)
        trie = view.trie()
        defense = view.defense
        fresh = isinstance(defense, LogprobNoise) and defense.deviation > 0
        asks = self.repeats if fresh else 1
        yield _progress(spent, searches, defense)
        width, first = 1, True
        while True:
            room = Room(view.ledger, spent, self.rows, asks)
            batch = self._opening(searches, room) if first else _popped(searches, width, room)
            if not batch:
                break
            owners = np.array([owner for owner, _, _ in batch], np.int64)
            numbers, answers = _asked(trie, searches, batch, first=first)
            told = [answers.logprobs]
            told += [_asked(trie, searches, batch, first=first)[1].logprobs for _ in range(1, asks)]
            answers = answers._replace(logprobs=np.mean(told, axis=0))
            width = width if first else min(2 * width, self.batch)
            first = False
            np.add.at(spent, owners, asks)
            for row, (owner, node, _) in enumerate(batch):
                asked = node._replace(prefix=int(numbers[row]))
                searches[owner].add(asked, answers.logprobs[row], float(answers.unseen[row]))
            yield _progress(spent, searches, defense)
        # What was found without another row is told too.
        yield _progress(spent, searches, defense)

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


def _progress(
    spent: Integers, searches: Sequence[Search], defense: LogprobDefense | None
) -> SecretProgress:
    found = tuple(search.result() for search in searches)
    if isinstance(defense, LogprobNoise | LogprobRounding):
        # Whoever knows that answers are off knows too that the order may be another.
        found = tuple(one._replace(certain=False, floor=0.0) for one in found)
    return SecretProgress(spent.copy(), found)
