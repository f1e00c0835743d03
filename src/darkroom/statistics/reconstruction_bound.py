"""How often any attacker can reconstruct what a differentially private training has seen.

Reconstruction robustness (Balle, Cherubin and Hayes 2022): a secret is drawn from what the attacker
holds for possible, the model is trained on it and on data that the attacker knows in full, and the
attacker answers. If no answer made without the model is right with a chance above ``baseline``, no
attack on the model, whatever it computes and whatever else it knows of the data, is right with a
chance above the bounds here.
"""

from __future__ import annotations

import functools
import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats

from darkroom.errors import PlanError

_GRID, _COARSE = 2**17, 2**15
"""Cells for the loss of all steps, and at most so many for a first look at one step."""

_TABLE, _NEWTON = 4096, 5
"""Points between which a loss is first looked for, and steps from there."""

_TAIL = 1e-10
"""The chance that is given to the attacker for what the grid of privacy losses leaves out."""

Floats = NDArray[np.float64]


class Mechanism(NamedTuple):
    """What decides the privacy of DP-SGD (Abadi et al. 2016).

    Attributes:
        noise_multiplier: The noise's standard deviation over the clipping norm, above 0.
        sample_rate: The chance of a record to be in a step, in (0, 1].
        steps: How often the weights were changed, 0 or more.
    """

    noise_multiplier: float
    sample_rate: float
    steps: int

    def check(self) -> None:
        """Refuses figures of no mechanism.

        Raises:
            PlanError: If one is out of its range.
        """
        if not (self.noise_multiplier > 0 and 0 < self.sample_rate <= 1 and self.steps >= 0):
            raise PlanError(
                f"reconstruction bound: noise multiplier {self.noise_multiplier:g}, sample rate "
                f"{self.sample_rate:g}, steps {self.steps}: give above 0, in (0, 1], and 0 or more"
            )


@functools.lru_cache(maxsize=128)  # cells of one model ask for the same
def reconstruction_bound(baseline: float, mechanism: Mechanism, *, records: int = 1) -> float:
    """Bounds the chance of a reconstruction from a model that DP-SGD trained.

    The bound of Hayes, Mahloujifar and Balle 2023 (theorem 2 and corollary 3): the largest chance,
    under what training releases with the secret, of an event that has chance ``baseline`` under
    what it releases without; a step releases a normal draw whose mean is moved by the secret's
    clipped gradients.

    Differences from the paper:
        - A secret may be a group of ``records``, such as all photos of one person. How many of them
          a step meets is binomial, and they may all pull the same way (Ganesh 2024).
        - The paper estimates the chance by sampling. Here the distribution of the privacy loss is
          put on a grid so that it dominates the true one (Doroshenko et al. 2022) and composed by
          Fourier transform; what lies outside is given to the attacker.

    Args:
        baseline: The highest chance of an answer made without the model, in [0, 1].
        mechanism: Noise, sampling and steps.
        records: How many records the secret is made of, 1 or more.

    Returns:
        A chance in [0, 1], at least ``baseline``.

    Raises:
        PlanError: If an argument is out of its range.

    >>> round(reconstruction_bound(0.1, Mechanism(1.0, 1.0, 1)), 4)
    0.3891
    """
    mechanism.check()
    _check_chance(baseline)
    if records < 1:
        raise PlanError(f"reconstruction bound: records must be 1 or more, got {records}")
    if mechanism.steps == 0:
        return baseline
    if mechanism.sample_rate == 1.0:
        return gaussian_bound(
            baseline, records * math.sqrt(mechanism.steps) / mechanism.noise_multiplier
        )
    chances, losses, certain = _composed(mechanism, records)
    order = slice(None, None, -1)
    with_secret = np.cumsum(chances[order])
    # A chance of nothing at a loss far below zero stays nothing; none is more than one.
    with np.errstate(divide="ignore"):
        rest = np.exp(np.minimum(np.log(chances) - losses, 0))
    without = np.cumsum(rest[order])
    gained = np.interp(baseline, without, with_secret)
    return float(min(1.0, max(baseline, certain + gained + _TAIL)))


def gaussian_bound(baseline: float, shift: float) -> float:
    """Bounds the chance when all that is released is one normal draw, which the secret moves.

    Args:
        baseline: The highest chance without the model, in [0, 1].
        shift: How many standard deviations the secret moves the mean, 0 or more.

    Returns:
        Phi(Phi^-1(baseline) + shift), where Phi is the normal distribution function.

    >>> gaussian_bound(0.5, 0.0)
    0.5
    """
    _check_chance(baseline)
    return float(stats.norm.cdf(stats.norm.ppf(baseline) + shift))


def _check_chance(baseline: float) -> None:
    if not 0 <= baseline <= 1:
        raise PlanError(f"reconstruction bound: the baseline must be in [0, 1], got {baseline}")


class _Step(NamedTuple):
    """The privacy loss of one step on a grid that dominates it.

    Attributes:
        places: Whole multiples of ``width``, increasing.
        chances: Of each, with the secret.
        certain: The chance, with the secret, that is given to the attacker.
        width: Between neighbours.
    """

    places: NDArray[np.int64]
    chances: Floats
    certain: float
    width: float


