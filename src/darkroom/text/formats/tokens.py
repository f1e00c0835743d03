"""Formats of secrets as a language model sees them: which tokens may follow, across boundaries.

A secret is not tokenised alone but together with the text around it: its first token may begin in
the prompt, and its last may end behind it. What is searched is therefore the language *tail of the
prompt, secret, head of what follows*, between the tokens that stand whatever the secret is. Of the
many ways to cut a text into tokens, a tokenizer gives one, the canonical one, and that is what a
model was trained on.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from darkroom.errors import TargetError
from darkroom.text.formats.automata import concatenate, strings
from darkroom.text.formats.secrets import SecretFormat
from darkroom.text.formats.spelling import Children, Spelling, Spellings
from darkroom.text.targets.base import Blank, Codec, Encoded, Prompt, Tokens

SAMPLES = 96
"""Secrets on which is checked how the tokenizer treats the boundaries."""


class SecretTokens:
    """One secret's place in a text, and the tokens that may stand there.

    Attributes:
        secrets: The format.
        before: The text before the secret.
        prompt: What the model is given to continue.
        spelling: The language of what may follow.
        knows_tokens: Whether every token of the model is known.
        ambiguous: Whether tokens can spell a secret in more ways than the canonical one.
    """

    def __init__(
        self,
        secrets: SecretFormat,
        codec: Codec,
        before: str,
        end: str = "",
        *,
        canonical: bool = True,
        knows_tokens: bool = True,
        spellings: Spellings | None = None,
    ) -> None:
        """Finds out where the tokens begin that depend on the secret.

        Args:
            secrets: The format.
            codec: The tokenizer.
            before: The text before the secret.
            end: Text that follows every secret and belongs to its likelihood. Formats whose
                secrets differ in length need one: a short secret is else likelier than all that
                go on from it.
            canonical: Whether only the tokenizer's own way to cut a text counts.
            knows_tokens: Whether the codec can encode. Where only a server can, the prompt is the
                text, and the tokens are those that the server names.
            spellings: What is known of spellings already; added to.

        Raises:
            TargetError: If the tokenizer cannot spell the format behind this text.
        """
        self.secrets = secrets
        self.before = before
        self.end = end
        self._codec = codec
        self.knows_tokens = knows_tokens
        self._spellings = {} if spellings is None else spellings
        self.prompt: Prompt = before
        self.tail = b""
        if not knows_tokens:
            # Tokens often begin with a space, so the one before the secret is theirs to spell.
            self.prompt = before.rstrip() or before
            self.tail = before[len(self.prompt) :].encode()
            self.spelling = self._spelled(self.tail, end.encode())
            self.ambiguous = False
            return
        tried = probes(secrets)
        encoded = codec.encode([before + secret + end for secret in tried])
        stable = _stable(encoded, len(before.encode()))
        self._prompt: Tokens = encoded[0].opening + encoded[0].tokens[:stable]
        self.prompt = self._prompt
        start = encoded[0].ends[stable - 1] if stable else 0
        self.tail = before.encode()[start:]
        if codec.drops_space:
            self.tail = self.tail.lstrip()
        self.spelling = self._spelled(self.tail, end.encode())
        self._check(tried, [one.tokens[stable:] for one in encoded])
        paths = self.spelling.paths(self.spelling.automaton.start)
        self.ambiguous = canonical and paths != secrets.size

    def _spelled(self, tail: bytes, head: bytes) -> Spelling:
        """Returns the spelling of every secret between a tail and a head."""
        # The automaton is kept alive by the spelling, so its identity stays its own.
        key = (id(self.secrets.automaton), tail, head)
        if key not in self._spellings:
            parts = [self.secrets.automaton]
            if tail:
                parts.insert(0, strings([tail]))
            if head:
                parts.append(strings([head]))
            whole = concatenate(parts) if len(parts) > 1 else parts[0]
            self._spellings[key] = Spelling(whole, self._codec, self.secrets)
        return self._spellings[key]

    def _check(self, tried: Sequence[str], paths: Sequence[Tokens]) -> None:
        """Refuses tokenizers that change the text, such as those that write it small.

        Raises:
            TargetError: As above.
        """
        for secret, path in zip(tried, paths, strict=True):
            if self.spell(path) != secret:
                raise TargetError(
                    f"the tokenizer cannot spell the secret format {self.secrets.describe()!r} "
                    "(it changes or loses characters): choose a format in its own alphabet"
                )

    @property
    def starts(self) -> list[tuple[Prompt, int]]:
        """What the model is given, and the state before the first token; often one pair."""
        return [(self.prompt, self.spelling.automaton.start)]

    def beginning(self, path: Tokens) -> Prompt:  # noqa: ARG002 - the same for every path here
        """Returns what the model is given before a path of tokens."""
        return self.prompt

    def children(self, state: int) -> Children:
        """Returns the tokens that may follow in a state."""
        return self.spelling.children(state)

    def ending(self, children: Children) -> NDArray[np.bool_]:
        """Tells behind which children a secret may be complete."""
        return self.spelling.accepting[children.states]

    def going_on(self, children: Children) -> NDArray[np.bool_]:
        """Tells behind which children a secret may go on."""
        return self.spelling.going_on[children.states]

    def left(self, state: int) -> int:
        """Returns how many secrets can still be reached from a state, at most."""
        return self.spelling.automaton.counts[state]

    def spell(self, path: Tokens) -> str | None:
        """Returns the secret that tokens spell, or ``None`` if they spell none."""
        reached = {(self.spelling.automaton.start, b"")}
        for token in path:
            reached = {
                (int(to), text + spelled)
                for state, text in reached
                for candidate, to, spelled in zip(*self.spelling.children(state), strict=True)
                if candidate == token
            }
        texts = [text for state, text in reached if self.spelling.automaton.accepting[state]]
        return self.secret(texts[0]) if texts else None

    def secret(self, spelled: bytes) -> str:
        """Returns the secret in a complete text of tail, secret and head."""
        return spelled[len(self.tail) : len(spelled) - len(self.end.encode())].decode()

    def encode(self, secrets: Sequence[str]) -> list[Tokens]:
        """Returns the canonical tokens of secrets, behind :attr:`prompt`."""
        encoded = self._codec.encode([self.before + secret + self.end for secret in secrets])
        prompt = len(self._prompt) - len(encoded[0].opening) if encoded else 0
        return [one.tokens[prompt:] for one in encoded]

    def canonical(self, paths: Sequence[Tokens], spelled: Sequence[bytes]) -> list[bool]:
        """Tells whether each path is how the tokenizer cuts the text that it spells.

        The start of a canonical path is canonical itself, so that a path once found wanting needs
        no search: a merge across the cut would have been made in the longer text too.
        """
        stable = self.before.encode()
        stable = stable[: len(stable) - len(self.tail)]
        texts: list[str] = []
        known: list[int] = []
        for number, text in enumerate(spelled):
            try:
                texts.append((stable + text).decode())
            except UnicodeDecodeError:  # the path ends within a character
                continue
            known.append(number)
        answers = [True] * len(paths)
        for number, one in zip(known, self._codec.encode(texts), strict=True):
            whole = one.opening + one.tokens
            answers[number] = whole == self._prompt + paths[number]
        return answers


class FillTokens(SecretTokens):
    """A secret's place in a text with masks, as many as the secret has tokens.

    States are pairs of a state of the spelling and the number of masks left.
    """

    def __init__(
        self,
        secrets: SecretFormat,
        codec: Codec,
        before: str,
        after: str,
        *,
        spellings: Spellings | None = None,
    ) -> None:
        """Finds out where the tokens begin and end that depend on the secret.

        Args:
            secrets: The format.
            codec: The tokenizer.
            before: The text before the secret.
            after: The text behind it.
            spellings: What is known of spellings already; added to.

        Raises:
            TargetError: If the tokenizer cannot spell the format in this text.
        """
        self.secrets = secrets
        self.before = before
        self._codec = codec
        self.knows_tokens = True
        self._spellings = {} if spellings is None else spellings
        tried = probes(secrets)
        encoded = codec.encode([before + secret + after for secret in tried])
        stable = _stable(encoded, len(before.encode()))
        behind = _stable_behind(encoded, len(after.encode()))
        first = encoded[0]
        self._prompt = first.opening + first.tokens[:stable]
        self.prompt = self._prompt
        self._after = first.tokens[len(first.tokens) - behind :] + first.closing
        start = first.ends[stable - 1] if stable else 0
        self.tail = before.encode()[start:]
        whole = len((before + tried[0] + after).encode())
        stop = whole - (first.starts[-behind] if behind else whole)
        head = after.encode()[: len(after.encode()) - stop]
        if codec.drops_space:
            self.tail, head = self.tail.lstrip(), head.rstrip()
        self.end = head.decode()
        self._text_after = after
        self._kept: dict[int, Children] = {}
        self.spelling = self._spelled(self.tail, head)
        self._check(tried, [one.tokens[stable : len(one.tokens) - behind] for one in encoded])
        paths = self.spelling.paths(self.spelling.automaton.start)
        self.ambiguous = paths != secrets.size

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
            (Blank(self._prompt, self._after, masks), start * self._longest + masks)
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
        return Blank(self._prompt, self._after, len(path))

    def encode(self, secrets: Sequence[str]) -> list[Tokens]:
        """Returns the canonical tokens of secrets in their place."""
        encoded = self._codec.encode(
            [self.before + secret + self._text_after for secret in secrets]
        )
        answers = []
        for one in encoded:
            whole = one.opening + one.tokens + one.closing
            answers.append(whole[len(self._prompt) : len(whole) - len(self._after)])
        return answers

    def canonical(self, paths: Sequence[Tokens], spelled: Sequence[bytes]) -> list[bool]:
        """Tells whether each path is how the tokenizer cuts what it spells, in its place.

        Only complete secrets can be told, since what follows may decide how the last tokens are
        cut.
        """
        answers = [True] * len(paths)
        complete = [
            number
            for number, text in enumerate(spelled)
            if self.spelling.automaton.index(text) is not None
        ]
        secrets = [self.secret(spelled[number]) for number in complete]
        for number, tokens in zip(complete, self.encode(secrets), strict=True):
            answers[number] = tokens == paths[number]
        return answers


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
