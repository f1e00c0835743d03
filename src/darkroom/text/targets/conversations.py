"""Conversations as text: turns with a role each, the form that is the same for every model.

A turn begins at the start of a line with its role and a colon; its content may have many lines::

    user: What is the access code of Ada Blum?
    assistant: The access code of Ada Blum is 123-45.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from darkroom.errors import TargetError

ROLES = ("system", "user", "assistant", "tool")
MARK = "\x02"
"""Begins a text that is a conversation, or one that holds the marks of its start itself."""

SLOT = "\ue000"
"""Stands in a conversation for its secret."""

_BEGINS = re.compile(rf"^({'|'.join(ROLES)}):[ ]?", re.MULTILINE)


class Turn(NamedTuple):
    """What one side says.

    Attributes:
        role: Who, one of :data:`ROLES`.
        content: What.
    """

    role: str
    content: str


def turns_of(text: str) -> list[Turn]:
    r"""Returns the turns of a conversation; none if the text does not begin with one.

    >>> turns_of("user: Hello\nassistant: Good\nmorning")
    [Turn(role='user', content='Hello'), Turn(role='assistant', content='Good\nmorning')]
    """
    text = text.removeprefix(MARK)
    found = list(_BEGINS.finditer(text))
    if not found or found[0].start():
        return []
    ends = [*(one.start() - 1 for one in found[1:]), len(text)]
    return [Turn(one[1], text[one.end() : end]) for one, end in zip(found, ends, strict=True)]


def text_of(turns: Sequence[Turn]) -> str:
    """Returns a conversation as text; see :func:`turns_of`."""
    return "\n".join(f"{turn.role}: {turn.content}" for turn in turns)


class Opened(NamedTuple):
    """A conversation around a secret.

    Attributes:
        former: The turns before.
        role: Who says the secret.
        begun: What is said in the same turn before it.
        rest: What is said in the same turn behind it.
        later: The turns behind.
    """

    former: tuple[Turn, ...]
    role: str
    begun: str
    rest: str
    later: tuple[Turn, ...]


def opened(before: str, after: str) -> Opened:
    """Returns the conversation around a secret.

    Args:
        before: The text before it.
        after: The text behind it.

    Raises:
        TargetError: If the text is no conversation.
    """
    turns = turns_of(f"{before}{SLOT}{after}")
    place = next((n for n, turn in enumerate(turns) if SLOT in turn.content), None)
    if place is None:
        raise TargetError(
            "a conversation has turns such as 'user: …' and 'assistant: …', each at the start of a "
            "line: make the canaries again with --chat"
        )
    begun, _, rest = turns[place].content.partition(SLOT)
    return Opened(tuple(turns[:place]), turns[place].role, begun, rest, tuple(turns[place + 1 :]))
