"""How a model of tables errs, as far as an attacker knows."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_ndtr

from darkroom.defenses.effects import Effect


class Errors(NamedTuple):
    """How the model errs, as its documentation tells.

    Attributes:
        sigma: The standard deviation of a regressor's errors; ``None`` for a classifier.
        confusion: How many rows of each true class (first) were predicted as each class (second),
            ``(classes, classes)``; ``None`` for a regressor.
        step: The width of the cell in which a regressor's prediction lies around its rounded
            answer; 0 where it is not rounded.
        told: How sure a classifier is of what truly happened, ``(rows,)``; ``None`` where it shows
            no confidences, or no attack asked for them. It is for :meth:`.TableAttack.conclude`.
    """

    sigma: float | None
    confusion: NDArray[np.float64] | None
    step: float = 0.0
    told: NDArray[np.float64] | None = None

    @classmethod
    def of(
        cls,
        response: NDArray[np.float64],
        predictions: NDArray[np.float64],
        classes: int | None,
    ) -> Errors:
        """Measures errors on rows whose response is known.

        A model without any error on them gets a deviation of a millionth of the response's.

        Args:
            response: ``(n,)``.
            predictions: ``(n,)``.
            classes: How many; ``None`` for a regressor.
        """
        if classes is None:
            least = 1e-6 * float(response.std()) or 1e-9
            off = float(np.sqrt(np.mean((response - predictions) ** 2)))
            return cls(max(off, least), None)
        confusion = np.zeros((classes, classes))
        np.add.at(confusion, (response.astype(int), predictions.astype(int)), 1)
        return cls(None, confusion)

    def noisier(self, deviation: float) -> Errors:
        """Returns the same with noise of a standard deviation on a regressor's answers."""
        return (
            self if self.sigma is None else self._replace(sigma=math.hypot(self.sigma, deviation))
        )

    def behind(self, effect: Effect, asked: int = 1) -> Errors:
        """Returns how a regressor's answers err behind output defences that one knows of.

        Args:
            effect: What those do; to a classifier's confidences, it changes nothing here.
            asked: Over how many answers to the same question was averaged.
        """
        noisier = self.noisier(effect.deviation / math.sqrt(asked))
        return noisier._replace(step=self.step + effect.step)

    def log_likelihood(
        self, response: NDArray[np.float64], predictions: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Returns how probable responses are where the model predicts something, as logarithms.

        Args:
            response: ``(n,)``.
            predictions: ``(n,)``.

        Returns:
            ``(n,)``; minus infinity for what never happened.
        """
        if self.confusion is None:
            assert self.sigma is not None
            off = (response - predictions) / self.sigma
            half = self.step / self.sigma / 2
            # Where the error is far wider than the cell, the density hardly changes within it.
            return -0.5 * off**2 if half < 1e-6 else _log_mass(off, half)
        columns = self.confusion.sum(axis=0)
        shares = self.confusion / np.where(columns > 0, columns, 1)
        with np.errstate(divide="ignore"):
            logarithms = np.log(shares)
        return np.asarray(logarithms[response.astype(int), predictions.astype(int)])


def _log_mass(middle: NDArray[np.float64], half: float) -> NDArray[np.float64]:
    """Returns the logarithm of the standard normal's mass within ``half`` of ``middle``."""
    # On the lower side of the bell both ends are small, and their difference is exact.
    middle = -np.abs(middle)
    upper, lower = log_ndtr(middle + half), log_ndtr(middle - half)
    return np.asarray(upper + np.log1p(-np.exp(np.minimum(lower - upper, -1e-15))))
