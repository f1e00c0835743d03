"""Where the tokens begin and end that depend on a secret, found by trying secrets.

A tokenizer may join the first or last characters of a secret with the text around it, and does so
for some secrets and not for others (``7.`` may be a token where ``6.`` is none). What is the same
for all of them stands whatever the secret is.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from darkroom.text.formats.secrets import SecretFormat
from darkroom.text.targets.base import Codec, Encoded, Tokens

SAMPLES = 96
"""Secrets on which is checked how the tokenizer treats the boundaries."""

_REACH = 16
"""Bytes of the text around a secret that one token may hold beside a part of the secret."""

_JOINED = 24
"""Secrets tried for each number of bytes that a token may take from the text around."""

_LISTED = 4096
"""A format of so many secrets is looked through for one that ends in a given way."""


class Boundaries(NamedTuple):
    """A text, parted into what depends on the secret and what does not.

    Attributes:
        prompt: The tokens before, with marks of the start.
        following: The tokens behind, with marks of the end.
        tail: The end of the text before that is not in :attr:`prompt`.
        head: The start of the text behind that is not in :attr:`following`.
        paths: The tokens between, of each secret tried.
    """

    prompt: Tokens
    following: Tokens
    tail: bytes
    head: bytes
    paths: tuple[Tokens, ...]


def find_boundaries(
    codec: Codec, before: str, after: str, tried: Sequence[str], *, ended: bool = False
) -> Boundaries:
    """Returns what stands whichever of some secrets is in a text.

    Args:
        codec: The tokenizer.
        before: The text before the secret.
        after: The text behind it.
        tried: The secrets.
        ended: Whether the token behind the secret belongs to it even if no secret is joined with
            it: a short secret is else likelier than all that go on from it.
    """
    encoded = codec.encode([before + secret + after for secret in tried])
    first = encoded[0]
    stable = _stable(encoded, len(before.encode()))
    behind = _stable_behind(encoded, len(after.encode()))
    start = first.ends[stable - 1] if stable else 0
    whole = len((before + tried[0] + after).encode())

    def head(count: int) -> bytes:
        kept = whole - (first.starts[-count] if count else whole)
        cut = after.encode()[: len(after.encode()) - kept]
        return cut.rstrip() if codec.drops_space else cut

    if ended and behind and not head(behind):
        behind -= 1
    tail = before.encode()[start:]
    return Boundaries(
        first.opening + first.tokens[:stable],
        first.tokens[len(first.tokens) - behind :] + first.closing,
        tail.lstrip() if codec.drops_space else tail,
        head(behind),
        tuple(one.tokens[stable : len(one.tokens) - behind] for one in encoded),
    )


def probes(secrets: SecretFormat) -> list[str]:
    """Returns secrets that show how a tokenizer treats the boundaries: every one, or a sample.

    The first byte decides most, so every first byte is among them.
    """
    if secrets.size <= SAMPLES:
        return [secrets.at(index) for index in range(secrets.size)]
    automaton = secrets.automaton
    chosen = {0, secrets.size - 1}
    index = int(automaton.accepting[automaton.start])
    for _, state in automaton.edges[automaton.start]:
        chosen |= {index, index + automaton.counts[state] - 1}
        index += automaton.counts[state]
    drawn = secrets.sample(SAMPLES, np.random.default_rng(0))
    return list(dict.fromkeys([*(secrets.at(place) for place in sorted(chosen)), *drawn]))


class Reach:
    """How far a token of a vocabulary may reach from a text into another that is put behind it."""

    def __init__(self, vocabulary: Sequence[bytes | None]) -> None:
        """Looks through the vocabulary once.

        Args:
            vocabulary: The bytes of every token.
        """
        self._words = [word for word in vocabulary if word is not None and len(word) > 1]
        reach = range(1, _REACH + 1)
        self._starts = {w[:count] for w in self._words for count in reach if count < len(w)}
        self._ends = {w[-count:] for w in self._words for count in reach if count < len(w)}

    def shared(self, before: str, after: str) -> tuple[bytes, bytes]:
        """Returns what one token may hold, at most, of the texts before and behind a secret."""
        lead, rest = before.encode(), after.encode()
        most = range(min(_REACH, len(lead)), 0, -1), range(min(_REACH, len(rest)), 0, -1)
        left = next((count for count in most[0] if lead[-count:] in self._starts), 0)
        right = next((count for count in most[1] if rest[:count] in self._ends), 0)
        return lead[len(lead) - left :], rest[:right]

    def joined(self, secrets: SecretFormat, lead: bytes, rest: bytes) -> list[str]:
        """Returns secrets with which a token of the vocabulary may reach over a boundary.

        Args:
            secrets: The format.
            lead: What a token may hold of the text before, from :meth:`shared`.
            rest: What it may hold of the text behind.
        """
        makers = _Makers(secrets, np.random.default_rng(0))
        found: dict[bytes, None] = {}
        for count in range(1, len(lead) + 1):
            own = lead[-count:]
            parts = [w[count:] for w in self._words if w.startswith(own) and len(w) > count]
            found.update(dict.fromkeys(makers.some(parts, front=True)))
        for count in range(1, len(rest) + 1):
            own = rest[:count]
            parts = [w[:-count] for w in self._words if w.endswith(own) and len(w) > count]
            found.update(dict.fromkeys(makers.some(parts, front=False)))
        return [one.decode() for one in found]


class _Makers:
    """Makes secrets that begin, or end, in a given way."""

    def __init__(self, secrets: SecretFormat, rng: np.random.Generator) -> None:
        every = range(secrets.size) if secrets.size <= _LISTED else ()
        self._listed: list[bytes] = [secrets.at(index).encode() for index in every]
        drawn = [one.encode() for one in probes(secrets)]
        self._bases: list[bytes] = [drawn[place] for place in rng.permutation(len(drawn))[:16]]
        self._automaton = secrets.automaton
        self._rng = rng

    def some(self, parts: Sequence[bytes], *, front: bool) -> Iterator[bytes]:
        """Yields a secret for each part that there is one for, a few at most."""
        left = _JOINED
        for place in self._rng.permutation(len(parts)):
            one = (self._beginning if front else self._ending)(parts[place])
            if one is not None:
                yield one
                left -= 1
            if not left:
                return

    def _beginning(self, part: bytes) -> bytes | None:
        state = self._automaton.walk(part)
        if state is None:
            return None
        for base in self._bases:
            changed = part + base[len(part) :]
            if self._automaton.index(changed) is not None:
                return changed
        while not self._automaton.accepting[state]:
            byte, state = self._automaton.edges[state][0]
            part += bytes([byte])
        return part

    def _ending(self, part: bytes) -> bytes | None:
        for base in self._bases:
            changed = base[: -len(part)] + part
            if self._automaton.index(changed) is not None:
                return changed
        return next((one for one in self._listed if one.endswith(part)), None)


def _stable(encoded: Sequence[Encoded], boundary: int) -> int:
    """Returns how many first tokens are the same whatever the secret, and lie before it."""
    shared = _shared([one.tokens for one in encoded])
    within = min(sum(end <= boundary for end in one.ends) for one in encoded)
    return min(shared, within)


def _stable_behind(encoded: Sequence[Encoded], length: int) -> int:
    """Returns how many last tokens are the same whatever the secret, and lie behind it."""
    shared = _shared([one.tokens[::-1] for one in encoded])
    within = min(
        sum(start >= one.ends[-1] - length for start in one.starts) if one.ends else 0
        for one in encoded
    )
    return min(shared, within)


def _shared(rows: Sequence[Tokens]) -> int:
    """Returns how many first tokens all rows have in common."""
    return next(
        (place for place, column in enumerate(zip(*rows, strict=False)) if len(set(column)) > 1),
        min(map(len, rows)),
    )
