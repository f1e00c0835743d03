"""What a best-first search for a secret has still to ask about, the least surprising first."""

from __future__ import annotations

import heapq
import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from darkroom.text.attacks.base import Found, Guess
from darkroom.text.formats.spelling import Children
from darkroom.text.formats.tokens import SecretTokens
from darkroom.text.targets.base import Tokens

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
        told = logprobs[children.tokens].astype(np.float64)
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
            elif self._is_canonical(node, complete=False):
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

    def _is_canonical(self, node: Node, *, complete: bool) -> bool:
        """Tells whether the tokenizer would cut what a node spells as the node does."""
        if not self.tokens.ambiguous:
            return True
        path, spelled = self.trace(node)
        return self.tokens.canonical([path], [spelled], complete=complete)[0]

    def _complete(self, node: Node) -> None:
        if not self._is_canonical(node, complete=True):
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
