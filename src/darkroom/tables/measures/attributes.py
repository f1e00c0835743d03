"""How well guesses at a sensitive value are right, each measure with its interval."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm, rankdata

from darkroom.statistics.intervals import Interval, clopper_pearson

LEVEL = 0.95
DRAWS = 4000

Confusion = NDArray[np.float64]
"""Counts of true candidates (second to last axis) by guessed ones (last axis)."""


class Measures(NamedTuple):
    """What a guesser achieves; ``None`` where nothing could be measured.

    With two candidates, precision, recall and AUC are those of the ``positive`` one; with more
    they are averages over the candidates that occur.

    Attributes:
        accuracy: The share of right guesses.
        precision: Of those guessed positive, the share that is.
        recall: Of those that are positive, the share guessed.
        mcc: Matthews' correlation coefficient, in [-1, 1].
        g_mean: The geometric mean of the candidates' recalls.
        auc: How often a positive row gets a higher posterior than another.
        surest: Accuracy among the tenth of rows whose guesses are surest, and all as sure.
    """

    accuracy: Interval | None
    precision: Interval | None
    recall: Interval | None
    mcc: Interval | None
    g_mean: Interval | None
    auc: Interval | None
    surest: Interval | None = None


def confusion_of(truth: NDArray[np.int64], guess: NDArray[np.int64], candidates: int) -> Confusion:
    """Counts true by guessed candidates, ``(candidates, candidates)``."""
    flat = np.bincount(truth * candidates + guess, minlength=candidates**2)
    return flat.reshape(candidates, candidates).astype(np.float64)


def measure(
    truth: NDArray[np.int64],
    posterior: NDArray[np.float64],
    *,
    positive: int,
    rng: np.random.Generator,
) -> Measures:
    """Measures a guesser on rows that are independent of each other.

    Accuracy, and precision and recall of two candidates, have exact intervals (Clopper & Pearson
    1934), precision given how many were guessed positive, recall given how many are. AUC of two
    candidates has DeLong's (DeLong, DeLong & Clarke-Pearson 1988, Biometrics 44) on the logit
    scale. The others are functions of the confusion matrix, whose cells' shares get a Dirichlet
    posterior (Caelen 2017, Annals of Mathematics and Artificial Intelligence 81) with one
    pseudo-count spread over all cells, so that a matrix with empty cells does not look certain.
    MCC's is no narrower than Fisher's interval of a correlation.

    Args:
        truth: The true candidate of each row, ``(n,)``.
        posterior: How probable each candidate is to the guesser, ``(n, candidates)``; the guess is
            the largest.
        positive: The candidate that precision, recall and AUC are about when there are two.
        rng: For the draws from the posterior of the confusion matrix.
    """
    candidates = posterior.shape[1]
    if not len(truth):
        return Measures(None, None, None, None, None, None)
    confusion = confusion_of(truth, posterior.argmax(axis=1), candidates)
    draws = rng.dirichlet(confusion.ravel() + 1 / confusion.size, size=DRAWS).reshape(
        DRAWS, candidates, candidates
    )
    occurring = confusion.sum(axis=1) > 0
    hits = int(np.trace(confusion))
    if candidates == 2:
        guessed, actual = confusion[:, positive].sum(), confusion[positive].sum()
        right = int(confusion[positive, positive])
        precision = clopper_pearson(right, int(guessed)) if guessed else None
        recall = clopper_pearson(right, int(actual)) if actual else None
        auc = delong(posterior[truth == positive, positive], posterior[truth != positive, positive])
    else:
        precision = _of_draws(mean_precision(confusion), mean_precision(draws))
        recall = _of_draws(
            float(recalls(confusion)[occurring].mean()),
            recalls(draws)[:, occurring].mean(axis=1),
        )
        auc = _mean_auc(truth, posterior)
    return Measures(
        clopper_pearson(hits, len(truth)),
        precision,
        recall,
        _correlation(confusion, draws) if _varied(confusion) else None,
        _of_draws(g_mean(confusion, occurring), g_mean(draws, occurring)),
        auc,
        _surest(truth, posterior),
    )


def _surest(truth: NDArray[np.int64], posterior: NDArray[np.float64]) -> Interval:
    """Returns the accuracy of the tenth of guesses that are surest, ten at least, ties included."""
    sure = posterior.max(axis=1)
    most = min(len(sure), max(10, len(sure) // 10))
    chosen = sure >= np.partition(sure, len(sure) - most)[len(sure) - most]
    right = posterior.argmax(axis=1)[chosen] == truth[chosen]
    return clopper_pearson(int(right.sum()), int(chosen.sum()))


def _varied(confusion: Confusion) -> bool:
    """Tells whether there are several truths and several guesses, as a correlation needs."""
    return bool((confusion.sum(axis=0) > 0).sum() > 1 and (confusion.sum(axis=1) > 0).sum() > 1)


def _correlation(confusion: Confusion, draws: Confusion) -> Interval:
    """Returns MCC with its interval, no narrower than Fisher's of a correlation.

    Where a guesser hardly ever names a value, draws of the matrix alone are too sure.
    """
    found, n = _of_draws(mcc(confusion), mcc(draws)), confusion.sum()
    if n <= 3:
        return Interval(found.estimate, -1.0, 1.0)
    reach = float(norm.ppf((1 + LEVEL) / 2)) / np.sqrt(n - 3)
    middle = np.arctanh(np.clip(found.estimate, -1 + 1e-9, 1 - 1e-9))
    low, high = float(np.tanh(middle - reach)), float(np.tanh(middle + reach))
    return Interval(found.estimate, min(low, found.low), max(high, found.high))


def recalls(confusion: Confusion) -> NDArray[np.float64]:
    """Returns each candidate's recall, ``(..., candidates)``; zero for those that do not occur."""
    actual = confusion.sum(axis=-1)
    right = np.diagonal(confusion, axis1=-2, axis2=-1)
    return np.asarray(right / np.where(actual > 0, actual, 1))


