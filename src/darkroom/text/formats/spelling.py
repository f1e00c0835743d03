"""The ways in which a tokenizer's tokens can spell what an automaton accepts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from darkroom.text.formats.automata import Automaton
from darkroom.text.targets.base import Codec

Integers = NDArray[np.int64]

_TOKEN = -1
"""The key in a trie of bytes under which the tokens that end there are listed."""


class Children(NamedTuple):
    """The tokens that may follow in a state.

    Attributes:
        tokens: Int64 ``(k,)``.
        states: Where each leads, ``(k,)``.
        spelled: The bytes that each adds, white space that no token holds included.
    """

    tokens: Integers
    states: Integers
    spelled: tuple[bytes, ...]


class Spelling:
    """Walks an automaton of bytes by tokens.

    Attributes:
        automaton: What may be spelled.
        accepting: Whether a string may end in each state, bool ``(states,)``.
        going_on: Whether a string may go on from each state.
        beginnings_hold: Whether the beginning of every canonical path is canonical itself, as far
            as that was tried; ``None`` before.
    """

    def __init__(self, automaton: Automaton, codec: Codec, owner: object = None) -> None:
        """Takes the vocabulary as it is now; one that grows is read again when it has grown.

        Args:
            automaton: What may be spelled.
            codec: The tokenizer.
            owner: What must live as long as this.
        """
        self.automaton = automaton
        self._owner = owner
        self.accepting = np.array(automaton.accepting)
        self.going_on = np.array([bool(edges) for edges in automaton.edges])
        self.beginnings_hold: bool | None = None
        self._codec = codec
        self._known = 0
        self._trie: dict[int, object] = {}
        self._children: dict[int, Children] = {}

    def _read_vocabulary(self) -> None:
        vocabulary = self._codec.vocabulary
        if len(vocabulary) == self._known:
            return
        for token in range(self._known, len(vocabulary)):
            node: dict[int, object] = self._trie
            for byte in vocabulary[token] or b"":
                node = node.setdefault(byte, {})  # type: ignore[assignment]
            if vocabulary[token]:
                node.setdefault(_TOKEN, []).append(token)  # type: ignore[attr-defined]
        self._known = len(vocabulary)
        self._children.clear()

    def children(self, state: int) -> Children:
        """Returns the tokens that may follow in a state of the automaton."""
        self._read_vocabulary()
        if state not in self._children:
            found = list(self._walk(state, self._trie, b""))
            if self._codec.drops_space:
                for spaces, after in self._behind_spaces(state):
                    found += [
                        (token, to, spaces + text)
                        for token, to, text in self._walk(after, self._trie, b"")
                    ]
            self._children[state] = Children(
                np.array([token for token, _, _ in found], np.int64),
                np.array([to for _, to, _ in found], np.int64),
                tuple(text for _, _, text in found),
            )
        return self._children[state]

    def _walk(
        self, state: int, node: dict[int, object], text: bytes
    ) -> Iterator[tuple[int, int, bytes]]:
        for byte, onward in self.automaton.edges[state]:
            below = node.get(byte)
            if below is None:
                continue
            assert isinstance(below, dict)
            spelled = text + bytes([byte])
            for token in below.get(_TOKEN, ()):
                yield token, onward, spelled
            yield from self._walk(onward, below, spelled)

    def _behind_spaces(self, state: int) -> Iterator[tuple[bytes, int]]:
        spaces = b""
        current = self.automaton.step(state, 0x20)
        while current is not None:
            spaces += b" "
            yield spaces, current
            current = self.automaton.step(current, 0x20)

    def paths(self, state: int, known: dict[int, int] | None = None) -> int:
        """Returns in how many ways tokens lead from a state to an end; exact, however many."""
        known = {} if known is None else known
        if state not in known:
            onward = self.children(state).states
            known[state] = int(self.automaton.accepting[state]) + sum(
                self.paths(int(to), known) for to in onward
            )
        return known[state]
