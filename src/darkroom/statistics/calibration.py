"""Whether probabilities mean what they say."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

BINS = 15


def calibration_error(scores: NDArray[np.float64], truth: NDArray[np.int64]) -> float:
    """Returns the expected calibration error (Guo, Pleiss, Sun & Weinberger 2017).

    Answers are put into :data:`BINS` bins of equal width by the confidence in the class named; the
    error is the mean over answers of how far the confidence of their bin is from its accuracy.

    Args:
        scores: Probabilities, ``(n, classes)``, ``n`` at least 1.
        truth: The true class of each, ``(n,)``.

    Returns:
        Between 0 and 1; 0 when 80 of 100 answers with confidence 0.8 are right, and so on.

    >>> scores = np.array([[0.75, 0.25]] * 4)
    >>> calibration_error(scores, np.array([0, 0, 0, 1]))
    0.0
    >>> calibration_error(scores, np.array([0, 0, 0, 0]))
    0.25
    """
    confidence = scores.max(axis=1)
    right = scores.argmax(axis=1) == truth
    bins = np.minimum((confidence * BINS).astype(np.int64), BINS - 1)
    gaps = np.bincount(bins, weights=confidence - right, minlength=BINS)
    return float(np.abs(gaps).sum() / len(truth))
