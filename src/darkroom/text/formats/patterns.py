r"""Patterns of secrets: the part of regular expressions whose language is finite.

Letters stand for themselves; ``[0-9A-F]`` and ``\d`` for one character of a set; ``(a|b)`` for
alternatives; ``{3}``, ``{2,4}`` and ``?`` for repetition. Whatever would match endlessly many
strings is refused.
"""

from __future__ import annotations

import string

from darkroom.errors import PlanError
from darkroom.text.formats.automata import Automaton, concatenate, strings, union

_SETS = {"d": string.digits, "w": string.ascii_letters + string.digits + "_", "s": " "}
_ESCAPED = {"n": "\n", "t": "\t"}
_ENDLESS = "*+"
_SPECIAL = ".^$"
MOST_REPEATS = 200


def compile_pattern(pattern: str) -> Automaton:
    r"""Returns the automaton of a pattern.

    Args:
        pattern: Such as ``\d{3}-\d{2}-\d{4}``.

    Raises:
        PlanError: If it is no such pattern; the message says where and how to mend it.

    >>> compile_pattern(r"(ID|PP)-?\d{2}").size
    400
    """
    parser = _Parser(pattern)
    automaton = parser.alternatives()
    if parser.place < len(pattern):
        raise parser.wrong("')' closes nothing: write \\) for the character")
    return automaton


class _Parser:
    """Reads a pattern from left to right.

    Attributes:
        place: The position of the next character.
    """

    def __init__(self, pattern: str) -> None:
        self.pattern = pattern
        self.place = 0

    def wrong(self, why: str) -> PlanError:
        return PlanError(f"secret format {self.pattern!r}, at character {self.place + 1}: {why}")

    def peek(self) -> str:
        return self.pattern[self.place : self.place + 1]

    def take(self) -> str:
        taken = self.peek()
        if not taken:
            raise self.wrong("it ends too early: complete it")
        self.place += 1
        return taken

    def alternatives(self) -> Automaton:
        parts = [self.sequence()]
        while self.peek() == "|":
            self.take()
            parts.append(self.sequence())
        return parts[0] if len(parts) == 1 else union(parts)

    def sequence(self) -> Automaton:
        parts = []
        while self.peek() not in ("", "|", ")"):
            parts.append(self.repeated(self.atom()))
        if not parts:
            return strings([b""])
        return parts[0] if len(parts) == 1 else concatenate(parts)

    def atom(self) -> Automaton:
        character = self.take()
        if character == "(":
            return self.group()
        if character == "[":
            return _one_of(self.character_set())
        if character == "\\":
            return _one_of(self.escape())
        self.place -= 1
        if character in _ENDLESS:
            raise self.wrong(f"{character!r} matches endlessly: write {{1,8}}, or \\{character}")
        if character in _SPECIAL:
            raise self.wrong(f"{character!r} is not supported: write \\{character} for the sign")
        if character in "{}?]":
            raise self.wrong(f"{character!r} stands alone: write \\{character} for the sign")
        self.place += 1
        return _one_of(character)

    def group(self) -> Automaton:
        if self.pattern.startswith("?:", self.place):
            self.place += 2
        elif self.peek() == "?":
            raise self.wrong("groups that look around are not supported: leave '(?' out")
        inner = self.alternatives()
        if self.peek() != ")":
            raise self.wrong("a '(' is not closed: add ')'")
        self.take()
        return inner

    def escape(self) -> str:
        character = self.take()
        if character in _SETS:
            return _SETS[character]
        if character in _ESCAPED:
            return _ESCAPED[character]
        if character.isalnum():
            raise self.wrong(f"\\{character} is not supported: use \\d, \\w, \\s or a set")
        return character

    def character_set(self) -> str:
        if self.peek() == "^":
            raise self.wrong("a set of what is left out is not supported: list what may stand")
        members: list[str] = []
        while self.peek() != "]":
            first = self.escape() if self.take() == "\\" else self.pattern[self.place - 1]
            following = self.pattern[self.place + 1 : self.place + 2]
            if self.peek() != "-" or following in ("]", "") or len(first) != 1:
                members.append(first)
                continue
            self.take()
            last = self.escape() if self.take() == "\\" else self.pattern[self.place - 1]
            if len(last) != 1 or last < first:
                raise self.wrong(f"the range {first}-{last} is empty: turn it round")
            members.extend(map(chr, range(ord(first), ord(last) + 1)))
        self.take()
        if not members:
            raise self.wrong("the set is empty: list what may stand")
        return "".join(members)

    def repeated(self, atom: Automaton) -> Automaton:
        while (sign := self.peek()) in ("?", "{") and sign:
            low, high = self.counts() if self.take() == "{" else (0, 1)
            atom = _repeat(atom, low, high)
        return atom

    def counts(self) -> tuple[int, int]:
        inside = ""
        while self.peek() != "}":
            inside += self.take()
        self.take()
        low, comma, high = inside.partition(",")
        if not low.isdecimal() or (comma and not high.isdecimal()):
            raise self.wrong(f"{{{inside}}} is no count: write {{3}} or {{2,4}}")
        counts = int(low), int(high) if comma else int(low)
        if counts[0] > counts[1] or counts[1] > MOST_REPEATS:
            raise self.wrong(f"{{{inside}}}: give counts that rise, of at most {MOST_REPEATS}")
        return counts


def _one_of(characters: str) -> Automaton:
    return strings(character.encode() for character in characters)


def _repeat(part: Automaton, low: int, high: int) -> Automaton:
    """Returns a part ``low`` to ``high`` times: all that must be, and what may follow nested."""
    nothing = strings([b""])
    optional = nothing
    for _ in range(high - low):
        optional = union([nothing, concatenate([part, optional])])
    return concatenate([*[part] * low, optional])
