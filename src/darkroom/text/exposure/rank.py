"""The rank of a known secret among all of its format, exactly or between bounds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from darkroom.text.attacks.budget import Room
from darkroom.text.attacks.frontier import BITS
from darkroom.text.formats.spelling import Children
from darkroom.text.formats.tokens import SecretTokens
from darkroom.text.targets.base import NextTokens, Prompt, Tokens
from darkroom.text.targets.view import DefendedTrie, LanguageView

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

TOLERANCE = 1e-4
"""Bits within which two surprises count as equal: single precision is no better. Ties count
against the attacker, so that a rank is never too good."""


class Rank(NamedTuple):
    """Where a secret stands among all candidates, 1 for the most likely.

    Attributes:
        low: It is at least this.
        high: It is at most this.
    """

    low: int
    high: int

    @property
    def exact(self) -> bool:
        """Whether both bounds meet."""
        return self.low == self.high


class _Pending(NamedTuple):
    """Partial secrets to ask about.

    Attributes:
        costs: Their surprise in bits, ``(n,)``.
        owners: The goal of each.
        prefixes: The prefix that each grows from.
        tokens: The token that each adds.
        states: Where each stands in its format.
        spelled: The bytes that each adds, as objects.
    """

    costs: Floats
    owners: Integers
    prefixes: Integers
    tokens: Integers
    states: Integers
    spelled: NDArray[np.object_]

    def rows(self, chosen: NDArray[np.intp] | NDArray[np.bool_]) -> _Pending:
        """Returns some of them."""
        return _Pending(
            self.costs[chosen],
            self.owners[chosen],
            self.prefixes[chosen],
            self.tokens[chosen],
            self.states[chosen],
            self.spelled[chosen],
        )


def _gathered(parts: Sequence[_Pending]) -> _Pending:
    """Returns all rows of some parts, at least one."""
    costs, owners, prefixes, tokens, states, spelled = zip(*parts, strict=True)
    return _Pending(
        np.concatenate(costs),
        np.concatenate(owners),
        np.concatenate(prefixes),
        np.concatenate(tokens),
        np.concatenate(states),
        np.concatenate(spelled),
    )


def ranks(
    view: LanguageView,
    places: Sequence[SecretTokens],
    surprises: Floats,
    *,
    rows: int,
    batch: int = 512,
    advance: Callable[[int], None] | None = None,
) -> list[Rank]:
    """Counts for each goal the candidates that are at most as surprising as its secret.

    This is best-first search (Carlini et al. 2019, section 5) without a queue: every partial
    secret that is at most as surprising as the known one must be asked about, in whatever order,
    so they are asked in large batches, the likeliest first. What is left when the rows are spent
    still bounds the rank from above: candidates of at least probability p that begin with a
    partial secret of probability q are at most q / p.

    Args:
        view: The target; each row is charged to its goal.
        places: The goals' places in their texts.
        surprises: Of the known secrets in bits, as the model gives them, ``(goals,)``.
        rows: The most to spend on a goal.
        batch: The most partial secrets to ask about at once.
        advance: Told the rows spent after each batch.

    Raises:
        TargetError: If the access level does not allow it.
    """
    sweep = _Sweep(view.trie(), places, surprises + TOLERANCE)
    spent = np.zeros(len(places), np.int64)
    pending = sweep.open(Room(view.ledger, spent, rows), spent)
    while len(pending.costs):
        room = Room(view.ledger, spent, rows)
        order = np.argsort(pending.costs, kind="stable")
        chosen = _affordable(pending.owners[order], room, batch)
        if not len(chosen):
            break
        taken = np.zeros(len(pending.costs), bool)
        taken[order[chosen]] = True
        asked = pending.rows(taken)
        np.add.at(spent, asked.owners, 1)
        new = sweep.extend(asked)
        pending = _gathered([pending.rows(~taken), new])
        if advance is not None:
            advance(int(spent.sum()))
    return sweep.results(pending)


def _affordable(owners: Integers, room: Room, batch: int) -> Integers:
    """Returns the positions of the first rows that their goals can pay for, ``batch`` at most."""
    chosen: list[NDArray[np.intp]] = []
    for owner in np.unique(owners):
        own = np.flatnonzero(owners == owner)
        chosen.append(own[: room.take(int(owner), min(len(own), batch))])
    every = np.sort(np.concatenate(chosen)) if chosen else np.zeros(0, np.int64)
    return every[:batch]


@dataclass
class _Sweep:
    """The counting, goal by goal but batch by batch.

    Attributes:
        trie: Asks the model.
        places: The goals' places in their texts.
        limits: What a candidate's surprise may be at most, ``(goals,)``.
        counts: Candidates counted, for each goal.
        doubtful: Candidates that the model's answers hide, for each goal.
        traces: For places whose spelling is ambiguous, the tokens and the text of each prefix.
    """

    trie: DefendedTrie
    places: Sequence[SecretTokens]
    limits: Floats
    counts: list[int] = field(default_factory=list)
    doubtful: list[int] = field(default_factory=list)
    traces: dict[int, tuple[Tokens, bytes]] = field(default_factory=dict)

    def open(self, room: Room, spent: Integers) -> _Pending:
        """Asks the first questions; what cannot be asked leaves everything open."""
        self.counts = [0] * len(self.places)
        self.doubtful = [0] * len(self.places)
        prompts: list[Prompt] = []
        owners: list[int] = []
        states: list[int] = []
        for owner, place in enumerate(self.places):
            starts = place.starts
            taken = room.take(owner, len(starts))
            for prompt, state in starts[:taken]:
                prompts.append(prompt)
                owners.append(owner)
                states.append(state)
            self.doubtful[owner] += sum(place.left(state) for _, state in starts[taken:])
        empty = np.zeros(0, np.int64)
        if not prompts:
            return _Pending(np.zeros(0), empty, empty, empty, empty, np.zeros(0, object))
        asked = np.array(owners, np.int64)
        np.add.at(spent, asked, 1)
        numbers, answers = self.trie.open(prompts, asked)
        for number in numbers:
            self.traces[int(number)] = ((), b"")
        costs = np.zeros(len(prompts))
        return self._children(costs, asked, np.array(states, np.int64), numbers, answers)

    def extend(self, asked: _Pending) -> _Pending:
        """Asks about partial secrets, and returns those that go on from them."""
        numbers, answers = self.trie.extend(asked.prefixes, asked.tokens, asked.owners)
        for row, number in enumerate(numbers):
            if self.places[asked.owners[row]].ambiguous:
                path, text = self.traces[int(asked.prefixes[row])]
                self.traces[int(number)] = (
                    (*path, int(asked.tokens[row])),
                    text + asked.spelled[row],
                )
        return self._children(asked.costs, asked.owners, asked.states, numbers, answers)

    def _children(
        self,
        costs: Floats,
        owners: Integers,
        states: Integers,
        numbers: Integers,
        answers: NextTokens,
    ) -> _Pending:
        """Counts the complete secrets behind some prefixes, and gathers the partial ones."""
        parts: list[_Pending] = []
        spellings = np.array([id(self.places[owner].spelling) for owner in owners])
        # Rows that stand in the same state of the same format have the same children.
        groups, inverse = np.unique(np.stack([spellings, states]), axis=1, return_inverse=True)
        for group in range(groups.shape[1]):
            rows = np.flatnonzero(inverse.ravel() == group)
            place = self.places[owners[rows[0]]]
            children = place.children(int(states[rows[0]]))
            told = answers.logprobs[np.ix_(rows, children.tokens)]
            onward = costs[rows, None] - told * BITS
            within = onward <= self.limits[owners[rows], None]
            self._note_hidden(place, children, rows, owners, costs, states, told, answers)
            if place.ambiguous:
                within &= self._canonical(rows, owners, numbers, children, within)
            counted = (within & place.ending(children)).sum(axis=1)
            for row, count in zip(rows, counted, strict=True):
                self.counts[owners[row]] += int(count)
            at, child = np.nonzero(within & place.going_on(children))
            parts.append(
                _Pending(
                    onward[at, child],
                    owners[rows[at]],
                    numbers[rows[at]],
                    children.tokens[child],
                    children.states[child],
                    np.array(children.spelled, object)[child],
                )
            )
        return _gathered(parts)

    def _note_hidden(
        self,
        place: SecretTokens,
        children: Children,
        rows: Integers,
        owners: Integers,
        costs: Floats,
        states: Integers,
        told: Floats,
        answers: NextTokens,
    ) -> None:
        """Notes the candidates behind tokens that the model did not tell of, if they may count."""
        possible = costs[rows] - answers.unseen[rows] * BITS <= self.limits[owners[rows]]
        possible &= answers.unseen[rows] > -np.inf
        if not place.knows_tokens:
            # Tokens that the server never named may stand for anything that can follow.
            for row in np.flatnonzero(possible):
                self.doubtful[owners[rows[row]]] += place.left(int(states[rows[row]]))
            return
        for row, child in np.argwhere(np.isneginf(told) & possible[:, None]):
            left = place.left(int(children.states[child]))
            self.doubtful[owners[rows[row]]] += left

    def _canonical(
        self,
        rows: Integers,
        owners: Integers,
        numbers: Integers,
        children: Children,
        within: NDArray[np.bool_],
    ) -> NDArray[np.bool_]:
        """Tells which children the tokenizer itself would cut so; others are not looked at."""
        kept = np.zeros_like(within)
        for row, prefix in enumerate(numbers[rows]):
            path, text = self.traces[int(prefix)]
            chosen = np.flatnonzero(within[row])
            paths = [(*path, int(children.tokens[child])) for child in chosen]
            texts = [text + children.spelled[child] for child in chosen]
            place = self.places[owners[rows[row]]]
            kept[row, chosen] = place.canonical(paths, texts)
        return kept

    def results(self, pending: _Pending) -> list[Rank]:
        """Returns the ranks, bounded by what is still pending."""
        answers = []
        for owner, place in enumerate(self.places):
            own = pending.rows(pending.owners == owner)
            # A probability of q holds at most q / p candidates of at least probability p.
            shares = np.exp2(np.minimum(self.limits[owner] - own.costs, 1000.0))
            left = sum(
                min(place.left(int(state)), int(share))
                for state, share in zip(own.states, shares, strict=True)
            )
            high = self.counts[owner] + left + self.doubtful[owner]
            low = max(1, self.counts[owner])
            answers.append(Rank(low, max(low, min(high, place.secrets.size))))
        return answers
