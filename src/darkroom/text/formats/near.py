"""The strings within an edit distance of a given one, as a format."""

from __future__ import annotations

import string
from collections.abc import Iterable
from typing import Literal

from pydantic import ConfigDict, Field

from darkroom.text.formats.automata import Automaton, explore
from darkroom.text.formats.spec import Spec

_CLASSES = (string.digits, string.ascii_lowercase, string.ascii_uppercase)
_BETWEEN = " -./,()"

_Row = tuple[int, ...]
_State = tuple[_Row, bytes]


class Near(Spec):
    """Strings that at most so many changed, added or left out characters part from a text.

    This is the automaton of Levenshtein distance (Schulz and Mihov 2002), over the characters of
    the text, of the classes that it has (digits, small and capital letters), and of what separates
    groups.

    Attributes:
        text: The text.
        distance: The most changes.
        same_length: Whether characters are changed alone, and none added or left out.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    kind: Literal["near"] = "near"
    text: str = Field(min_length=1, repr=False)
    distance: int = Field(default=1, ge=0, le=3)
    same_length: bool = False

    @property
    def alphabet(self) -> str:
        """The characters that may stand anywhere."""
        classes = [some for some in _CLASSES if set(some) & set(self.text)]
        return "".join(sorted({*self.text, *_BETWEEN, *"".join(classes)}))

    def automaton(self) -> Automaton:
        """Returns the strings; a state is the row of distances to every beginning of the text."""
        text, most = self.text, self.distance
        letters = {letter: letter.encode() for letter in self.alphabet}

        def after(row: _Row, letter: str) -> _Row:
            far = most + 1
            following = [far if self.same_length else min(row[0] + 1, far)]
            for place, own in enumerate(text):
                best = row[place] + (own != letter)
                if not self.same_length:
                    best = min(best, row[place + 1] + 1, following[-1] + 1)
                following.append(min(best, far))
            return tuple(following)

        def edges(state: _State) -> Iterable[tuple[int, _State]]:
            row, begun = state
            found: dict[int, _State] = {}
            for letter, spelled in letters.items():
                if not spelled.startswith(begun):
                    continue
                whole = spelled[: len(begun) + 1]
                if whole != spelled:
                    found[whole[-1]] = (row, whole)
                    continue
                onward = after(row, letter)
                if min(onward) <= most:
                    found[whole[-1]] = (onward, b"")
            return found.items()

        first = [0] + [
            most + 1 if self.same_length else min(n, most + 1) for n in range(1, len(text) + 1)
        ]
        return explore(
            (tuple(first), b""), edges, lambda state: not state[1] and state[0][-1] <= most
        )

    def describe(self) -> str:
        """Says how near, and nothing of the text."""
        return f"within {self.distance} of the secret"
