"""What a detector keeps of an input: where it lies among those of real traffic."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from darkroom.errors import DataError

Floats = NDArray[np.float64]

_TINY = 1e-12
_FAR = 1e12
"""Beyond this an input is as far from real traffic as can be, and squares must not overflow."""
_AT_ONCE = 64


class Sketch(NamedTuple):
    """Inputs, reduced.

    Attributes:
        places: Coordinates along the principal components, float32 ``(rows, components)``.
        outside: Logarithm of the share of the input's distance from the mean that the components
            do not explain, ``(rows,)``.
        inside: Logarithm of the root mean square of the coordinates in units of real traffic's
            deviations, ``(rows,)``.
    """

    places: NDArray[np.float32]
    outside: Floats
    inside: Floats


class Space(NamedTuple):
    """Principal components of real inputs.

    Attributes:
        mean: Of the inputs, float32 ``(features,)``.
        components: Orthonormal, float32 ``(components, features)``.
        deviations: Standard deviation along each, ``(components,)``.
    """

    mean: NDArray[np.float32]
    components: NDArray[np.float32]
    deviations: Floats

    @classmethod
    def fit(cls, inputs: NDArray[np.floating], components: int = 32) -> Space:
        """Finds the components of inputs of real traffic.

        Args:
            inputs: ``(rows, features)``; a thousand are enough, more cost the square of time.
            components: At most how many.

        Raises:
            DataError: If there are fewer than three rows, or values that are not finite.
        """
        if inputs.ndim != 2 or len(inputs) < 3 or not np.isfinite(inputs).all():
            raise DataError(
                f"detector: inputs of shape {list(inputs.shape)}: give finite numbers, one row an "
                "input, three rows at least"
            )
        mean = inputs.mean(axis=0, dtype=np.float64).astype(np.float32)
        centred = inputs.astype(np.float32) - mean
        count = min(components, len(inputs) - 1, inputs.shape[1])
        # The smaller of the two Gram matrices has the same components.
        if len(inputs) <= inputs.shape[1]:
            values, vectors = np.linalg.eigh((centred @ centred.T).astype(np.float64))
            found = vectors[:, ::-1][:, :count].T @ centred
        else:
            values, vectors = np.linalg.eigh((centred.T @ centred).astype(np.float64))
            found = vectors[:, ::-1][:, :count].T
        lengths = np.maximum(np.linalg.norm(found, axis=1, keepdims=True), _TINY)
        spread = np.sqrt(np.maximum(values[::-1][:count], _TINY) / (len(inputs) - 1))
        return cls(mean, (found / lengths).astype(np.float32), spread)

    def sketch(self, inputs: NDArray[np.floating]) -> Sketch:
        """Reduces inputs, ``(rows, features)``.

        Raises:
            DataError: If they have another number of features.
        """
        if inputs.ndim != 2 or inputs.shape[1] != len(self.mean):
            raise DataError(
                f"detector: inputs of shape {list(inputs.shape)}, but it was fitted on rows of "
                f"{len(self.mean)}: fit it on this model's traffic"
            )
        parts = [inputs[start : start + _AT_ONCE] for start in range(0, len(inputs), _AT_ONCE)]
        places = np.empty((len(inputs), len(self.components)), np.float32)
        lengths = np.empty(len(inputs))
        for number, part in enumerate(parts):
            centred = part.clip(-_FAR, _FAR).astype(np.float32) - self.mean
            rows = slice(number * _AT_ONCE, number * _AT_ONCE + len(part))
            places[rows] = centred @ self.components.T
            lengths[rows] = np.einsum("ij,ij->i", centred, centred, dtype=np.float64)
        explained = np.square(places, dtype=np.float64).sum(axis=1)
        share = np.maximum(lengths - explained, 0) / np.maximum(lengths, _TINY)
        scaled = places / self.deviations
        inside = np.sqrt(np.square(scaled).mean(axis=1))
        return Sketch(places, np.log(share + 1e-6), np.log(inside + 1e-6))
