"""Finite sets of byte strings as automata without cycles: counted, numbered, joined exactly."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

from darkroom.errors import PlanError

MOST_STATES = 200_000
"""More states than any sensible format has; a larger automaton is refused."""

LONGEST = 250
"""Bytes that the longest string may have."""

Edges = tuple[tuple[int, int], ...]
_State = TypeVar("_State", bound=Hashable)


@dataclass(frozen=True)
class Automaton:
    """A deterministic automaton whose language is finite.

    States are numbered so that every edge leads to a lower number; the start is the last. Equal
    languages reached by different ways share a state, so the automaton is the smallest there is.

    Attributes:
        edges: For each state its outgoing edges ``(byte, next state)``, sorted by byte.
        accepting: For each state whether a string may end there.
    """

    edges: tuple[Edges, ...]
    accepting: tuple[bool, ...]

    @property
    def start(self) -> int:
        """The state before the first byte."""
        return len(self.edges) - 1

    @cached_property
    def counts(self) -> tuple[int, ...]:
        """How many strings lead from each state to an end; exact, however large."""
        counts: list[int] = []
        for edges, ends in zip(self.edges, self.accepting, strict=True):
            counts.append(int(ends) + sum(counts[state] for _, state in edges))
        return tuple(counts)

    @cached_property
    def lengths(self) -> tuple[tuple[int, int], ...]:
        """The shortest and the longest way from each state to an end, in bytes."""
        lengths: list[tuple[int, int]] = []
        for edges, ends in zip(self.edges, self.accepting, strict=True):
            onward = [lengths[state] for _, state in edges]
            shortest = 0 if ends else 1 + min(low for low, _ in onward)
            lengths.append((shortest, max((1 + high for _, high in onward), default=0)))
        return tuple(lengths)

    @property
    def size(self) -> int:
        """How many strings there are."""
        return self.counts[self.start]

    def step(self, state: int, byte: int) -> int | None:
        """Returns where a byte leads, or ``None``."""
        edges = self.edges[state]
        place = bisect_left(edges, (byte, -1))
        if place < len(edges) and edges[place][0] == byte:
            return edges[place][1]
        return None

    def walk(self, string: bytes, state: int | None = None) -> int | None:
        """Returns where a string leads from a state, the start unless told; or ``None``."""
        current: int | None = self.start if state is None else state
        for byte in string:
            if current is None:
                return None
            current = self.step(current, byte)
        return current

    def at(self, index: int) -> bytes:
        """Returns the string at a position in the order of bytes, a prefix before what extends it.

        Raises:
            IndexError: If there is none.
        """
        if not 0 <= index < self.size:
            raise IndexError(f"index {index}: there are {self.size} strings")
        spelled, state = bytearray(), self.start
        while True:
            if self.accepting[state]:
                if index == 0:
                    return bytes(spelled)
                index -= 1
            for byte, onward in self.edges[state]:
                if index < self.counts[onward]:
                    spelled.append(byte)
                    state = onward
                    break
                index -= self.counts[onward]

    def index(self, string: bytes) -> int | None:
        """Returns the position of a string, or ``None`` if it is not one of the set."""
        index, state = 0, self.start
        for byte in string:
            index += int(self.accepting[state])
            onward = None
            for edge, to in self.edges[state]:
                if edge == byte:
                    onward = to
                    break
                index += self.counts[to]
            if onward is None:
                return None
            state = onward
        return index if self.accepting[state] else None


def explore(
    start: _State,
    edges: Callable[[_State], Iterable[tuple[int, _State]]],
    accepts: Callable[[_State], bool],
) -> Automaton:
    """Builds the smallest automaton with the language of one that is given by its steps.

    Args:
        start: The first state; any hashable value.
        edges: The bytes that may follow a state, each once, and where they lead.
        accepts: Whether a string may end in a state.

    Raises:
        PlanError: If no string is accepted, or the automaton or a string is too large.
    """
    shared: dict[tuple[bool, Edges], int] = {}
    numbers: dict[_State, int | None] = {}
    # Depth first without recursion: a state is numbered after all that it leads to.
    stack: list[tuple[_State, list[tuple[int, _State]]]] = [(start, sorted_edges(edges(start)))]
    pending = {start}
    while stack:
        state, onward = stack[-1]
        missing = next((to for _, to in onward if to not in numbers), None)
        if missing is not None:
            if missing in pending or len(stack) > LONGEST:
                raise PlanError(
                    f"secret format: its longest secret has more than {LONGEST} bytes: shorten it"
                )
            if len(numbers) > MOST_STATES:
                raise PlanError("secret format: it is too complex: make it simpler")
            pending.add(missing)
            stack.append((missing, sorted_edges(edges(missing))))
            continue
        stack.pop()
        pending.discard(state)
        kept = tuple((byte, number) for byte, to in onward if (number := numbers[to]) is not None)
        # A state that leads nowhere is left out.
        signature = (accepts(state), kept)
        dead = not signature[0] and not kept
        numbers[state] = None if dead else shared.setdefault(signature, len(shared))
    if numbers[start] is None:
        raise PlanError("secret format: it matches nothing: mend it")
    order = list(shared)
    return Automaton(tuple(edge for _, edge in order), tuple(ends for ends, _ in order))


def sorted_edges(edges: Iterable[tuple[int, _State]]) -> list[tuple[int, _State]]:
    """Returns edges in the order of their bytes."""
    return sorted(edges, key=lambda edge: edge[0])


def strings(words: Iterable[bytes]) -> Automaton:
    """Returns the automaton of a list of strings."""
    ends: set[int] = set()
    nodes: list[dict[int, int]] = [{}]
    for word in words:
        node = 0
        for byte in word:
            if byte not in nodes[node]:
                nodes[node][byte] = len(nodes)
                nodes.append({})
            node = nodes[node][byte]
        ends.add(node)
    return explore(0, lambda node: nodes[node].items(), ends.__contains__)


_Position = tuple[int, int]
"""Which automaton of several, and its state."""


def union(parts: Sequence[Automaton]) -> Automaton:
    """Returns the strings that are in at least one of the parts."""
    start = frozenset((number, part.start) for number, part in enumerate(parts))
    return _subsets(parts, start, lambda positions: positions)


def concatenate(parts: Sequence[Automaton]) -> Automaton:
    """Returns every string of the first part followed by every string of the second, and so on."""

    def close(positions: frozenset[_Position]) -> frozenset[_Position]:
        """Adds the start of the next part wherever a part may end."""
        closed, fresh = set(positions), list(positions)
        while fresh:
            number, state = fresh.pop()
            if parts[number].accepting[state] and number + 1 < len(parts):
                onward = (number + 1, parts[number + 1].start)
                if onward not in closed:
                    closed.add(onward)
                    fresh.append(onward)
        return frozenset(closed)

    start = close(frozenset([(0, parts[0].start)]))
    return _subsets(parts, start, close, last_only=True)


def _subsets(
    parts: Sequence[Automaton],
    start: frozenset[_Position],
    close: Callable[[frozenset[_Position]], frozenset[_Position]],
    *,
    last_only: bool = False,
) -> Automaton:
    """Follows all positions at once (the subset construction)."""

    def edges(positions: frozenset[_Position]) -> Iterable[tuple[int, frozenset[_Position]]]:
        by_byte: dict[int, set[_Position]] = {}
        for number, state in positions:
            for byte, to in parts[number].edges[state]:
                by_byte.setdefault(byte, set()).add((number, to))
        return [(byte, close(frozenset(reached))) for byte, reached in by_byte.items()]

    def accepts(positions: frozenset[_Position]) -> bool:
        return any(
            parts[number].accepting[state]
            for number, state in positions
            if not last_only or number == len(parts) - 1
        )

    return explore(start, edges, accepts)
