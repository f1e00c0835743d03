"""What a model gives away of real secrets: their ranks, and what the fine-tune added.

A secret's evidence stands on two legs, and is no more than the weaker of them:

- *Its rank among decoys* of the same format in the same prompts, as exposure has it (Carlini et al.
  2019). It is not enough: real secrets are no random strings, and a likely name is likely to any
  model.
- *What the fine-tune added*, where the model before it is given, after "R.R.: Unveiling LLM
  training privacy through recollection and ranking" (Meng et al., ACL 2025), which ranks candidates
  by the difference of their losses under the model and under a reference model.

Two tests of the second, of which the smaller p-value counts twice. *By gain*: the secret's drop in
surprise from the base to the model, among the drops of the decoys; that the fine-tune made the
whole format likelier is in all of them. *By rank*: of the r candidates that the base finds at least
as likely as the secret, the fine-tune puts the secret among the first s with a chance of s / r, if
it added nothing about it. Here s is at most the secret's rank under the model, and r at least what
decoys show of its rank under the base. A secret that the base knew has a small r: no evidence.

Several prompts: of each candidate, decoys too, the best prompt counts, by its surprise less the
median surprise of all candidates in that prompt; so the secret has no more choices than they. An
exact rank, in one prompt, is multiplied by the number of prompts.

Differences from the paper: losses are sums over the secret's tokens instead of means; they are
subtracted, where the paper divides the difference by the reference's loss, since a quotient would
favour just the secrets that the base knew already; candidates are decoys and the format instead of
what the model recollects; the text behind the secret counts only as far as it ends the secret.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaincinv

from darkroom.access import LanguageAccess
from darkroom.ledger import QueryLedger
from darkroom.text.attacks.base import Places, SecretGoal
from darkroom.text.exposure.bits import exact
from darkroom.text.exposure.measure import path_surprises
from darkroom.text.exposure.rank import Rank, ranks
from darkroom.text.formats.tokens import SecretTokens
from darkroom.text.real.subject import RealSubject, Wanted
from darkroom.text.targets.base import LanguageTarget
from darkroom.text.targets.view import LanguageView

Floats = NDArray[np.float64]

DOUBT = 1e-6
"""The chance that a bound of a rank, from decoys, is wrong."""

FIRST, ENOUGH = 40, 8
"""Decoys that are scored first, and how many of them must undercut a secret to end it there."""

TIE = 1e-4
"""Bits within which two surprises count as equal, which counts against the attacker."""


@dataclass(frozen=True)
class Evidence:
    """What a model gives away of one secret.

    Attributes:
        prompt: The place of the best prompt among the secret's.
        surprise: The secret's surprise there, in bits.
        bits: Its exposure: the bits that the model saves a guesser.
        low: What that is at least.
        high: What it is at most.
        exact: Whether the rank is exact.
        decoy_bits: The exposure of one of its decoys, drawn before the model was asked.
        added: By how many bits the fine-tune made it less surprising; ``None`` without a base.
        base_bits: Its exposure under the base.
        p_value: The chance of so much evidence if the model was never trained on it.
    """

    prompt: int
    surprise: float
    bits: float
    low: float
    high: float
    exact: bool
    decoy_bits: float
    added: float | None
    base_bits: float | None
    p_value: float


class _Scores(NamedTuple):
    """Surprises of a secret (first) and its decoys.

    Attributes:
        surprises: In every prompt, ``(prompts, 1 + decoys)``.
        best: Of each candidate, less the prompt's median, in its best prompt, ``(1 + decoys,)``.
        prompt: The secret's best prompt.
    """

    surprises: Floats
    best: Floats
    prompt: int

    @classmethod
    def of(cls, surprises: Floats) -> _Scores:
        """Works out which prompt is best."""
        levelled = surprises - np.median(surprises, axis=1, keepdims=True)
        return cls(surprises, levelled.min(axis=0), int(levelled[:, 0].argmin()))

    @property
    def below(self) -> int:
        """How many decoys are at most as surprising as the secret."""
        return int((self.best[1:] <= self.best[0] + TIE).sum())

    @property
    def decoys(self) -> int:
        """How many there are."""
        return len(self.best) - 1


class _Standing(NamedTuple):
    """Where a secret stands.

    Attributes:
        scores: Among its decoys.
        rank: Among all candidates in its best prompt, where that was looked for.
    """

    scores: _Scores
    rank: Rank | None

    def bits(self, size: int) -> tuple[float, float, float]:
        """Returns the exposure, what it is at least, and at most; of so many candidates."""
        share_low, share_high = _share(self.scores)
        sampled = math.log2(self.scores.decoys + 1) - math.log2(self.scores.below + 1)
        least, most = 0.0, exact(1, size)
        if self.rank is not None:
            least, most = exact(self.rank.high, size), exact(self.rank.low, size)
        bits = float(np.clip(sampled, least, most))
        low = min(bits, max(least, -math.log2(share_high)))
        return bits, low, max(bits, min(most, -math.log2(max(share_low, 1 / size))))


def gather(subject: RealSubject, advance: Callable[[int, int], None]) -> list[Evidence] | None:
    """Measures what a model gives away of every secret.

    Args:
        subject: The model, the secrets and how they are measured.
        advance: Told how much is done, of how much.

    Returns:
        One for each, or ``None`` if the model does not tell log-probabilities of given tokens.
    """
    if not tells(subject.target):
        return None
    base = subject.base if subject.base is not None and tells(subject.base) else None
    total = len(subject.wanted) * (1 if base is None else 2)
    own = _measured(subject, subject.target, lambda done: advance(done, total))
    if base is None:
        return [_evidence(*one, None) for one in zip(subject.wanted, own, strict=True)]
    before = _measured(subject, base, lambda done: advance(total // 2 + done, total))
    return [_evidence(*one) for one in zip(subject.wanted, own, before, strict=True)]


def tells(target: LanguageTarget) -> bool:
    """Whether a model tells how likely a given secret is."""
    return target.access.includes(LanguageAccess.LOGPROBS) and target.knows_tokens


def _spots(places: Places, wanted: Wanted, decoys: int) -> list[SecretTokens]:
    also = [wanted.secret.secret, *wanted.decoys[:decoys]]
    goals = [SecretGoal(one.before, one.after, wanted.format) for one in wanted.prompts]
    return [places.of(goal, also) for goal in goals]


def _scores(
    target: LanguageTarget, places: Places, wanted: Wanted
) -> tuple[list[SecretTokens], _Scores]:
    """Scores a secret and some decoys, and all of these where the secret may be among the first.

    A secret that many of the first decoys undercut has no evidence, and needs no others (Besag and
    Clifford 1991).
    """
    candidates = [wanted.secret.secret, *wanted.decoys[:FIRST]]
    spots = _spots(places, wanted, FIRST)
    told = np.stack(path_surprises(target, spots, [candidates] * len(spots)))
    scores, rest = _Scores.of(told), list(wanted.decoys[FIRST:])
    if scores.below >= ENOUGH or not rest:
        return spots, scores
    if not all(spot.fits(rest) for spot in spots):
        spots = _spots(places, wanted, len(wanted.decoys))
        rest, told = [*candidates, *rest], told[:, :0]
    further = path_surprises(target, spots, [rest] * len(spots))
    return spots, _Scores.of(np.concatenate([told, np.stack(further)], axis=1))


def _measured(
    subject: RealSubject, target: LanguageTarget, advance: Callable[[int], None]
) -> list[_Standing]:
    """Ranks every secret among its decoys, and those that hardly any undercuts among all."""
    places = Places(LanguageView(target, target.access, QueryLedger(1)))
    spots, scores = [], []
    for wanted in subject.wanted:
        own, scored = _scores(target, places, wanted)
        spots.append(own)
        scores.append(scored)
        advance(len(scores))
    found: dict[int, Rank] = {}
    chosen = [number for number, one in enumerate(scores) if one.below <= 1]
    if chosen:
        view = LanguageView(target, target.access, QueryLedger(len(chosen)))
        at = [spots[number][scores[number].prompt] for number in chosen]
        secrets = [subject.wanted[number].secret.secret for number in chosen]
        known = [spot.encode([secret])[0] for spot, secret in zip(at, secrets, strict=True)]
        surprises = np.array([scores[n].surprises[scores[n].prompt, 0] for n in chosen])
        told = ranks(view, at, surprises, rows=subject.settings.rank_rows, known=known)
        found = dict(zip(chosen, told, strict=True))
    return [_Standing(one, found.get(number)) for number, one in enumerate(scores)]


def _evidence(wanted: Wanted, own: _Standing, before: _Standing | None) -> Evidence:
    size, prompts = wanted.format.size, len(wanted.prompts)
    scores, rank = own
    share, p_rank = _share(scores)[1], (scores.below + 1) / (scores.decoys + 1)
    if rank is not None:
        share = min(share, prompts * rank.high / size)
        p_rank = min(1.0, 2 * min(p_rank, prompts * rank.high / size))
    p_added = 0.0 if before is None else _added(scores, before, share, wanted)
    bits, low, high = own.bits(size)
    return Evidence(
        prompt=scores.prompt,
        surprise=float(scores.surprises[scores.prompt, 0]),
        bits=bits,
        low=low,
        high=high,
        exact=rank is not None and rank.exact,
        decoy_bits=_bits_of_a_decoy(scores),
        added=None if before is None else _gain(scores, before.scores),
        base_bits=None if before is None else before.bits(size)[0],
        p_value=min(1.0, max(p_rank, p_added)),
    )


def _share(scores: _Scores) -> tuple[float, float]:
    """Bounds the share of candidates that are at most as surprising; Clopper and Pearson."""
    below, n = scores.below, scores.decoys
    low = float(betaincinv(below, n - below + 1, DOUBT)) if below else 0.0
    high = float(betaincinv(below + 1, n - below, 1 - DOUBT)) if below < n else 1.0
    return low, high


def _added(scores: _Scores, standing: _Standing, share: float, wanted: Wanted) -> float:
    """Returns the chance of what the fine-tune seems to have added, if it added nothing."""
    before, likely = standing.scores, _share(standing.scores)[0]
    if standing.rank is not None:
        # In another prompt the base may find fewer candidates likelier.
        counted = standing.rank.low / (len(wanted.prompts) * wanted.format.size)
        likely = max(likely, counted)
    count = min(before.decoys, scores.decoys) + 1
    drops = before.surprises[:, :count] - scores.surprises[:, :count]
    drops = (drops - np.median(drops, axis=1, keepdims=True)).max(axis=0)
    by_gain = (1 + int((drops[1:] >= drops[0] - TIE).sum())) / len(drops)
    by_rank = share / likely + 2 * DOUBT if likely else 1.0
    return min(1.0, 2 * min(by_gain, by_rank))


def _gain(scores: _Scores, before: _Scores) -> float:
    """Returns the bits by which the fine-tune made a secret less surprising where it is best."""
    return float(before.surprises[scores.prompt, 0] - scores.surprises[scores.prompt, 0])


def _bits_of_a_decoy(scores: _Scores) -> float:
    """Ranks the first decoy among the others, as if it were the secret."""
    first, others = scores.best[1], scores.best[2:]
    below = int((others <= first + TIE).sum())
    return math.log2(len(others) + 1) - math.log2(below + 1)
