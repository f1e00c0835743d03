"""What a language model is worth to its users behind a defence: perplexity of held-out lines."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from darkroom.access import LanguageAccess
from darkroom.auditing.record import Utility
from darkroom.defenses.logprobs import LogprobDefense
from darkroom.text.targets.base import (
    Blank,
    Encoded,
    Floats,
    Integers,
    LanguageTarget,
    Prompt,
    free,
)

LINES = 64
"""Lines read side by side: keys and values of all their prefixes are held."""


@dataclass(frozen=True)
class Utilities:
    """What a model is worth behind each defence, measured when it is first asked for.

    Attributes:
        target: The model.
        lines: What it was not trained on.
        seed: Of the defences' noise.
    """

    target: LanguageTarget
    lines: Sequence[str]
    seed: int
    _known: dict[str, Utility] = field(default_factory=dict, init=False, repr=False)

    def behind(self, name: str, defense: LogprobDefense | None) -> Utility:
        """Returns what the model is worth behind a defence.

        Args:
            name: What reports call it.
            defense: It, if there is one.
        """
        if name not in self._known:
            self._known[name] = text_utility(self.target, self.lines, defense, self.seed)
        return self._known[name]


class _Read(NamedTuple):
    """What may stand at some places, and what does.

    Attributes:
        logprobs: Of every token, ``(n, tokens)``.
        truth: The token, ``(n,)``.
    """

    logprobs: Floats
    truth: Integers


def text_utility(
    target: LanguageTarget, lines: Sequence[str], defense: LogprobDefense | None, seed: int
) -> Utility:
    """Returns what the answers to held-out lines are worth; nothing without lines or weights.

    The perplexity is that of who reads the answers and nothing else: the log-probabilities that
    leave the defence, made to add up to one, and for tokens that it hides an even share of what
    is left. A model that fills masks is read with one token masked at a time.

    Args:
        target: The model; a served one is not asked, since every token would be a request.
        lines: What it was not trained on.
        defense: What is changed of its answers, if anything.
        seed: Of the defence's noise.

    Returns:
        The perplexity, and behind a defence the share of places at which the likeliest token
        becomes another. A model that tells nothing of what follows is dead.
    """
    if not lines or not target.access.includes(LanguageAccess.WEIGHTS):
        return Utility()
    rng = np.random.default_rng([seed, 8])
    costs: list[NDArray[np.float64]] = []
    changed: list[NDArray[np.bool_]] = []
    first: Floats | None = None
    alike, tokens = True, 0
    for start in range(0, len(lines), LINES):
        encoded = target.codec.encode(lines[start : start + LINES])
        for read in (_filled if target.masked else _continued)(target, encoded):
            shown = read.logprobs if defense is None else defense(read.logprobs, rng)
            told = as_distribution(shown)
            first = told[:1] if first is None else first
            alike, tokens = alike and np.allclose(told, first, atol=1e-3), told.shape[1]
            costs.append(-told[np.arange(len(told)), read.truth])
            changed.append(told.argmax(axis=1) != read.logprobs.argmax(axis=1))
    if not costs:
        return Utility()
    perplexity = float(np.exp(np.concatenate(costs).mean()))
    return Utility(
        perplexity=perplexity,
        label_changes=None if defense is None else float(np.concatenate(changed).mean()),
        dead=_dead(perplexity, tokens, alike=alike),
    )


def _dead(perplexity: float, tokens: int, *, alike: bool) -> str | None:
    """Says why a model is of no use; ``None`` where it is of some."""
    if alike:
        return "it expects the same tokens after every text"
    if perplexity >= tokens:
        return "it is no better than drawing every token by lot"
    return None


def as_distribution(logprobs: Floats) -> Floats:
    """Returns what a reader makes of answered log-probabilities.

    Args:
        logprobs: ``(n, tokens)``; minus infinity for what is not told.

    Returns:
        The logarithms of shares that add up to one in every row.
    """
    hidden = np.isneginf(logprobs)
    count = hidden.sum(axis=1, keepdims=True)
    total = logsumexp(logprobs, axis=1, keepdims=True)
    # What is told may already add up to one or more; a hidden token is still not impossible.
    rest = np.log(np.maximum(-np.expm1(np.minimum(total, 0.0)), 1e-9) / np.maximum(count, 1))
    filled = np.where(hidden, rest, logprobs)
    shares: Floats = filled - logsumexp(filled, axis=1, keepdims=True)
    return shares


def _continued(target: LanguageTarget, encoded: Sequence[Encoded]) -> Iterator[_Read]:
    """Reads lines from the left, all side by side."""
    starts: list[Prompt] = []
    paths = []
    for one in encoded:
        # Without a mark of the start there is nothing before the first token.
        own = one.opening or one.tokens[:1]
        path = one.tokens if one.opening else one.tokens[1:]
        if path:
            starts.append(own)
            paths.append(path)
    if not paths:
        return
    trie = target.trie()
    prefixes, answers = trie.open(starts, free())
    logprobs, alive = answers.logprobs, np.arange(len(paths))
    for step in range(max(map(len, paths))):
        truth = np.array([paths[row][step] for row in alive.tolist()], np.int64)
        yield _Read(logprobs, truth)
        onward = np.array([len(paths[row]) > step + 1 for row in alive.tolist()])
        if not onward.any():
            break
        alive = alive[onward]
        prefixes, answers = trie.extend(prefixes[onward], truth[onward], free())
        logprobs = answers.logprobs


def _filled(target: LanguageTarget, encoded: Sequence[Encoded]) -> Iterator[_Read]:
    """Reads lines with one token masked at a time."""
    for one in encoded:
        if not one.tokens:
            continue
        blanks: list[Prompt] = [
            Blank(one.opening + one.tokens[:place], one.tokens[place + 1 :] + one.closing, 1)
            for place in range(len(one.tokens))
        ]
        _, answers = target.trie().open(blanks, free())
        yield _Read(answers.logprobs, np.array(one.tokens, np.int64))
