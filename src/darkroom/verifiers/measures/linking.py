"""Whether templates of one person in two stores can be told to belong together."""

from __future__ import annotations

import numpy as np

from darkroom.verifiers.protection.base import Floats, Protection
from darkroom.verifiers.targets.base import Labels

FEWEST, MOST_BINS = 10, 100


def unlinkability(mated: Floats, others: Floats, *, ratio: float = 1.0) -> float:
    """Returns how linkable a protection is, from 0 for not at all to 1 for fully.

    Gomez-Barrero, Galbally, Rathgeb and Busch (2018, "General framework to evaluate unlinkability
    in biometric template protection systems"), on which ISO/IEC 30136 draws: with the likelihood
    ratio LR of a linkage score s between mated and non-mated pairs, the local measure is 0 where
    ``ratio * LR <= 1``, and else ``2 ratio LR / (1 + ratio LR) - 1``; the global one,
    D<->sys, is its mean over mated pairs. As in the authors' program, both densities are
    histograms with the same bins, one for each ten mated pairs and 100 at most.

    Args:
        mated: Linkage scores of pairs of one person, ``(n,)``.
        others: Of pairs of two people, ``(m,)``.
        ratio: The odds of a mated pair before it is looked at, 1 as in the paper.
    """
    bins = int(np.clip(len(mated) // FEWEST, 1, MOST_BINS))
    low, high = min(mated.min(), others.min()), max(mated.max(), others.max())
    if not high > low:
        return 0.0
    edges = np.linspace(low, high, bins + 1)
    together = np.histogram(mated, edges)[0] / len(mated)
    apart = np.histogram(others, edges)[0] / len(others)
    with np.errstate(divide="ignore", invalid="ignore"):
        odds = ratio * together / apart
        local = np.where(odds > 1, 2 * odds / (1 + odds) - 1, 0.0)
    local = np.where((apart == 0) & (together > 0), 1.0, local)
    return float((together * np.nan_to_num(local)).sum())


def linkage(
    protection: Protection, one: Floats, other: Floats, people: Labels, *, keys: tuple[int, int]
) -> tuple[Floats, Floats]:
    """Returns linkage scores of two stores that were protected with different keys.

    Args:
        protection: Of both.
        one: Templates of one store, ``(n, size)``.
        other: Templates of the same people from other photos, ``(n, size)``.
        people: Who each is, ``(n,)``.
        keys: Of the two stores; people have keys of their own where the protection has.

    Returns:
        Scores of mated pairs, ``(n,)``, and of non-mated ones.
    """
    first = protection.stored(one, people, keys[0])
    second = protection.stored(other, people, keys[1])
    scores = protection.scores(first, second)
    same = people[:, None] == people
    return scores[same], scores[~same]
