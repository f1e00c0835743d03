"""How close images are to faces, and to the photos of one person.

Everything here takes images as float32 ``(n, channels, height, width)`` with values in [0, 1].
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as functional
from numpy.typing import NDArray
from torch import Tensor

from darkroom.errors import DataError

Images = NDArray[np.float32]

_WINDOW = 7  # of the structural similarity, as Wang et al. 2004 use it with uniform weights
_CHUNK = 256


@dataclass(frozen=True)
class FaceSpace:
    """The space spanned by the principal components of photos ("eigenfaces").

    Turk and Pentland (1991), "Eigenfaces for recognition".

    Attributes:
        shape: ``(channels, height, width)`` of the images.
        mean: The mean photo, ``(pixels,)``.
        basis: Orthonormal rows, ``(components, pixels)``.
        deviations: The standard deviation of the photos along each row, ``(components,)``.
    """

    shape: tuple[int, ...]
    mean: NDArray[np.float32]
    basis: NDArray[np.float32]
    deviations: NDArray[np.float32]

    @classmethod
    def fit(cls, images: Images, components: int) -> FaceSpace:
        """Finds the space of some photos.

        Args:
            images: ``(n, channels, height, width)``, at least two that differ.
            components: The dimensions wanted; fewer are kept where the photos span no more.

        Raises:
            DataError: If there are fewer than two photos, if all are the same, or if no component
                is asked for.
        """
        if len(images) < 2 or components < 1:
            raise DataError(
                f"face space: {len(images)} photos for {components} components: give at least "
                "two photos and one component"
            )
        rows = images.reshape(len(images), -1)
        mean = rows.mean(axis=0, dtype=np.float64).astype(np.float32)
        values, basis = _principal(rows - mean, min(components, len(rows) - 1, rows.shape[1]))
        deviations = values / np.sqrt(len(rows) - 1)
        # Directions that only rounding spans would blow up every standardised coordinate.
        kept = deviations > max(1e-4 * float(deviations[0]), 1e-6)
        if not kept.any():
            raise DataError("face space: all photos are the same: give photos that differ")
        return cls(tuple(images.shape[1:]), mean, basis[kept], deviations[kept])

    def coordinates(self, images: Images) -> NDArray[np.float64]:
        """Returns the standardised coordinates, ``(n, components)``: one is one deviation.

        Args:
            images: ``(n, channels, height, width)``.

        Raises:
            DataError: If the images have another shape than the photos.
        """
        scaled = (self._centred(images) @ self.basis.T) / self.deviations
        return np.asarray(scaled, np.float64)

    def residual(self, images: Images) -> NDArray[np.float64]:
        """Returns the share of each image that the space cannot express.

        Args:
            images: ``(n, channels, height, width)``.

        Returns:
            ``||image - projection|| / ||image - mean||``, in [0, 1], ``(n,)``; 0 for the mean.

        Raises:
            DataError: If the images have another shape than the photos.
        """
        centred = self._centred(images)
        whole = np.linalg.norm(centred, axis=1)
        rest = np.linalg.norm(centred - (centred @ self.basis.T) @ self.basis, axis=1)
        share = rest / np.where(whole > 0, whole, 1)
        return np.asarray(share.clip(0, 1), np.float64)

    def mahalanobis(self, images: Images) -> NDArray[np.float64]:
        """Returns how far from the mean each image lies within the space.

        Args:
            images: ``(n, channels, height, width)``.

        Returns:
            The root mean square of the standardised coordinates, ``(n,)``; about 1 for photos
            like those of the fit.

        Raises:
            DataError: If the images have another shape than the photos.
        """
        squares = (self.coordinates(images) ** 2).mean(axis=1)
        return np.asarray(np.sqrt(squares), np.float64)

    def _centred(self, images: Images) -> NDArray[np.float32]:
        if images.ndim != 4 or images.shape[1:] != self.shape:
            raise DataError(
                f"face space: images of shape {list(images.shape[1:])}, but its photos were "
                f"{list(self.shape)}: resize the images"
            )
        centred: NDArray[np.float32] = images.reshape(len(images), -1) - self.mean
        return centred


def _principal(
    rows: NDArray[np.float32], components: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Returns the largest singular values and their right vectors, the same at each call."""
    if min(rows.shape) <= 500:
        _, values, basis = np.linalg.svd(rows, full_matrices=False)
        return values[:components], basis[:components]
    # The whole decomposition grows with the cube of the size; three rounds are ample for photos.
    # Slow to import, and not needed before.
    from sklearn.utils.extmath import randomized_svd

    _, values, basis = randomized_svd(rows, components, n_iter=3, random_state=0)
    return values.astype(np.float32), basis.astype(np.float32)


