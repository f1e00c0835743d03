"""How far an attack narrows a sensitive value down, in bits over a guess without the model."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.stats import t

Probabilities = NDArray[np.float64]


class Gained(NamedTuple):
    """Bits gained of each record on average, with a 95% interval.

    Attributes:
        estimate: The mean.
        low: The lower end.
        high: The upper end.
        most: What an attack would have gained that was sure of every truth.
    """

    estimate: float
    low: float
    high: float
    most: float


NEVER = 1e-12
"""What a guess that thinks the truth impossible is taken to have thought."""


def gained(
    truth: NDArray[np.int64],
    posterior: Probabilities,
    imputed: Probabilities,
    *,
    calibrated: bool,
    rng: np.random.Generator,
) -> Gained:
    """Returns the mean of log2 of the truth's probability to the attack over that without a model.

    A record costs log2(records + 1) bits at most: so many records cannot tell that a value is
    rarer than that. The interval is Student's over records.

    Args:
        truth: The true candidate of each record, ``(n,)``, two records or more.
        posterior: How probable each candidate is to the attack, ``(n, candidates)``.
        imputed: The same to a guess without the model, ``(n, candidates)``.
        calibrated: Whether the posterior is meant as probabilities. If not, it is its guess alone
            that counts, mixed into what that guess says with the weight that is best for the other
            half of the records.
        rng: Divides the records into halves.
    """
    rows = np.arange(len(truth))
    usual = np.maximum(imputed[rows, truth], NEVER)
    said = posterior[rows, truth]
    if not calibrated:
        right = posterior.argmax(axis=1) == truth
        said = _mixed(right, usual, rng.permutation(len(truth)) % 2 == 0)
    bits = np.log2(np.maximum(said / usual, 1 / (len(truth) + 1)))
    mean = float(bits.mean())
    reach = float(t.ppf(0.975, len(bits) - 1) * bits.std(ddof=1) / np.sqrt(len(bits)))
    return Gained(mean, mean - reach, mean + reach, float(-np.log2(usual).mean()))


def surprise(truth: NDArray[np.int64], chances: Probabilities) -> float:
    """Returns the mean bits of the truth to somebody who guesses."""
    said = np.maximum(chances[np.arange(len(truth)), truth], NEVER)
    return float(-np.log2(said).mean())


def _mixed(
    right: NDArray[np.bool_], usual: NDArray[np.float64], half: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Returns the truth's probability where guesses weigh as much as the other half tells."""
    said = np.empty(len(usual))
    for part in (half, ~half):
        weight = _weight(right[~part], usual[~part])
        said[part] = (1 - weight) * usual[part] + weight * right[part]
    return said


def _weight(right: NDArray[np.bool_], usual: NDArray[np.float64]) -> float:
    """Returns how much guesses should weigh beside imputation, in [0, 1 - 1 / (n + 1)]."""

    def loss(weight: float) -> float:
        return -float(np.log((1 - weight) * usual + weight * right).sum())

    if not len(usual):
        return 0.0
    most = 1 - 1 / (len(usual) + 1)
    return float(minimize_scalar(loss, bounds=(0, most), method="bounded").x)