def mean_precision(confusion: Confusion) -> NDArray[np.float64]:
    """Returns the mean precision of the candidates that are guessed at all, ``(...)``."""
    guessed = confusion.sum(axis=-2)
    right = np.diagonal(confusion, axis1=-2, axis2=-1)
    shares = right / np.where(guessed > 0, guessed, 1)
    return np.asarray(shares.sum(axis=-1) / (guessed > 0).sum(axis=-1).clip(1, None))


def mcc(confusion: Confusion) -> NDArray[np.float64]:
    """Returns Matthews' correlation for any number of candidates (Gorodkin 2004), ``(...)``.

    Zero where all guesses, or all truths, are the same: they tell nothing then.

    >>> float(mcc(np.array([[90.0, 5.0], [1.0, 4.0]])).round(3))
    0.569
    """
    total = confusion.sum(axis=(-2, -1))
    actual, guessed = confusion.sum(axis=-1), confusion.sum(axis=-2)
    right = np.trace(confusion, axis1=-2, axis2=-1)
    covariance = right * total - (actual * guessed).sum(axis=-1)
    spread = (total**2 - (actual**2).sum(axis=-1)) * (total**2 - (guessed**2).sum(axis=-1))
    # Rounding may leave a constant guesser with a spread just off zero.
    defined = spread > 1e-12 * total**4
    return np.asarray(np.where(defined, covariance / np.sqrt(np.where(defined, spread, 1)), 0.0))


def g_mean(confusion: Confusion, occurring: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Returns the geometric mean of the recalls of the candidates that occur, ``(...)``."""
    with np.errstate(divide="ignore"):
        logarithms = np.log(recalls(confusion)[..., occurring])
    return np.asarray(np.exp(logarithms.mean(axis=-1)))


def delong(positives: NDArray[np.float64], negatives: NDArray[np.float64]) -> Interval | None:
    """Returns the area under the ROC curve with DeLong's interval on the logit scale.

    Args:
        positives: Scores of rows that are positive, ``(m,)``.
        negatives: Scores of the others, ``(n,)``.

    Returns:
        ``None`` without a row of either kind. An area of 0 or 1, where the method has no variance,
        gets the exact one-sided end of as many trials as the rarer kind has rows.
    """
    m, n = len(positives), len(negatives)
    if not m or not n:
        return None
    ranks = rankdata(np.concatenate([positives, negatives]))
    above = (ranks[:m] - rankdata(positives)) / n
    below = 1 - (ranks[m:] - rankdata(negatives)) / m
    area = float(above.mean())
    if area in (0.0, 1.0) or min(m, n) < 2:
        ends = clopper_pearson(round(area * min(m, n)), min(m, n))
        return Interval(area, min(area, ends.low), max(area, ends.high))
    variance = float(above.var(ddof=1) / m + below.var(ddof=1) / n)
    reach = float(norm.ppf((1 + LEVEL) / 2)) * np.sqrt(variance) / (area * (1 - area))
    logit = np.log(area / (1 - area))
    low, high = 1 / (1 + np.exp(-(logit - reach))), 1 / (1 + np.exp(-(logit + reach)))
    return Interval(area, float(low), float(high))


def _mean_auc(truth: NDArray[np.int64], posterior: NDArray[np.float64]) -> Interval | None:
    """Returns the mean over candidates of one against the rest.

    The candidates' areas come from the same rows, so the interval is the mean of theirs, as if
    they were as dependent as can be: no narrower than the truth.
    """
    each = [
        delong(posterior[truth == one, one], posterior[truth != one, one])
        for one in np.unique(truth)
    ]
    found = [area for area in each if area is not None]
    return Interval(*(float(end) for end in np.mean(found, axis=0))) if found else None


def _of_draws(estimate: NDArray[np.float64] | float, draws: NDArray[np.float64]) -> Interval:
    """Returns an estimate with the central interval of draws, widened to hold it."""
    low, high = np.quantile(draws, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    value = float(estimate)
    return Interval(value, min(value, float(low)), max(value, float(high)))