def ssim(a: Images, b: Images) -> NDArray[np.float64]:
    """Returns the mean structural similarity of pairs (Wang et al. 2004).

    Windows of seven by seven pixels with uniform weights and unbiased variances, averaged over
    all whole windows and channels: what scikit-image computes by default.

    Args:
        a: ``(n, channels, height, width)`` in [0, 1].
        b: The same shape.

    Returns:
        ``(n,)``, at most 1, which only equal images reach.

    Raises:
        DataError: If the shapes differ, or if a side has fewer than seven pixels.
    """
    if a.ndim != 4 or a.shape != b.shape or min(a.shape[2:]) < _WINDOW:
        raise DataError(
            f"structural similarity: images of shapes {list(a.shape)} and {list(b.shape)}: give "
            f"two equal shapes (n, channels, height, width) of at least {_WINDOW} pixels a side"
        )
    parts = [np.empty(0)]
    for start in range(0, len(a), _CHUNK):
        rows = slice(start, start + _CHUNK)
        parts.append(_similarity(torch.from_numpy(a[rows]), torch.from_numpy(b[rows])).numpy())
    return np.concatenate(parts)


def _similarity(a: Tensor, b: Tensor) -> Tensor:
    """Computes the similarity of one chunk, in double precision."""
    a, b = a.double(), b.double()

    def mean(values: Tensor) -> Tensor:
        # Rows, then columns, and sums of views: a third of the time of average pooling.
        rows = values.unfold(2, _WINDOW, 1).sum(-1)
        return rows.unfold(3, _WINDOW, 1).sum(-1) / _WINDOW**2

    mean_a, mean_b = mean(a), mean(b)
    unbiased = _WINDOW**2 / (_WINDOW**2 - 1)
    variance_a = (mean(a * a) - mean_a**2) * unbiased
    variance_b = (mean(b * b) - mean_b**2) * unbiased
    covariance = (mean(a * b) - mean_a * mean_b) * unbiased
    luminance, contrast = 0.01**2, 0.03**2
    above = (2 * mean_a * mean_b + luminance) * (2 * covariance + contrast)
    below = (mean_a**2 + mean_b**2 + luminance) * (variance_a + variance_b + contrast)
    return (above / below).mean(dim=(1, 2, 3))


class Nearest(NamedTuple):
    """For each reconstruction, the most similar photo of the person it shall show.

    Attributes:
        photo: Its position among the photos, int64 ``(n,)``.
        ssim: The structural similarity to it, ``(n,)``.
        distance: The root mean square difference of their standardised coordinates in the face
            space, ``(n,)``; about 1.4 for two unrelated people.
    """

    photo: NDArray[np.int64]
    ssim: NDArray[np.float64]
    distance: NDArray[np.float64]


