"""Which photos a check asks about, and what the model answers."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from darkroom.access import Access
from darkroom.images.targets.base import Target
from darkroom.vision.spec import ImageSpec

Images = NDArray[np.float32]
Labels = NDArray[np.int64]

_MOST, _LEAST, _VALUES = 512, 128, 2**23  # photos, photos, and pixel values in all
_SERVED = 40  # rows of a server's quota


class Answers(NamedTuple):
    """What a model says of some images.

    Attributes:
        labels: The winning class of each, int64 ``(n,)``.
        scores: The confidence of every class, float64 ``(n, classes)``, zero for those that an
            answer leaves out; ``None`` where there are labels alone.
    """

    labels: Labels
    scores: NDArray[np.float64] | None


def ask(target: Target, images: Images) -> Answers:
    """Returns all that a model says of some images; each is asked about once.

    Args:
        target: The model.
        images: ``(n, channels, height, width)``, as the model takes them.
    """
    if target.access.includes(Access.SCORES):
        scores = target.scores(images)
        return Answers(scores.argmax(axis=1).astype(np.int64), scores)
    if not target.access.includes(Access.TOP_K):
        return Answers(target.labels(images), None)
    best = target.top_k(images, target.largest_k)
    scores = np.zeros((len(images), target.classes))
    np.put_along_axis(scores, best.classes, best.scores, axis=1)
    return Answers(best.classes[:, 0], scores)


def rows_for(target: Target) -> int:
    """Returns about how many photos a check may ask a model about, so that it takes seconds."""
    if target.served:
        return _SERVED
    return int(np.clip(_VALUES // np.prod(target.spec.shape), _LEAST, _MOST))


def unit(images: Images, spec: ImageSpec) -> Images:
    """Returns images of a target's range scaled to 0 to 1."""
    scaled: Images = ((images - spec.low) / spec.width_of_range).astype(np.float32)
    return scaled