def _composed(mechanism: Mechanism, records: int) -> tuple[Floats, Floats, float]:
    """Returns chances with the secret, losses in increasing order, and the attacker's for sure."""
    sigma, rate, steps = mechanism
    members = np.arange(records + 1)
    log_weights = stats.binom.logpmf(members, records, rate)
    ends = np.array([-8 * sigma, _upper_end(sigma, members, log_weights)])
    least, most = _loss(ends, sigma, members, log_weights)
    width = max(1e-3 if records == 1 else 5e-3, (most - least) / _COARSE)
    low, high = _window(_step(ends, sigma, members, log_weights, width), steps)
    step = _step(ends, sigma, members, log_weights, (high - low) / (_GRID - 2))
    ring = np.zeros(_GRID)
    np.add.at(ring, step.places % _GRID, step.chances)
    composed = np.fft.irfft(np.fft.rfft(ring) ** steps, _GRID).astype(np.float64)
    places = np.arange(_GRID) + math.floor(low / step.width)
    losses = places.astype(np.float64) * step.width
    certain = -math.expm1(steps * math.log1p(-step.certain))
    return composed.clip(0, None)[places % _GRID], losses, certain


def _step(
    ends: Floats, sigma: float, members: NDArray[np.int64], log_weights: Floats, width: float
) -> _Step:
    """Puts the privacy loss of one step, which ends between two points, on a grid.

    What lies between two neighbours goes to both, in the parts that keep its chance with and
    without the secret; that helps the attacker and nobody else.
    """
    low, high = _loss(ends, sigma, members, log_weights)
    places = np.arange(math.floor(low / width), math.ceil(high / width) + 1)
    edges = _inverse(places * width, ends, sigma, members, log_weights)
    below = stats.norm.cdf(edges[:, None], members, sigma) @ np.exp(log_weights)
    chances = np.diff(below).clip(0, None)
    without = np.diff(stats.norm.cdf(edges, 0, sigma)).clip(0, None)
    # Of a part of chance p and q without: both ends share p so that their exp(-loss) sums to q.
    # Divided by exp(-loss) of the lower end, which is nothing where noise is small; at most p then.
    with np.errstate(divide="ignore"):
        parts = np.exp(np.minimum(np.log(without) + places[:-1] * width, 0))
    down = ((parts - chances * math.exp(-width)) / -math.expm1(-width)).clip(0, chances)
    shares = np.zeros(len(places))
    shares[:-1] += down
    shares[1:] += chances - down
    return _Step(places, shares, max(0.0, 1 - float(chances.sum())), width)


def _upper_end(sigma: float, members: NDArray[np.int64], log_weights: Floats) -> float:
    """Returns a point beyond which a step ends with a chance below 1e-14, with the secret."""
    points = np.linspace(0, members[-1] + 8 * sigma, 512)
    beyond = stats.norm.sf(points[:, None], members, sigma) @ np.exp(log_weights)
    return float(points[int((beyond > 1e-14).sum())])  # at the last it is below 1e-15


def _loss(points: Floats, sigma: float, members: NDArray[np.int64], log_weights: Floats) -> Floats:
    """Returns the logarithm of the density with the secret over that without, ``(points,)``."""
    exponents = (2 * members * points[:, None] - members**2) / (2 * sigma**2)
    loss: Floats = special.logsumexp(exponents + log_weights, axis=1)
    return loss


def _inverse(
    losses: Floats, ends: Floats, sigma: float, members: NDArray[np.int64], log_weights: Floats
) -> Floats:
    """Returns where each loss is reached; the nearer end where it is nowhere.

    The loss is convex and rises, so that Newton's method, begun above, comes down to the place and
    never goes beyond it.
    """
    table = np.linspace(ends[0], ends[1], _TABLE)
    above = np.searchsorted(_loss(table, sigma, members, log_weights), losses)
    low, high = (table[(above + one).clip(0, _TABLE - 1)] for one in (-1, 0))
    found: Floats = high
    for _ in range(_NEWTON):
        exponents = (2 * members * found[:, None] - members**2) / (2 * sigma**2) + log_weights
        most = exponents.max(axis=1, keepdims=True)
        powers = np.exp(exponents - most)
        total = powers.sum(axis=1)
        slope = (powers @ members) / total / sigma**2
        over = np.log(total) + most[:, 0] - losses
        with np.errstate(over="ignore"):  # where it is flat, the nearer end is taken
            found = np.clip(found - over / np.maximum(slope, 1e-300), low, high)
    return found


def _window(step: _Step, steps: int) -> tuple[float, float]:
    """Returns losses between which all steps together end, but for a chance below ``_TAIL``.

    Chernoff's bound, on the step as the grid has it.
    """
    losses = step.places * step.width
    with np.errstate(divide="ignore"):
        log_chances = np.log(step.chances)
    tilts = np.geomspace(1e-3, 1e3, 120)
    spare = -math.log(_TAIL / 4)
    ends = []
    for sign in (-1, 1):
        growth = special.logsumexp(log_chances + sign * tilts[:, None] * losses, axis=1)
        ends.append(sign * float(((steps * growth + spare) / tilts).min()))
    return ends[0] - 1e-6, ends[1] + 1e-6