def nearest_photo(
    images: Images,
    goals: NDArray[np.int64],
    photos: Images,
    people: NDArray[np.int64],
    space: FaceSpace,
) -> Nearest:
    """Finds, for each reconstruction, the most similar photo of its person.

    Args:
        images: The reconstructions, ``(n, channels, height, width)`` in [0, 1].
        goals: The person that each shall show, ``(n,)``.
        photos: ``(photos, channels, height, width)`` in [0, 1].
        people: The person on each photo, ``(photos,)``.
        space: Where the distance is measured.

    Raises:
        DataError: If a goal has no photo, or if the shapes differ.
    """
    order = np.argsort(people, kind="stable")
    first, stop = (np.searchsorted(people[order], goals, side) for side in ("left", "right"))
    count = stop - first
    missing = np.unique(goals[count == 0])
    if len(missing):
        raise DataError(f"nearest photo: no photo of {missing.tolist()}: give photos of every goal")
    if not len(images):
        return Nearest(np.empty(0, np.int64), np.empty(0), np.empty(0))
    # Pairs of a goal with each of its photos alone: all goals times all photos would fill memory.
    begin = np.cumsum(count) - count
    row = np.repeat(np.arange(len(goals)), count)
    column = order[np.arange(len(row)) - begin[row] + first[row]]
    parts = [
        ssim(images[row[start : start + _CHUNK]], photos[column[start : start + _CHUNK]])
        for start in range(0, len(row), _CHUNK)
    ]
    similarity = np.concatenate(parts)
    highest = np.maximum.reduceat(similarity, begin)
    reached = np.flatnonzero(similarity == highest[row])
    best = column[reached[np.unique(row[reached], return_index=True)[1]]].astype(np.int64)
    apart = space.coordinates(images) - space.coordinates(photos[best])
    return Nearest(best, highest, np.sqrt((apart**2).mean(axis=1)))


def shrink(images: Tensor, longest: int) -> Tensor:
    """Averages areas until the longer side has at most ``longest`` pixels; enlarges nothing.

    Args:
        images: ``(n, channels, height, width)``.
        longest: Pixels.
    """
    height, width = images.shape[2:]
    scale = min(1.0, longest / max(height, width))
    size = (max(1, round(height * scale)), max(1, round(width * scale)))
    return functional.adaptive_avg_pool2d(images, size)


def standardise(images: Tensor) -> Tensor:
    """Gives every image mean 0 and deviation 1, so that light and contrast do not count.

    A blank image becomes 0.

    Args:
        images: ``(n, channels, height, width)``.
    """
    centred = images - images.mean(dim=(1, 2, 3), keepdim=True)
    # The floor keeps what rounding leaves of a blank image from being taken for a picture.
    return centred / (centred.square().mean(dim=(1, 2, 3), keepdim=True).sqrt() + 1e-3)


def blur(images: Tensor, deviation: float) -> Tensor:
    """Convolves with a Gaussian, repeating the pixels at the edges.

    Args:
        images: ``(n, channels, height, width)``.
        deviation: Of the Gaussian, in pixels.
    """
    reach = int(3 * deviation) + 1
    steps = torch.arange(-reach, reach + 1, dtype=images.dtype, device=images.device)
    kernel = torch.exp(-steps.square() / (2 * deviation**2))
    kernel /= kernel.sum()
    channels = images.shape[1]
    across = kernel.view(1, 1, 1, -1).expand(channels, 1, 1, -1)
    padded = functional.pad(images, (reach, reach, 0, 0), mode="replicate")
    smooth = functional.conv2d(padded, across, groups=channels)
    padded = functional.pad(smooth, (0, 0, reach, reach), mode="replicate")
    return functional.conv2d(padded, across.transpose(2, 3), groups=channels)


def estimated_noise(images: Tensor) -> Tensor:
    """Estimates the deviation of the noise on each pixel, ``(n,)``, in the images' units.

    Immerkær 1996 ("Fast noise variance estimation"): the difference of two Laplacians, which edges
    and slopes hardly excite, averaged over the image. Channels are averaged. An image of fewer
    than three pixels a side has no noise that could be told.

    Args:
        images: ``(n, channels, height, width)``.
    """
    if min(images.shape[2:]) < 3:
        return images.new_zeros(len(images))
    across = torch.tensor([1.0, -2.0, 1.0], dtype=images.dtype)
    kernel = (across[:, None] * across / 6).expand(images.shape[1], 1, 3, 3)
    excited = functional.conv2d(images, kernel, groups=images.shape[1])
    noise: Tensor = excited.abs().mean(dim=(1, 2, 3)) * (torch.pi / 2) ** 0.5
    return noise


