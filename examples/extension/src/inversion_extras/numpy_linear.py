"""A model that is nothing but arrays in a file."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from darkroom.access import Access
from darkroom.errors import TargetError
from darkroom.images.targets.base import Target
from darkroom.vision.spec import ImageSpec


class NumpyLinear(Target):
    """Softmax regression on pixels: ``weights`` and ``bias`` of an ``.npz`` file."""

    access = Access.SCORES
    outputs = "logits"

    def __init__(self, file: str, shape: Sequence[int]) -> None:
        """Reads the arrays; the arguments are keys of ``[target]``.

        Args:
            file: Has ``weights`` ``(pixels, classes)`` and ``bias`` ``(classes,)``; relative to the
                working folder.
            shape: ``[channels, height, width]``.

        Raises:
            TargetError: If the file has no such arrays.
        """
        self.name = Path(file).name
        self.spec = ImageSpec.of(shape, (0.0, 1.0))
        try:
            with np.load(file, allow_pickle=False) as arrays:
                self.weights, self.bias = arrays["weights"], arrays["bias"]
        except (OSError, KeyError, ValueError) as error:
            raise TargetError(f"{file}: give weights and bias in an .npz file") from error
        if self.weights.shape != (int(np.prod(self.spec.shape)), len(self.bias)):
            raise TargetError(f"{file}: weights {list(self.weights.shape)} do not fit {shape}")
        self.classes = len(self.bias)

    def scores(self, images: NDArray[np.float32]) -> NDArray[np.float64]:
        """Returns the confidence of every class; see :meth:`Target.scores`."""
        pixels = images.reshape(len(images), len(self.weights)).astype(np.float64)
        logits = pixels @ self.weights + self.bias
        shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
        shares: NDArray[np.float64] = shifted / shifted.sum(axis=1, keepdims=True)
        return shares

    def fingerprint(self) -> str:
        """Returns a hash of the arrays."""
        digest = hashlib.sha256(repr(self.spec).encode())
        for array in (self.weights, self.bias):
            digest.update(np.ascontiguousarray(array, np.float64).tobytes())
        return digest.hexdigest()
