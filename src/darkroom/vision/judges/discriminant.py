"""The space that best parts people, learned from photos of some.

Images may be on any device; the space is on the processor, since it needs 64 bits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from darkroom.vision.judges.base import Labels
from darkroom.vision.judges.images import FaceSpace, Images, blur, shrink, standardise

if TYPE_CHECKING:
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis


@dataclass(frozen=True)
class DiscriminantSpace:
    """A linear discriminant behind principal components ("Fisherfaces").

    Belhumeur, Hespanha and Kriegman (1997), with shrinkage of the scatter within people.

    Attributes:
        components: The principal components in front of the discriminant.
        discriminant: The linear discriminant.
    """

    components: FaceSpace
    discriminant: LinearDiscriminantAnalysis

    @classmethod
    def fit(cls, seen: Images, classes: Labels) -> DiscriminantSpace:
        """Finds the space.

        Args:
            seen: Images of at least two people that :func:`coarse` has made, ``(n, …)``.
            classes: Who is on each, ``(n,)``.
        """
        components = FaceSpace.fit(seen, 80)
        # Slow to import, and not needed before.
        from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

        discriminant = LinearDiscriminantAnalysis(solver="eigen", shrinkage=0.05)
        discriminant.fit(components.coordinates(seen) * components.deviations, classes)
        return cls(components, discriminant)

    def place(self, images: Tensor) -> NDArray[np.float64]:
        """Returns where images lie, as directions of length one, ``(n, dimensions)``.

        Args:
            images: ``(n, channels, height, width)`` in [0, 1].
        """
        return self.place_coarse(coarse(images))

    def place_coarse(self, seen: Images) -> NDArray[np.float64]:
        """Returns where images lie that :func:`coarse` has made; see :meth:`place`."""
        components = self.components
        placed = self.discriminant.transform(components.coordinates(seen) * components.deviations)
        return directions(placed)


def directions(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Returns rows at length one; those of no length stay."""
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    unit: NDArray[np.float64] = rows / np.maximum(length, 1e-12)
    return unit


def coarse(images: Tensor) -> Images:
    """Returns what the discriminant sees: blurred a little, so that grain matters less."""
    seen: Images = standardise(blur(shrink(images, 32), 0.6)).cpu().numpy()
    return seen
