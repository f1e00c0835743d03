"""The base of descriptions of formats."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import BaseModel, ConfigDict

from darkroom.text.formats.automata import Automaton, strings


class Spec(BaseModel):
    """Base of the descriptions of formats, as key files hold them."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def words(some: Iterable[str]) -> Automaton:
    """Returns the automaton of a list of words, each once."""
    return strings(word.encode() for word in some)
