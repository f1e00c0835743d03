"""Formats of secrets behind masks: as many as a secret has tokens."""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from darkroom.text.formats.boundaries import Boundaries
from darkroom.text.formats.spelling import Children
from darkroom.text.formats.tokens import SecretTokens
from darkroom.text.targets.base import Blank, Prompt, Tokens


class FillTokens(SecretTokens):
    """A secret's place in a text with masks, as many as the secret has tokens.

    States are pairs of a state of the spelling and the number of masks left.
    """

    @property
    def _ended(self) -> bool:
        """The text behind is in sight, and its tokens end a secret."""
        return False

    def _beginnings_hold(self, found: Boundaries) -> bool:  # noqa: ARG002
        """What follows decides how the first tokens are cut."""
        return False

    @cached_property
    def _kept(self) -> dict[int, Children]:
        return {}

    @cached_property
    def _longest(self) -> int:
        return self.spelling.automaton.lengths[self.spelling.automaton.start][1] + 1

    @cached_property
    def _reach(self) -> list[frozenset[int]]:
        """For each state of the spelling, with how many more tokens a secret can be complete."""
        reach: dict[int, frozenset[int]] = {}

        def of(state: int) -> frozenset[int]:
            if state not in reach:
                counts = {0} if self.spelling.automaton.accepting[state] else set()
                for to in set(self.spelling.children(state).states.tolist()):
                    counts |= {count + 1 for count in of(to)}
                reach[state] = frozenset(counts)
            return reach[state]

        of(self.spelling.automaton.start)
        none: frozenset[int] = frozenset()
        return [reach.get(state, none) for state in range(len(self.spelling.automaton.edges))]

    @property
    def starts(self) -> list[tuple[Prompt, int]]:
        """A text for each number of masks that a secret can take."""
        start = self.spelling.automaton.start
        return [
            (Blank(self._prompt, self._following, masks), start * self._longest + masks)
            for masks in sorted(self._reach[start])
        ]

    def children(self, state: int) -> Children:
        """Returns the tokens that may follow, and lead to a secret of just as many tokens."""
        if state in self._kept:
            return self._kept[state]
        inner, masks = divmod(state, self._longest)
        every = self.spelling.children(inner)
        kept = [place for place, to in enumerate(every.states) if masks - 1 in self._reach[int(to)]]
        self._kept[state] = Children(
            every.tokens[kept],
            every.states[kept] * self._longest + (masks - 1),
            tuple(every.spelled[place] for place in kept),
        )
        return self._kept[state]

    def ending(self, children: Children) -> NDArray[np.bool_]:
        """Tells behind which children a secret is complete: no mask is left."""
        complete: NDArray[np.bool_] = children.states % self._longest == 0
        return complete

    def going_on(self, children: Children) -> NDArray[np.bool_]:
        """Tells behind which children a mask is left."""
        return ~self.ending(children)

    def left(self, state: int) -> int:
        """Returns how many secrets can still be reached from a state, at most."""
        return self.spelling.automaton.counts[state // self._longest]

    def beginning(self, path: Tokens) -> Prompt:
        """Returns the text with as many masks as a path has tokens."""
        return self.blank(path)

    def blank(self, path: Tokens) -> Blank:
        """Returns the text around a secret of these tokens."""
        return Blank(self._prompt, self._following, len(path))
