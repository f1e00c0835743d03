"""Formats of the shape of one given string: its slots, each with what may stand there."""

from __future__ import annotations

from typing import Literal

from pydantic import ConfigDict, Field

from darkroom.text.formats.automata import Automaton, concatenate, strings
from darkroom.text.formats.spec import Spec


class Shape(Spec):
    """Strings made of slots in a row.

    Attributes:
        title: What the format is called; the slots may hold what nobody shall read.
        slots: What may stand in each, at least one string, none of them empty.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    kind: Literal["shape"] = "shape"
    title: str
    slots: tuple[tuple[str, ...], ...] = Field(min_length=1, repr=False)

    def automaton(self) -> Automaton:
        """Returns every choice of one string a slot; none twice."""
        parts = [strings(one.encode() for one in slot) for slot in self.slots]
        return concatenate(parts) if len(parts) > 1 else parts[0]

    def describe(self) -> str:
        """Returns the title."""
        return self.title
