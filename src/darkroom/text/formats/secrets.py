r"""Formats of secrets: what an attacker knows of a secret before asking the model.

A format is a finite set of strings with an exact size. Its members are numbered, so that they can
be drawn without replacement, and so that no draw favours any of them (sorting and cutting does: a
generator that did so gave 2,000 of 10⁵ codes of which none began with F to J).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field, TypeAdapter, ValidationError

from darkroom.errors import PlanError, nearest
from darkroom.text.formats.automata import Automaton, concatenate, explore, strings, union
from darkroom.text.formats.names import DOMAINS, FIRST, LAST
from darkroom.text.formats.patterns import compile_pattern
from darkroom.text.formats.personal import Address, Date, Iban, Name
from darkroom.text.formats.spec import Spec, words

HIDDEN = "•"


class Pattern(Spec):
    """A pattern; see :mod:`darkroom.text.formats.patterns`."""

    kind: Literal["pattern"] = "pattern"
    pattern: str

    def automaton(self) -> Automaton:
        """Returns the strings that it matches."""
        return compile_pattern(self.pattern)

    def describe(self) -> str:
        """Returns the pattern."""
        return self.pattern


class Card(Spec):
    """A payment card's number, whose last digit checks the others (Luhn).

    Attributes:
        prefix: The first digits, all the same for an issuer.
        digits: How many digits in all.
        separator: Stands between groups of four, or nothing.
    """

    kind: Literal["card"] = "card"
    prefix: str = Field("4", pattern=r"^\d{0,12}$")
    digits: int = Field(16, ge=8, le=19)
    separator: Literal["", " ", "-"] = ""

    def automaton(self) -> Automaton:
        """Returns all numbers that pass the check: a tenth of those with these first digits."""

        def edges(state: tuple[int, int, bool]) -> Iterable[tuple[int, tuple[int, int, bool]]]:
            place, total, separated = state
            if place == self.digits:
                return []
            if self.separator and place and place % 4 == 0 and not separated:
                return [(ord(self.separator), (place, total, True))]
            digits = self.prefix[place] if place < len(self.prefix) else "0123456789"
            doubled = (self.digits - place) % 2 == 0
            return [
                (ord(digit), (place + 1, (total + luhn_value(int(digit), doubled)) % 10, False))
                for digit in digits
            ]

        if len(self.prefix) >= self.digits:
            raise PlanError("secret format card: the prefix leaves no digit: shorten it")
        return explore((0, 0, False), edges, lambda state: state[:2] == (self.digits, 0))


def luhn_value(digit: int, doubled: bool) -> int:
    """Returns what a digit adds to the check sum of a card's number.

    >>> sum(luhn_value(int(d), i % 2 == 0) for i, d in enumerate("4111111111111111")) % 10
    0
    """
    return digit if not doubled else digit * 2 - 9 * (digit > 4)


class Email(Spec):
    """An address made of a first name, a last name and a domain, in the usual three ways.

    Attributes:
        first: First names.
        last: Last names.
        domains: Domains.
    """

    kind: Literal["email"] = "email"
    first: tuple[str, ...] = Field(FIRST, min_length=1)
    last: tuple[str, ...] = Field(LAST, min_length=1)
    domains: tuple[str, ...] = Field(DOMAINS, min_length=1)

    def automaton(self) -> Automaton:
        """Returns ``ann.lee@``, ``a.lee@`` and ``annlee@`` every domain; no address twice."""
        first, last = words(map(str.lower, self.first)), words(map(str.lower, self.last))
        initial = words(name[:1].lower() for name in self.first)
        dot = strings([b"."])
        local = union(
            [
                concatenate([first, dot, last]),
                concatenate([initial, dot, last]),
                concatenate([first, last]),
            ]
        )
        return concatenate([local, strings([b"@"]), words(self.domains)])


class Words(Spec):
    """One of a list of words.

    Attributes:
        words: All of them.
    """

    kind: Literal["words"] = "words"
    words: tuple[str, ...] = Field(min_length=1)

    def automaton(self) -> Automaton:
        """Returns the words, each once."""
        return words(self.words)


AnySpec = Pattern | Card | Email | Words | Iban | Date | Name | Address
FormatSpec = Annotated[AnySpec, Field(discriminator="kind")]

PATTERNS = {
    "ssn": r"\d{3}-\d{2}-\d{4}",
    "passport": r"[CFGHJKLMNPRTVWXYZ][0-9CFGHJKLMNPRTVWXYZ]{8}",
    "api-key": r"sk-[A-Za-z0-9]{32}",
    "pin": r"\d{4}",
    "uuid": r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}",
    "phone": r"\+1-\d{3}-555-\d{4}",
}
"""Formats with a name that are patterns."""

_BUILT = ("card", "email", "iban", "date", "name", "address")
NAMED = (*PATTERNS, *_BUILT, "words")
"""All names; ``card:prefix=51,digits=16``, ``iban:country=ES``, ``words:FILE`` take parameters."""


class SecretFormat:
    r"""A finite set of strings, numbered from 0 in the order of their bytes.

    >>> codes = SecretFormat(Pattern(pattern=r"[AB]-\d"))
    >>> codes.size, codes.at(12), codes.index("B-2"), "C-1" in codes
    (20, 'B-2', 12, False)
    """

    def __init__(self, spec: Spec) -> None:
        """Builds the automaton.

        Args:
            spec: The description.

        Raises:
            PlanError: If the description matches nothing or cannot be read.
        """
        self.spec = spec
        self.automaton = spec.automaton()

    @property
    def size(self) -> int:
        """How many secrets there are; exact, however large."""
        return self.automaton.size

    @property
    def bits(self) -> float:
        """The logarithm of the size to base 2: what a secret is worth when nothing is known."""
        return math.log2(self.size)  # takes whole numbers of any size

    def at(self, index: int) -> str:
        """Returns the secret at a position.

        Raises:
            IndexError: If there is none.
        """
        return self.automaton.at(index).decode()

    def index(self, secret: str) -> int:
        """Returns the position of a secret.

        Raises:
            ValueError: If it is not of this format; the message does not repeat it.
        """
        index = self.automaton.index(secret.encode())
        if index is None:
            raise ValueError("this string is not of the format")
        return index

    def __contains__(self, secret: str) -> bool:
        return self.automaton.index(secret.encode()) is not None

    def sample(self, n: int, rng: np.random.Generator, *, exclude: Iterable[str] = ()) -> list[str]:
        """Draws secrets uniformly, none twice.

        Args:
            n: How many.
            rng: The only source of randomness.
            exclude: Secrets that are not drawn.

        Raises:
            PlanError: If the format has not as many.
        """
        taken = {self.index(secret) for secret in exclude}
        if n > self.size - len(taken):
            raise PlanError(
                f"secret format: {n} secrets wanted, but only {self.size - len(taken)} are there: "
                "widen the format or draw fewer"
            )
        if self.size <= max(4 * (n + len(taken)), 1024):
            order = [int(i) for i in rng.permutation(self.size) if int(i) not in taken]
            return [self.at(index) for index in order[:n]]
        drawn: list[int] = []
        while len(drawn) < n:
            index = _below(self.size, rng)
            if index not in taken:
                taken.add(index)
                drawn.append(index)
        return [self.at(index) for index in drawn]

    @cached_property
    def fixed(self) -> tuple[str | None, ...] | None:
        """The character at each place that all secrets share, ``None`` where they differ.

        ``None`` altogether if secrets differ in length.
        """
        automaton, level, shared = self.automaton, {self.automaton.start}, []
        if automaton.lengths[automaton.start][0] != automaton.lengths[automaton.start][1]:
            return None
        while any(automaton.edges[state] for state in level):
            steps = [edge for state in level for edge in automaton.edges[state]]
            values = {byte for byte, _ in steps}
            only = values.pop() if len(values) == 1 else 0xFF
            shared.append(chr(only) if only < 0x80 else None)
            level = {state for _, state in steps}
        return tuple(shared)

    def mask(self, secret: str) -> str:
        r"""Returns a secret with all that tells it from others hidden.

        >>> SecretFormat(Pattern(pattern=r"ID-\d{3}")).mask("ID-123")
        'ID-•••'
        """
        if self.fixed is None or not secret.isascii():
            return HIDDEN * 6  # the length alone may tell words apart
        return "".join(HIDDEN if kept is None else kept for kept in self.fixed)

    def describe(self) -> str:
        """Names the format in a few words, without listing what it holds."""
        return self.spec.describe()


def make_format(spec: AnySpec | str | dict[str, Any]) -> SecretFormat:
    r"""Returns a format from a plan's or the command line's words.

    Args:
        spec: A description, a mapping of its fields, one of :data:`NAMED` with parameters behind
            a colon, or a pattern.

    Raises:
        PlanError: If it cannot be read.

    >>> make_format("ssn").size, make_format("card:prefix=51").size, make_format(r"[a-f]{2}").size
    (1000000000, 10000000000000, 36)
    """
    if isinstance(spec, dict):
        try:
            parsed: AnySpec = TypeAdapter(FormatSpec).validate_python(spec)
        except ValidationError as error:
            first = error.errors(include_input=False)[0]
            place = ".".join(str(part) for part in first["loc"])
            raise PlanError(f"secret format: {place}: {first['msg']}") from error
        return SecretFormat(parsed)
    if isinstance(spec, str):
        return _from_text(spec)
    return SecretFormat(spec)


def _from_text(text: str) -> SecretFormat:
    name, colon, rest = text.partition(":")
    if name in PATTERNS and not colon:
        return SecretFormat(Pattern(pattern=PATTERNS[name]))
    if name == "words" and colon:
        return SecretFormat(Words(words=tuple(_lines(Path(rest)))))
    if name in _BUILT:
        given = dict(pair.partition("=")[::2] for pair in rest.split(",") if pair)
        return make_format({"kind": name, **given})
    if text.isalpha():
        # A pattern of letters alone matches one string, and so keeps no secret.
        raise PlanError(
            f"secret format {text!r}: {nearest(text, NAMED)}, or a pattern like \\d{{4}}"
        )
    return SecretFormat(Pattern(pattern=text))


def _lines(path: Path) -> Sequence[str]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise PlanError(f"{path}: no readable list of words ({error}): one word a line") from error
    return [line.strip() for line in lines if line.strip()]


def _below(size: int, rng: np.random.Generator) -> int:
    """Draws a whole number below ``size``, however large, each as likely as any other."""
    bits = (size - 1).bit_length()
    while True:
        drawn = int.from_bytes(rng.bytes((bits + 7) // 8), "little") & ((1 << bits) - 1)
        if drawn < size:
            return drawn
