"""What a model gives away of each canary: surprise, rank and exposure.

The audit asks the model itself, behind no defence; none of it is the attacker's cost.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from darkroom.access import LanguageAccess
from darkroom.errors import DataError
from darkroom.ledger import QueryLedger
from darkroom.text.attacks.base import Places, SecretGoal
from darkroom.text.canaries import Canary
from darkroom.text.exposure.bits import exact, extrapolated, sampled
from darkroom.text.exposure.rank import Rank, ranks
from darkroom.text.formats.tokens import SecretTokens
from darkroom.text.subject import TextSubject
from darkroom.text.targets.base import LanguageTarget, Prompt, Tokens, free
from darkroom.text.targets.view import LanguageView

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Exposure:
    """How far a model gives a secret away.

    Attributes:
        surprise: Its negative log-probability in bits.
        bits: The estimate of its exposure.
        low: What it is at least.
        high: What it is at most.
        method: ``exact`` from the rank among all candidates, ``sampled`` from references.
        p_value: The chance that a secret which the model never saw has as high an exposure.
        extrapolated: The exposure by a skew-normal fitted to the references, cut at the format's
            bits, where there were references; and
        fit: the p-value of that fit.
    """

    surprise: float
    bits: float
    low: float
    high: float
    method: str
    p_value: float
    extrapolated: float | None = None
    fit: float | None = None


def measure(
    target: LanguageTarget,
    subject: TextSubject,
    canaries: Sequence[Canary],
    advance: Callable[[int, int], None],
) -> list[Exposure] | None:
    """Measures the exposure of canaries.

    Args:
        target: The model.
        subject: How much to spend.
        canaries: Whose secrets.
        advance: Told how much is done, of how much.

    Returns:
        One for each, or ``None`` if the model does not tell log-probabilities of given tokens.
    """
    if not target.access.includes(LanguageAccess.LOGPROBS) or not target.knows_tokens:
        return None
    view = LanguageView(target, target.access, QueryLedger(len(canaries)))
    places = Places(view)
    goals = [SecretGoal(one.before, one.after, one.format) for one in canaries]
    spots = [places.of(goal, [one.secret]) for goal, one in zip(goals, canaries, strict=True)]
    surprises, found = _searched(target, view, spots, subject, canaries, advance)
    rng = np.random.default_rng([subject.seed, 7])
    answers: list[Exposure] = []
    for number, (canary, spot, surprise, rank) in enumerate(
        zip(canaries, spots, surprises, found, strict=True)
    ):
        if rank.exact:
            answers.append(_exact(float(surprise), rank, canary.format.size))
        else:
            drawn = _references(subject, canary, rng)
            if not spot.fits(drawn):
                spot = places.of(goals[number], [canary.secret, *drawn])
            answers.append(_sampled(target, spot, canary, drawn, rank))
        advance(len(canaries) + number + 1, 2 * len(canaries))
    return answers


def _searched(
    target: LanguageTarget,
    view: LanguageView,
    spots: Sequence[SecretTokens],
    subject: TextSubject,
    canaries: Sequence[Canary],
    advance: Callable[[int, int], None],
) -> tuple[Floats, list[Rank]]:
    """Returns the surprise of each canary's secret, and its rank as far as the rows go."""
    truths = [[one.secret] for one in canaries]
    surprises = np.array([row[0] for row in path_surprises(target, spots, truths)])
    alone = [path_surprises(target, [spots[n]], [truths[n]])[0][0] for n in range(len(spots))[:4]]
    rows = subject.rank_rows
    found = ranks(
        view,
        spots,
        surprises,
        rows=rows,
        known=[spot.encode(one)[0] for spot, one in zip(spots, truths, strict=True)],
        # Single precision and half of it answer otherwise in other batches.
        tolerance=4 * float(np.abs(alone - surprises[: len(alone)]).max()),
        advance=lambda spent: advance(spent, 2 * rows * len(canaries)),
    )
    return surprises, found


def _exact(surprise: float, rank: Rank, size: int) -> Exposure:
    bits = exact(rank.low, size)
    return Exposure(surprise, bits, bits, bits, "exact", rank.low / size)


def _references(subject: TextSubject, canary: Canary, rng: np.random.Generator) -> list[str]:
    """Draws what a secret is ranked among."""
    most = min(subject.references, canary.format.size - 1)
    return canary.format.sample(most, rng, exclude=[canary.secret])


def _sampled(
    target: LanguageTarget,
    spot: SecretTokens,
    canary: Canary,
    drawn: Sequence[str],
    rank: Rank,
) -> Exposure:
    """Ranks a secret among references, within what the search has shown already."""
    secrets = canary.format
    own, *others = path_surprises(target, [spot], [[canary.secret, *drawn]])[0]
    surprise, references = float(own), np.array(others)
    one = sampled(np.array([surprise]), references)
    below = int((references <= surprise).sum())
    # From the search: the rank is at least and at most this.
    least, most = exact(rank.high, secrets.size), exact(rank.low, secrets.size)
    low = max(float(one.low[0]), least)
    high = max(most, low)
    bits = float(np.clip(one.exposure[0], low, high))
    try:
        fitted = extrapolated(np.array([surprise]), references)
        further, fit = min(float(fitted.exposure[0]), secrets.bits), fitted.fit
    except DataError:
        further, fit = None, None
    # Either alone would be valid; the smaller of two counts double.
    p_value = min(1.0, 2 * min((below + 1) / (len(references) + 1), rank.high / secrets.size))
    return Exposure(surprise, bits, low, high, "sampled", p_value, further, fit)


def path_surprises(
    target: LanguageTarget, spots: Sequence[SecretTokens], secrets: Sequence[Sequence[str]]
) -> list[Floats]:
    """Returns the surprise of secrets in their places, along the way on which a search goes.

    Args:
        target: The model.
        spots: The places.
        secrets: The secrets to try in each.

    Returns:
        For each place one number for each secret, in bits.
    """
    paths, starts, owners = [], [], []
    for owner, (spot, some) in enumerate(zip(spots, secrets, strict=True)):
        for path in spot.encode(list(some)):
            paths.append(path)
            starts.append(spot.beginning(path))
            owners.append(owner)
    totals = _along(target, starts, paths)
    return [totals[np.array(owners) == owner] for owner in range(len(spots))]


def _along(target: LanguageTarget, starts: Sequence[Prompt], paths: Sequence[Tokens]) -> Floats:
    """Returns the surprise of each path of tokens behind its start, in bits."""
    trie = target.trie()
    different = list(dict.fromkeys(starts))
    numbers, answers = trie.open(different, free())
    known = {start: place for place, start in enumerate(different)}
    rows = np.array([known[start] for start in starts])
    prefixes, logprobs = numbers[rows], answers.logprobs[rows]
    totals = np.zeros(len(paths))
    alive = np.arange(len(paths), dtype=np.intp)
    for step in range(max(map(len, paths))):
        tokens = np.array([paths[row][step] for row in alive.tolist()])
        totals[alive] -= logprobs[np.arange(len(alive)), tokens] / math.log(2)
        onward = np.array([len(paths[row]) > step + 1 for row in alive.tolist()])
        alive, prefixes, tokens = alive[onward], prefixes[onward], tokens[onward]
        if not len(alive):
            break
        # Secrets that begin alike are asked about once.
        pairs, inverse = np.unique(np.stack([prefixes, tokens]), axis=1, return_inverse=True)
        grown, following = trie.extend(pairs[0], pairs[1], free())
        prefixes = grown[inverse.ravel()]
        logprobs = following.logprobs[inverse.ravel()]
    return totals
