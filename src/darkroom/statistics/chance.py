"""Whether answers are any better than a guess that is always the same."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Named = NDArray[Any]

LEVEL = 0.05

SLIGHT = 0.25
"""How much of what chance leaves must be won at least, where trials are too few to be sure."""


def no_better_than_chance(hits: int, n: int, chance: float) -> bool:
    """Tells whether as many hits as these are nothing.

    That is so where a guesser would have as many in more than one of twenty times (exact binomial
    test, one-sided), and the rate is near the guesser's too: few trials alone prove no failure.

    Args:
        hits: How often the answer was right.
        n: Of how many times.
        chance: How often a guesser is right, in [0, 1].

    >>> no_better_than_chance(5, 120, 0.025), no_better_than_chance(4, 4, 0.5)
    (True, False)
    """
    if not n or hits / n > chance + SLIGHT * (1 - chance):
        return False
    # Slow to import, and not needed before.
    from scipy.stats import binomtest

    return bool(binomtest(hits, n, chance, alternative="greater").pvalue > LEVEL)


def dead_classifier(named: Named, truth: Named, noun: str) -> str | None:
    """Says why a classifier is of no use; ``None`` where it is of some, or nothing was tried.

    Args:
        named: The class that it names for each example, ``(n,)``.
        truth: The right one, ``(n,)``.
        noun: What an example is called.
    """
    counts = np.unique(truth, return_counts=True)[1]
    if len(counts) < 2:  # whoever names the only class there is may know it or not
        return None
    if (named == named[0]).all():
        return f"it names the same class for every {noun}"
    if no_better_than_chance(int((named == truth).sum()), len(truth), counts.max() / len(truth)):
        return f"it is no better than naming the commonest class for every {noun}"
    return None


def dead_regressor(predictions: Named, truth: Named, noun: str) -> str | None:
    """Says why a model of numbers is of no use; ``None`` where it is of some.

    Args:
        predictions: ``(n,)``.
        truth: ``(n,)``.
        noun: What an example is called.
    """
    if len(truth) < 2 or np.ptp(truth) == 0:
        return None
    if np.ptp(predictions) <= 1e-6 * np.ptp(truth):
        return f"it predicts the same for every {noun}"
    without = np.abs(truth - np.median(truth)).mean()
    from scipy.stats import spearmanr

    rises = spearmanr(predictions, truth, alternative="greater").pvalue <= LEVEL
    if np.abs(predictions - truth).mean() >= without and not rises:
        return f"it is no better than predicting the middle for every {noun}"
    return None
