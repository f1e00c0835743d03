"""Made-up people, of whom as many photos can be had as are wanted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

SHAPE = (1, 28, 24)


@dataclass(frozen=True)
class Crowd:
    """Made-up people: one face in common, smooth features of their own, and photos of them."""

    templates: NDArray[np.float32]
    draw: Callable[[int, int], tuple[NDArray[np.float32], NDArray[np.int64]]]


def make_crowd(people: int, seed: int) -> Crowd:
    common = gaussian_filter(np.random.default_rng(99).standard_normal(SHAPE), (0, 4, 4))
    own = np.random.default_rng(seed).standard_normal((people, *SHAPE))
    features = gaussian_filter(own, (0, 0, 2, 2))
    raw = 2 * common / common.std() + features / features.std()
    templates = (0.5 + 0.08 * raw).clip(0, 1).astype(np.float32)

    def draw(each: int, photo_seed: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        rng = np.random.default_rng(photo_seed)
        who = np.repeat(np.arange(people), each)
        moves = rng.integers(-1, 2, (len(who), 2))
        moved = [
            np.roll(templates[person], tuple(move), (1, 2))
            for person, move in zip(who, moves, strict=True)
        ]
        light = rng.uniform(0.8, 1.2, (len(who), 1, 1, 1))
        changes = gaussian_filter(rng.standard_normal((len(who), *SHAPE)), (0, 0, 3, 3))
        photos = 0.5 + (np.stack(moved) - 0.5) * light + 0.25 * changes
        grain = rng.normal(0, 0.03, photos.shape)
        return (photos + grain).clip(0, 1).astype(np.float32), who.astype(np.int64)

    return Crowd(templates, draw)