def variants(images: Tensor, shift: int) -> Tensor:
    """Returns each image and its mirror image, in place and moved by ``shift`` four ways.

    Args:
        images: ``(n, channels, height, width)``.
        shift: Pixels; 0 leaves only the image and its mirror image.

    Returns:
        ``(10 n, channels, height, width)``, or ``(2 n, …)`` without a shift: all images in one
        variant, then all in the next.
    """
    both = torch.cat([images, images.flip(3)])
    if not shift:
        return both
    height, width = images.shape[2:]
    padded = functional.pad(both, (shift,) * 4, mode="replicate")
    places = ((1, 1), (0, 1), (2, 1), (1, 0), (1, 2))
    return torch.cat(
        [
            padded[:, :, down * shift :, right * shift :][:, :, :height, :width]
            for down, right in places
        ]
    )


def disturb(images: Tensor, source: torch.Generator) -> Tensor:
    """Mirrors, moves, turns, scales, blurs and adds noise, each image in its own way.

    Light and contrast are left alone: judges standardise what they see.

    Args:
        images: ``(n, channels, height, width)`` in [0, 1], in random order, because which part
            of the batch is blurred goes by position.
        source: Decides all of it, on the processor, so that it is the same wherever images are.
    """
    count, height, width = len(images), images.shape[2], images.shape[3]

    def around(spread: float) -> Tensor:
        return (torch.rand(count, generator=source).to(images.device) * 2 - 1) * spread

    angle, scale, right, down = around(0.17), 1 + around(0.1), around(0.14), around(0.14)
    mirror = around(1.0).sign()
    cosine, sine, aspect = angle.cos() * scale, angle.sin() * scale, height / width
    above = torch.stack([cosine * mirror, -sine * aspect, right], dim=1)
    below = torch.stack([sine / aspect * mirror, cosine, down], dim=1)
    grid = functional.affine_grid(
        torch.stack([above, below], dim=1), list(images.shape), align_corners=False
    )
    moved = functional.grid_sample(images, grid, padding_mode="reflection", align_corners=False)
    third = count // 3
    soft = [blur(moved[:third], 0.8), blur(moved[third : third + third // 2], 1.8)]
    mixed = torch.cat([*soft, moved[third + third // 2 :]])
    strength = torch.rand(count, 1, 1, 1, generator=source).to(images.device) * 0.08
    return mixed + torch.randn(mixed.shape, generator=source).to(images.device) * strength


def orientations(images: Tensor) -> Tensor:
    """Returns histograms of gradient orientations over overlapping cells.

    Dalal and Triggs (2005), with eight signed directions and cells of a seventh of the shorter
    side; colours are averaged first.

    Args:
        images: ``(n, channels, height, width)`` in [0, 1].

    Returns:
        ``(n, features)``.
    """
    bins, cell = 8, max(2, min(images.shape[2:]) // 7)
    grey = blur(images.mean(dim=1, keepdim=True), 0.7)
    padded = functional.pad(grey, (1, 1, 1, 1), mode="replicate")
    right = padded[:, :, 1:-1, 2:] - padded[:, :, 1:-1, :-2]
    down = padded[:, :, 2:, 1:-1] - padded[:, :, :-2, 1:-1]
    place = torch.atan2(down, right) * (bins / (2 * np.pi)) % bins
    apart = (place - torch.arange(bins, device=images.device).view(1, bins, 1, 1)).abs()
    near = (1 - torch.minimum(apart, bins - apart)).clamp_min(0)
    cells = functional.avg_pool2d(near * torch.hypot(right, down), cell, max(1, cell // 2))
    energy = functional.avg_pool2d(cells.square().sum(dim=1, keepdim=True), 3, 1, 1)
    return (cells / (energy.sqrt() + 1e-3)).flatten(1)
