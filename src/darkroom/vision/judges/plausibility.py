"""The gate before the judges: is an image a face at all?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from darkroom.vision.judges.images import FaceSpace, Images, estimated_noise, standardise, variants

Floats = NDArray[np.float64]

_MANY = 300  # photos from which on moved copies add cost and hardly any knowledge
_ENOUGH_PUBLIC = 100  # photos below which a face space of them alone is too small
_PASS = 0.99


class Measures(NamedTuple):
    """How far images are from photos of faces, each ``(n,)``.

    Attributes:
        residual: The share outside the face space, in [0, 1]; large for noise.
        mahalanobis: The distance from the mean within the space, about 1 for photos; large for
            monstrous mixtures of eigenfaces.
        likeness: The correlation with the most similar photo, in [-1, 1]; small for smooth blobs
            that are no face.
        noise: The deviation of the noise on each pixel, estimated after Immerkær 1996, over that
            of the image; large for noise, also for noise that a face shines through.
    """

    residual: Floats
    mahalanobis: Floats
    likeness: Floats
    noise: Floats


class Limits(NamedTuple):
    """The largest plausible value of each of :class:`Measures`; of ``likeness`` the smallest."""

    residual: float
    mahalanobis: float
    likeness: float
    noise: float


@dataclass(frozen=True)
class Gate:
    """Lets pass what measures like a photo of a face.

    Each image is first given mean 0 and deviation 1, so light and contrast do not count.

    Attributes:
        space: The face space of the photos with their mirrored and moved copies.
        gallery: Those photos, each of length one, ``(photos, pixels)``.
        limits: How far from photos an image may be.
    """

    space: FaceSpace
    gallery: NDArray[np.float32]
    limits: Limits

    @classmethod
    def fit(cls, private: Tensor, people: NDArray[np.int64], public: Tensor) -> Gate:
        """Spans the space and sets the limits so that about 99% of fresh photos pass them all.

        With enough public photos they alone span the space. The judges' photos then give limits,
        and so do the strangers', a third of whom is kept out in each of three rounds; the wider
        ones hold: people differ more than photos of one person, so limits from a few people would
        refuse others for being unusual. Noise that wide limits let through is stopped by the
        estimate of noise, in which people differ little.

        With fewer public photos the judges' join them, and the limits come from three rounds in
        each of which a third of everybody's photos is kept out. Either way no photo that sets a
        limit is one of those that it is compared with.

        Args:
            private: The judges' photos, ``(n, channels, height, width)`` in [0, 1].
            people: Who is on those, ``(n,)``.
            public: Strangers' photos, in [0, 1], those of one person in a row; may be none.
        """
        if len(public) >= _ENOUGH_PUBLIC:
            space, gallery = _span(public)
            strangers = _in_turn(public, np.arange(len(public)) * 3 // len(public), public[:0])
            return cls(
                space,
                gallery,
                _wider(_limits(_measure(space, gallery, private)), _limits(strangers)),
            )
        turns = np.empty(len(people), np.int64)
        turns[np.argsort(people, kind="stable")] = np.arange(len(people)) % 3
        limits = _limits(_in_turn(private, turns, public))
        return cls(*_span(torch.cat([public, private])), limits)

    def measure(self, images: Tensor) -> Measures:
        """Measures images.

        Args:
            images: ``(n, channels, height, width)`` in [0, 1], of the photos' shape.
        """
        return _measure(self.space, self.gallery, images)

    def passes(self, measures: Measures) -> NDArray[np.bool_]:
        """Tells which images are plausible, ``(n,)``.

        Args:
            measures: What :meth:`measure` returned.
        """
        plausible: NDArray[np.bool_] = (
            (measures.residual <= self.limits.residual)
            & (measures.mahalanobis <= self.limits.mahalanobis)
            & (measures.likeness >= self.limits.likeness)
            & (measures.noise <= self.limits.noise)
        )
        return plausible


def _span(photos: Tensor) -> tuple[FaceSpace, NDArray[np.float32]]:
    """Returns the face space and the gallery of some photos."""
    seen = standardise(variants(photos, 0 if len(photos) > _MANY else 2)).numpy()
    return FaceSpace.fit(seen, min(150, max(2, len(seen) // 4))), _unit(seen)


def _unit(seen: Images) -> NDArray[np.float32]:
    rows = seen.reshape(len(seen), -1)
    unit: NDArray[np.float32] = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-6)
    return unit


def _measure(space: FaceSpace, gallery: NDArray[np.float32], images: Tensor) -> Measures:
    standard = standardise(images)
    seen = standard.numpy()
    likeness = (_unit(seen) @ gallery.T).max(axis=1).astype(np.float64)
    noise = estimated_noise(standard).numpy().astype(np.float64)
    return Measures(space.residual(seen), space.mahalanobis(seen), likeness, noise)


def _in_turn(photos: Tensor, turns: NDArray[np.int64], others: Tensor) -> Measures:
    """Measures the photos of each turn in the space of those of the other turns, and of others."""
    measured = [
        _measure(*_span(torch.cat([others, photos[~kept_out]])), photos[kept_out])
        for kept_out in (turns == turn for turn in range(3))
        if kept_out.any()
    ]
    return Measures(*(np.concatenate(values) for values in zip(*measured, strict=True)))


def _limits(measured: Measures) -> Limits:
    """Returns limits such that about 99% of fresh photos pass them all.

    Prediction limits on scales where the measures are about normal (logarithms, and Fisher's z
    for the correlation), because with some sixty photos the highest quantiles are mere extremes.
    """
    residual = np.exp(_above(np.log(measured.residual.clip(1e-6))))
    mahalanobis = np.exp(_above(np.log(measured.mahalanobis.clip(1e-6))))
    likeness = -np.tanh(_above(-np.arctanh(measured.likeness.clip(-0.999, 0.999))))
    noise = np.exp(_above(np.log(measured.noise.clip(1e-6))))
    return Limits(min(float(residual), 1.0), float(mahalanobis), float(likeness), float(noise))


def _wider(one: Limits, other: Limits) -> Limits:
    return Limits(
        max(one.residual, other.residual),
        max(one.mahalanobis, other.mahalanobis),
        min(one.likeness, other.likeness),
        max(one.noise, other.noise),
    )


def _above(values: Floats) -> float:
    """Returns what the next value stays below, but for a measure's part of what may fail."""
    count = len(values)
    # Slow to import, and not needed before.
    from scipy.stats import t as student

    reach = student.ppf(1 - (1 - _PASS) / len(Measures._fields), count - 1) * np.sqrt(1 + 1 / count)
    return float(values.mean() + reach * values.std(ddof=1))
