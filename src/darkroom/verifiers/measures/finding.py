"""Whether the person behind a leaked template can be found among candidates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from darkroom.statistics.intervals import Interval, clopper_pearson
from darkroom.statistics.means import mean_interval
from darkroom.verifiers.protection.alignment import laid_over, procrustes, regressed
from darkroom.verifiers.protection.base import Floats, Protection, own_key
from darkroom.verifiers.protection.outliers import mean_of
from darkroom.verifiers.targets.base import Labels


class Found(NamedTuple):
    """Where the right person stands among candidates.

    Attributes:
        first: How often first, with the 95% interval.
        median: The median rank, from 1.
        bits: The bits gained over a rank by lot, on average over templates, with the 95% interval.
        candidates: Among how many.
    """

    first: Interval
    median: float
    bits: Interval
    candidates: int

    @classmethod
    def of(cls, scores: Floats) -> Found:
        """Ranks, equals by lot on average.

        Args:
            scores: Of each leaked template for each candidate, ``(n, candidates)``; the right ones
                are on the diagonal.
        """
        own = np.diag(scores)[:, None]
        above, ties = (scores > own).sum(axis=1), (scores == own).sum(axis=1) - 1
        ranks = 1 + above + ties / 2
        n, candidates = scores.shape
        lot = float(np.log2(np.arange(1, candidates + 1)).mean())
        first = clopper_pearson(int((ranks <= 1).sum()), n)
        bits = mean_interval(lot - np.log2(ranks), lowest=0.0, highest=lot)
        return cls(first, float(np.median(ranks)), bits, candidates)


def found_with_key(
    protection: Protection, stored: Floats, candidates: Floats, people: Labels, key: int
) -> Found:
    """Ranks candidates by an attacker who knows the keys, and protects candidates likewise.

    Args:
        protection: Of the store.
        stored: Templates of the people, before they are protected, ``(n, size)``.
        candidates: Templates of other photos of the same people, ``(n, size)``.
        people: Whose each is, ``(n,)``.
        key: The store's.
    """
    return Found.of(_scores_with_key(protection, stored, candidates, people, key))


def _scores_with_key(
    protection: Protection, stored: Floats, candidates: Floats, people: Labels, key: int
) -> Floats:
    leaked = protection.stored(stored, people, key)
    if not protection.own_keys:
        return protection.scores(leaked, protection.protected(candidates, key))
    rows = [
        protection.scores(one[None], protection.protected(candidates, own_key(key, int(person))))
        for one, person in zip(leaked, people, strict=True)
    ]
    return np.concatenate(rows)


def found_without_key(
    protection: Protection,
    stored: Floats,
    candidates: Floats,
    people: Labels,
    key: int,
    *,
    pairs: int,
    others: Floats,
) -> Found:
    """Ranks candidates by an attacker who has no key, and a few known pairs.

    A known pair is somebody whose photo the attacker has and whose protected template is known to
    be theirs: an account of the attacker's own, say. From pairs follows the rotation that brings
    templates nearest to the protected ones (Procrustes; Schönemann 1966), or for protections of
    another length the ridge regression. Without pairs the second moments of public templates are
    laid over those of the store, axis by axis, which says nothing of signs: little is learned.

    Args:
        protection: Of the store.
        stored: Templates of the people, before they are protected, ``(n, size)``.
        candidates: Templates of other photos of the same people, ``(n, size)``.
        people: Whose each is, ``(n,)``.
        key: The store's.
        pairs: How many pairs are known; of people who are not among those found.
        others: Templates of further people who are enrolled too, ``(pairs or more, size)``.
    """
    known = others[:pairs]
    return Found.of(_scores_without_key(protection, stored, candidates, people, key, known))


def found_together(
    protection: Protection,
    leaks: Floats,
    candidates: Floats,
    people: Labels,
    keys: Sequence[int],
    *,
    kept: NDArray[np.bool_],
    others: Floats,
) -> Found:
    """Ranks candidates for several leaked templates of each person, by their mean score.

    Args:
        protection: Of all stores; says whether the keys are known.
        leaks: Templates of the people, before they are protected, ``(templates, n, size)``.
        candidates: Templates of other photos, of the same people first, ``(candidates, size)``.
        people: Whose each is, ``(n,)``.
        keys: Of the store from which each comes, ``(templates,)``.
        kept: Which templates count, ``(templates, n)``; one of each person at least.
        others: Templates of further people who are enrolled too, of whom ``pairs`` are known.
    """
    known = others[: protection.pairs or 0]
    scores = np.stack(
        [
            _scores_with_key(protection, stored, candidates, people, key)
            if protection.key_known
            else _scores_without_key(protection, stored, candidates, people, key, known)
            for stored, key in zip(leaks, keys, strict=True)
        ]
    )
    return Found.of(mean_of(scores, kept))


def _scores_without_key(
    protection: Protection,
    stored: Floats,
    candidates: Floats,
    people: Labels,
    key: int,
    known: Floats,
) -> Floats:
    numbers = len(people) + np.arange(len(known)).astype(np.int64)
    both = protection.stored(
        np.concatenate([stored, known]), np.concatenate([people, numbers]), key
    )
    leaked, targets = both[: len(stored)], both[len(stored) :]
    if not len(known):
        guessed = laid_over(candidates, leaked)
    elif leaked.shape[1] == candidates.shape[1]:
        guessed = candidates @ procrustes(known, targets)
    else:
        guessed = regressed(known, targets, candidates)
    return protection.scores(leaked, guessed)
