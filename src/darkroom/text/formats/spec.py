"""The base of descriptions of formats."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable

from pydantic import BaseModel, ConfigDict

from darkroom.text.formats.automata import Automaton, strings


class Spec(BaseModel, ABC):
    """Base of the descriptions of formats, as key files hold them.

    Attributes:
        kind: Tells them apart.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: str

    @abstractmethod
    def automaton(self) -> Automaton:
        """Returns the secrets."""

    def describe(self) -> str:
        """Names the format in a few words, without listing what it holds."""
        return self.kind


def words(some: Iterable[str]) -> Automaton:
    """Returns the automaton of a list of words, each once."""
    return strings(word.encode() for word in some)
