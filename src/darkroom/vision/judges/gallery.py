"""Among people whom nobody was shown: which of them does an image resemble most?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from darkroom.vision.judges.base import Labels
from darkroom.vision.judges.discriminant import DiscriminantSpace, coarse, directions
from darkroom.vision.judges.images import Images, variants

MANY = 300  # photos from which on moved copies add cost and hardly any knowledge
CHUNK = 250

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Gallery:
    """The people under attack, and strangers who took part in nothing.

    Each is where the same number of their photos lies in a space that parts people, learned from
    people who are neither. So one of them is as good a guess as another to whoever knows nothing,
    however many photos there are of each.

    Attributes:
        space: Learned from public photos.
        people: Directions, ``(goals + strangers, dimensions)``, the goals first, in their order.
        goals: How many of them are under attack.
        photos: How many photos of each were used.
        spare: For each goal, where one more of their photos lies, ``(goals, dimensions)``; ``None``
            where somebody has none.
    """

    space: DiscriminantSpace
    people: Floats
    goals: int
    photos: int
    spare: Floats | None

    @property
    def strangers(self) -> int:
        """How many of the people took part in nothing."""
        return len(self.people) - self.goals

    def likeness(self, images: Images) -> Floats:
        """Returns how much images resemble each of the people, ``(n, goals + strangers)``.

        Args:
            images: ``(n, channels, height, width)`` in [0, 1].
        """
        return _placed(self.space, images) @ self.people.T

    def likeness_of_photos(self) -> Floats | None:
        """Returns the same for a real photo of each goal; ``None`` where somebody has none left."""
        return None if self.spare is None else self.spare @ self.people.T


def fit_gallery(
    public: tuple[Images, Labels],
    private: tuple[Images, Labels],
    strangers: tuple[Images, Labels],
) -> Gallery:
    """Places people in a space that is learned from others.

    Args:
        public: Photos to learn from, ``(n, channels, height, width)`` in [0, 1], and who is on
            each, ``(n,)``; at least two people.
        private: Photos of the people under attack, those of one person in the order of use.
        strangers: Photos of people who are in neither; may be none.
    """
    copies = _copies(public[0], 0 if len(public[0]) > MANY else 2)
    classes = np.unique(public[1], return_inverse=True)[1]
    space = DiscriminantSpace.fit(copies, np.tile(classes, len(copies) // len(public[0])))
    fewest = min(np.unique(private[1], return_counts=True)[1])
    used = max(1, fewest - 1)
    if len(strangers[1]):
        used = min(used, int(min(np.unique(strangers[1], return_counts=True)[1])))
    goals = _means(space, *private, used)
    people = np.concatenate([goals, _means(space, *strangers, used)])
    spare = None
    if fewest > used:
        left = private[0][_places(private[1]) == used]
        spare = _placed(space, left)
    return Gallery(space, people, len(goals), used, spare)


def _copies(images: Images, shift: int) -> Images:
    """Returns images with their variants as the discriminant sees them, in the order of those.

    A few at a time: ten copies of all photos at their full size would take gigabytes.
    """
    parts = []
    for start in range(0, len(images), MANY // 10):
        given = torch.from_numpy(np.ascontiguousarray(images[start : start + MANY // 10]))
        seen = coarse(variants(given, shift))
        parts.append(seen.reshape(-1, len(given), *seen.shape[1:]))
    joined = np.concatenate(parts, axis=1)
    return joined.reshape(-1, *joined.shape[2:])


def _means(space: DiscriminantSpace, images: Images, people: Labels, used: int) -> Floats:
    """Returns where people are on average over their first photos, ``(people, dimensions)``."""
    chosen = _places(people) < used
    placed = _placed(space, images[chosen])
    order = np.argsort(people[chosen], kind="stable")
    return directions(placed[order].reshape(-1, used, placed.shape[1]).mean(axis=1))


def _places(people: Labels) -> Labels:
    """Returns the place of each photo among those of its person, ``(n,)``."""
    order = np.argsort(people, kind="stable")
    ranked = people[order]
    places = np.empty(len(people), np.int64)
    places[order] = np.arange(len(people)) - np.searchsorted(ranked, ranked)
    return places


def _placed(space: DiscriminantSpace, images: Images) -> Floats:
    """Places images in chunks, each with its mirror image."""
    parts = [
        _both(space, torch.from_numpy(np.ascontiguousarray(images[start : start + CHUNK])))
        for start in range(0, max(1, len(images)), CHUNK)
    ]
    return np.concatenate(parts)


def _both(space: DiscriminantSpace, images: Tensor) -> Floats:
    dimensions = len(space.discriminant.classes_) - 1
    if not len(images):
        return np.empty((0, dimensions))
    return directions(space.place(images) + space.place(images.flip(3)))
