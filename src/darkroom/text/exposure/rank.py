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

CUT_AT_ONCE = 4096
"""Texts that the tokenizer cuts in one call."""


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
    known: Sequence[Tokens] | None = None,
    tolerance: float = TOLERANCE,
    batch: int = 512,
    advance: Callable[[int], None] | None = None,
) -> list[Rank]:
    """Counts for each goal the candidates that are at most as surprising as its secret.

    This is best-first search (Carlini et al. 2019, section 5) without a queue: every partial
    secret that is at most as surprising as the known one must be asked about, in whatever order,
    so they are asked in large batches, the likeliest first. What is left when the rows are spent
    still bounds the rank from above: candidates of at least probability p that begin with a
    partial secret of probability q are at most q / p.

    A count that does not hold the known secret itself is wrong. Where that shows, every partial
    secret is followed, also what the tokenizer would cut otherwise; where it shows again, nothing
    is known of the rank.

    Args:
        view: The target; each row is charged to its goal.
        places: The goals' places in their texts.
        surprises: Of the known secrets in bits, as the model gives them, ``(goals,)``.
        rows: The most to spend on a goal, in each of at most two searches.
        known: The tokens of the known secrets in their places, by which is seen that they were
            counted; left out, that is not looked at.
        tolerance: Bits by which the model's own answers differ when it is asked in other batches.
        batch: The most partial secrets to ask about at once.
        advance: Told the rows spent after each batch.

    Raises:
        TargetError: If the access level does not allow it.
    """
    limits = surprises + max(tolerance, TOLERANCE)
    everyone = range(len(places))
    sweep = _Sweep(view.trie(), places, limits, known)
    _count(sweep, view, everyone, rows, batch, advance)
    if not sweep.lost:
        return sweep.ranks
    slow = [place.unpruned() if n in sweep.lost else place for n, place in enumerate(places)]
    again = _Sweep(view.trie(), slow, limits, known)
    _count(again, view, sorted(sweep.lost), rows, batch, advance)
    unknown = [Rank(1, place.secrets.size) for place in places]
    return [
        sweep.ranks[n] if n not in sweep.lost else unknown[n] if n in again.lost else again.ranks[n]
        for n in everyone
    ]


def _count(
    sweep: _Sweep,
    view: LanguageView,
    owners: Sequence[int],
    rows: int,
    batch: int,
    advance: Callable[[int], None] | None,
) -> None:
    """Asks until all is counted or the rows are spent."""
    spent = np.zeros(len(sweep.places), np.int64)
    pending = sweep.open(owners, Room(view.ledger, spent, rows), spent)
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
    sweep.finish(pending)


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
        known: The tokens of the goals' secrets, where it shall be seen that they are counted.
        lost: The goals whose own secret the search went past without counting it.
        ranks: What came of it.
        counts: Candidates counted, for each goal.
        doubtful: Candidates that the model's answers hide, for each goal.
        traces: For places whose spelling is ambiguous, the tokens and the text of each prefix.
        trails: The prefix in which each goal's own secret was seen last, and its length.
    """

    trie: DefendedTrie
    places: Sequence[SecretTokens]
    limits: Floats
    known: Sequence[Tokens] | None = None
    lost: set[int] = field(default_factory=set)
    ranks: list[Rank] = field(default_factory=list)
    counts: list[int] = field(default_factory=list)
    doubtful: list[int] = field(default_factory=list)
    traces: dict[int, tuple[Tokens, bytes]] = field(default_factory=dict)
    trails: dict[int, tuple[int, int]] = field(default_factory=dict)

    def open(self, asking: Sequence[int], room: Room, spent: Integers) -> _Pending:
        """Asks the first questions; what cannot be asked leaves everything open."""
        self.counts = [0] * len(self.places)
        self.doubtful = [0] * len(self.places)
        prompts: list[Prompt] = []
        owners: list[int] = []
        states: list[int] = []
        for owner in asking:
            place = self.places[owner]
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
        for owner, prompt, number in zip(owners, prompts, numbers.tolist(), strict=True):
            self.traces[number] = ((), b"")
            if self.known and prompt == self.places[owner].beginning(self.known[owner]):
                self.trails[owner] = (number, 0)
        costs = np.zeros(len(prompts))
        return self._children(costs, asked, np.array(states, np.int64), numbers, answers)

    def extend(self, asked: _Pending) -> _Pending:
        """Asks about partial secrets, and returns those that go on from them."""
        numbers, answers = self.trie.extend(asked.prefixes, asked.tokens, asked.owners)
        for row, number in enumerate(numbers.tolist()):
            owner, before = int(asked.owners[row]), int(asked.prefixes[row])
            if self.places[owner].ambiguous:
                path, text = self.traces[before]
                self.traces[number] = ((*path, int(asked.tokens[row])), text + asked.spelled[row])
            trail = self.trails.get(owner)
            if not self.known or trail is None or trail[0] != before:
                continue
            if self.known[owner][trail[1]] == asked.tokens[row]:
                self.trails[owner] = (number, trail[1] + 1)
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
            told = answers.logprobs[np.ix_(rows, children.tokens)].astype(np.float64)
            onward = costs[rows, None] - told * BITS
            within = onward <= self.limits[owners[rows], None]
            self._note_hidden(place, children, rows, owners, costs, states, told, answers)
            whole, partial = within & place.ending(children), within & place.going_on(children)
            whole = self._canonical(rows, owners, numbers, children, whole, complete=True)
            partial = self._canonical(rows, owners, numbers, children, partial, complete=False)
            self._follow(rows, owners, numbers, children, whole, partial)
            for row, count in zip(rows, whole.sum(axis=1), strict=True):
                self.counts[owners[row]] += int(count)
            at, child = np.nonzero(partial)
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

    def _follow(
        self,
        rows: Integers,
        owners: Integers,
        numbers: Integers,
        children: Children,
        whole: NDArray[np.bool_],
        partial: NDArray[np.bool_],
    ) -> None:
        """Notes whether the known secrets are still on their way, counted, or lost."""
        for row, place in enumerate(rows.tolist()):
            owner = int(owners[place])
            prefix, length = self.trails.get(owner, (-1, 0))
            if self.known is None or prefix != numbers[place]:
                continue
            path = self.known[owner]
            last = length + 1 == len(path)
            kept = (whole if last else partial)[row, children.tokens == path[length]].any()
            if last or not kept:
                del self.trails[owner]
            if not kept:
                self.lost.add(owner)

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
        *,
        complete: bool,
    ) -> NDArray[np.bool_]:
        """Tells which children the tokenizer itself would cut so; others are not looked at."""
        place = self.places[owners[rows[0]]]
        if not place.ambiguous or not (complete or place.prunes):
            return within
        kept = np.zeros_like(within)
        at, child = np.nonzero(within)
        asked = owners[rows[at]]
        for owner in np.unique(asked).tolist():
            own = np.flatnonzero(asked == owner)
            for some in np.split(own, range(CUT_AT_ONCE, len(own), CUT_AT_ONCE)):
                paths, texts = [], []
                for row, one in zip(at[some].tolist(), child[some].tolist(), strict=True):
                    path, text = self.traces[int(numbers[rows[row]])]
                    paths.append((*path, int(children.tokens[one])))
                    texts.append(text + children.spelled[one])
                kept[at[some], child[some]] = self.places[owner].canonical(
                    paths, texts, complete=complete
                )
        return kept

    def finish(self, pending: _Pending) -> None:
        """Reads the ranks off the counts, bounded by what is still pending."""
        self.ranks = []
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
            self.ranks.append(Rank(low, max(low, min(high, place.secrets.size))))
