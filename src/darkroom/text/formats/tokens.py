"""Formats of secrets as a language model sees them: which tokens may follow, across boundaries.

A secret is not tokenised alone but together with the text around it: its first token may begin in
the prompt, and its last may end behind it. What is searched is therefore the language *tail of the
prompt, secret, head of what follows*, between the tokens that stand whatever the secret is. Of the
many ways to cut a text into tokens, a tokenizer gives one, the canonical one, and that is what a
model was trained on.

Most tokenizers cut the beginning of a text as they cut it within the whole, so that a partial
secret that they would cut otherwise leads to no canonical one. Some do not: those that group digits
from the right look at what follows. Which kind it is, is tried.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Self

import numpy as np
from numpy.typing import NDArray

from darkroom.errors import TargetError
from darkroom.text.formats.automata import Automaton, concatenate, strings
from darkroom.text.formats.boundaries import Boundaries, Reach, find_boundaries, probes
from darkroom.text.formats.secrets import SecretFormat
from darkroom.text.formats.spelling import Children, Spelling
from darkroom.text.targets.base import Codec, Prompt, Tokens

_UNKNOWN_REACH = 8
"""Bytes behind a secret that a token may hold beside its end, where tokens are not known."""

_TRIED = 256
"""Secrets on which is tried whether the beginnings of canonical paths are canonical."""


class Known:
    """What is known of formats and a tokenizer, shared by all places of an audit.

    Formats are kept by the identity of their automata, which what is kept keeps alive.
    """

    def __init__(self) -> None:
        """Starts empty."""
        self._spellings: dict[tuple[int, bytes, tuple[bytes, ...]], Spelling] = {}
        self._tried: dict[tuple[int, bytes, bytes], tuple[SecretFormat, list[str]]] = {}
        self._reach: Reach | None = None

    def tried(self, secrets: SecretFormat, codec: Codec, before: str, after: str) -> list[str]:
        """Returns secrets that show how the tokenizer treats the boundaries."""
        if self._reach is None:
            self._reach = Reach(codec.vocabulary)
        lead, rest = self._reach.shared(before, after)
        key = (id(secrets.automaton), lead, rest)
        if key not in self._tried:
            own = self._reach.joined(secrets, lead, rest)
            self._tried[key] = secrets, list(dict.fromkeys([*probes(secrets), *own]))
        return self._tried[key][1]

    def spelling(
        self, secrets: SecretFormat, codec: Codec, tail: bytes, heads: Sequence[bytes]
    ) -> Spelling:
        """Returns the spelling of every secret between a tail and one of some heads."""
        key = (id(secrets.automaton), tail, tuple(heads))
        if key not in self._spellings:
            parts: list[Automaton] = [secrets.automaton]
            if tail:
                parts.insert(0, strings([tail]))
            if any(heads):
                parts.append(strings(heads))
            whole = concatenate(parts) if len(parts) > 1 else parts[0]
            self._spellings[key] = Spelling(whole, codec, secrets)
        return self._spellings[key]


class SecretTokens:
    """One secret's place in a text, and the tokens that may stand there.

    Attributes:
        secrets: The format.
        before: The text before the secret.
        after: The text behind it.
        prompt: What the model is given to continue.
        tail: The end of the text before that is spelled with the secret.
        head: The start of the text behind that is.
        spelling: The language of what may follow.
        knows_tokens: Whether every token of the model is known.
        ambiguous: Whether tokens can spell a secret in more ways than the canonical one.
        prunes: Whether what begins no canonical path is told by itself, and need not be followed.
    """

    def __init__(
        self,
        secrets: SecretFormat,
        codec: Codec,
        before: str,
        after: str = "",
        *,
        knows_tokens: bool = True,
        known: Known | None = None,
        also: Sequence[str] = (),
    ) -> None:
        """Finds out where the tokens begin and end that depend on the secret.

        Args:
            secrets: The format.
            codec: The tokenizer.
            before: The text before the secret.
            after: The text behind it. What a token may share with the secret belongs to its
                likelihood, and so does what follows where secrets differ in length: a short one
                is else likelier than all that go on from it.
            knows_tokens: Whether the codec can encode. Where only a server can, the prompt is the
                text, and the tokens are those that the server names.
            known: What is known of the format already; added to.
            also: Secrets that must fit, beside those that are tried anyway.

        Raises:
            TargetError: If the tokenizer cannot spell the format in this text.
        """
        self.secrets = secrets
        self.before = before
        self.after = after
        self._codec = codec
        self._known = Known() if known is None else known
        self.knows_tokens = knows_tokens
        self.prompt: Prompt = before
        if not knows_tokens:
            self._open_unknown()
            return
        tried = self._known.tried(secrets, codec, before, after)
        tried = list(dict.fromkeys([*tried, *also]))
        found = find_boundaries(codec, before, after, tried, ended=self._ended)
        self._prompt, self._following = found.prompt, found.following
        self.prompt = self._prompt
        self.tail, self.head = found.tail, found.head
        self.spelling = self._known.spelling(secrets, codec, self.tail, [self.head])
        self._check(tried, found.paths)
        paths = self.spelling.paths(self.spelling.automaton.start)
        self.ambiguous = paths != secrets.size
        self.prunes = self.ambiguous and self._beginnings_hold(found)

    @property
    def _ended(self) -> bool:
        """Whether what follows a secret tells where it ends."""
        shortest, longest = self.secrets.automaton.lengths[self.secrets.automaton.start]
        return shortest != longest

    def _open_unknown(self) -> None:
        """Takes the text as the prompt, and what may follow the secret as far as a token may go."""
        # Tokens often begin with a space, so the one before the secret is theirs to spell.
        self.prompt = self.before.rstrip() or self.before
        self.tail = self.before[len(self.prompt) :].encode()
        self.head = b""
        after = self.after.encode()
        least = min(int(self._ended), len(after))
        heads = [after[:count] for count in range(least, min(_UNKNOWN_REACH, len(after)) + 1)]
        self.spelling = self._known.spelling(self.secrets, self._codec, self.tail, heads)
        self.ambiguous = False
        self.prunes = False

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

    def _beginnings_hold(self, found: Boundaries) -> bool:
        """Tells whether every beginning of the canonical paths tried is canonical itself."""
        if self.spelling.beginnings_hold is None:
            paths, spelled = [], []
            for path in found.paths[-_TRIED:]:
                words = [self._codec.vocabulary[token] or b"" for token in path]
                for count in range(1, len(path)):
                    paths.append(path[:count])
                    spelled.append(b"".join(words[:count]))
            self.spelling.beginnings_hold = all(self._cut_so(paths, spelled))
        return self.spelling.beginnings_hold

    def unpruned(self) -> Self:
        """Returns the same place where every partial path is followed, canonical or not."""
        other = copy.copy(self)
        other.prunes = False
        return other

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
        onward = self.spelling.going_on[children.states]
        if not self.knows_tokens and not self._ended:
            # What follows a complete secret tells nothing of it.
            onward = onward & ~self.ending(children)
        return onward

    def left(self, state: int) -> int:
        """Returns how many secrets can still be reached from a state, at most."""
        return self.spelling.automaton.counts[state]

    def spell(self, path: Tokens) -> str | None:
        """Returns the secret that tokens spell, or ``None`` if they spell none."""
        reached = {(self.spelling.automaton.start, b"")}
        for token in path:
            after: set[tuple[int, bytes]] = set()
            for state, text in reached:
                children = self.spelling.children(state)
                for place in np.flatnonzero(children.tokens == token).tolist():
                    after.add((int(children.states[place]), text + children.spelled[place]))
            reached = after
        texts = [text for state, text in reached if self.spelling.automaton.accepting[state]]
        return self.secret(texts[0]) if texts else None

    def secret(self, spelled: bytes) -> str:
        """Returns the secret in a complete text of tail, secret and head."""
        own = spelled[len(self.tail) :]
        if self.knows_tokens:
            return own[: len(own) - len(self.head)].decode()
        after = self.after.encode()
        cuts = (own[: len(own) - count] for count in range(len(own)) if own.endswith(after[:count]))
        return next(one for one in cuts if self.secrets.automaton.index(one) is not None).decode()

    def encode(self, secrets: Sequence[str]) -> list[Tokens]:
        """Returns the canonical tokens of secrets in their place, behind :attr:`prompt`."""
        first, last = len(self._prompt), len(self._following)
        return [whole[first : len(whole) - last] for whole in self._whole(secrets)]

    def _whole(self, secrets: Sequence[str]) -> list[Tokens]:
        """Returns all tokens of the texts with some secrets in them."""
        encoded = self._codec.encode([self.before + secret + self.after for secret in secrets])
        return [one.opening + one.tokens + one.closing for one in encoded]

    def fits(self, secrets: Sequence[str]) -> bool:
        """Tells whether the boundaries hold for secrets that were perhaps not tried."""
        first, last = len(self._prompt), len(self._following)
        return all(
            whole[:first] == self._prompt
            and whole[len(whole) - last :] == self._following
            and self.spell(whole[first : len(whole) - last]) == secret
            for secret, whole in zip(secrets, self._whole(secrets), strict=True)
        )

    def canonical(
        self, paths: Sequence[Tokens], spelled: Sequence[bytes], *, complete: bool
    ) -> list[bool]:
        """Tells whether each path is, or may begin, how the tokenizer cuts a secret in its place.

        Args:
            paths: The tokens.
            spelled: What each spells.
            complete: Whether they are meant as whole secrets, or as their beginnings.
        """
        if complete:
            texts = self.encode([self.secret(text) for text in spelled])
            return [tokens == path for tokens, path in zip(texts, paths, strict=True)]
        return self._cut_so(paths, spelled) if self.prunes else [True] * len(paths)

    def _cut_so(self, paths: Sequence[Tokens], spelled: Sequence[bytes]) -> list[bool]:
        """Tells whether the tokenizer cuts the beginning of a text as each path does."""
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
