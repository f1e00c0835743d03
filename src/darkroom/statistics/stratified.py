"""Whether two events go together among things that are alike."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import hypergeom


def together(one: NDArray[np.bool_], other: NDArray[np.bool_], strata: NDArray[np.int64]) -> float:
    """Returns the exact one-sided p-value that two events go together within strata.

    The conditional test of Mantel & Haenszel (1959) with its exact distribution: given how often
    each event happens in each stratum, how often both do at once is a sum of hypergeometric
    numbers if they have nothing to do with each other.

    Args:
        one: Whether the first happens, ``(n,)``.
        other: Whether the second does, ``(n,)``.
        strata: The stratum of each, ``(n,)``.

    >>> round(together(np.eye(4, dtype=bool)[0], np.eye(4, dtype=bool)[0], np.zeros(4, int)), 3)
    0.25
    """
    chances, both = np.ones(1), 0
    for stratum in np.unique(strata):
        here = strata == stratum
        a, b = one[here], other[here]
        both += int((a & b).sum())
        counts = np.arange(min(a.sum(), b.sum()) + 1)
        chances = np.convolve(chances, hypergeom.pmf(counts, len(a), a.sum(), b.sum()))
    return float(min(1.0, chances[both:].sum()))


def alike(values: NDArray[np.float64], least: int = 20, most: int = 10) -> NDArray[np.int64]:
    """Divides things into strata of about equal numbers by a value; equal values stay together.

    Args:
        values: ``(n,)``.
        least: Things in a stratum, on average at least.
        most: Strata, at most.
    """
    parts = max(1, min(most, len(values) // least))
    edges = np.unique(np.quantile(values, np.arange(1, parts) / parts))
    return np.searchsorted(edges, values, side="right").astype(np.int64)
