"""Judges that decide whether an image shows a given person.

An attack that only fools the target has recovered nothing, so the judges share neither photos nor
seeds with it, and are built in three different ways. Three are not enough: noise grown from grey
can win their majority, because each must name somebody. Before them stands a plausibility gate
that asks whether the image is a face at all.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as functional
from numpy.typing import NDArray
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from torch import Tensor, nn

from darkroom.errors import DataError
from darkroom.images.judges.images import (
    FaceSpace,
    Images,
    blur,
    disturb,
    orientations,
    shrink,
    standardise,
    variants,
)
from darkroom.images.judges.plausibility import Gate

Labels = NDArray[np.int64]
Report = Callable[[int, int], None]

_LONGEST = 48  # pixels: finer detail than this tells noise apart, not people
_MANY = 300  # photos from which on moved copies add cost and hardly any knowledge
_BATCH = 64
_CHUNK = 256


class Judgement(NamedTuple):
    """What the panel says of some images.

    Attributes:
        predictions: The person whom each judge names, int64 ``(n, 3)``; -1 for somebody else.
        distances: The share of each image that the face space cannot express, ``(n,)`` in [0, 1].
        plausible: Whether each image passes the gate, ``(n,)``.
    """

    predictions: Labels
    distances: NDArray[np.float64]
    plausible: NDArray[np.bool_]

    def votes(self, goals: Labels) -> NDArray[np.bool_]:
        """Tells which judges name the goal, ``(n, 3)``, whatever the gate says.

        Args:
            goals: The person that each image shall show, ``(n,)``.
        """
        agree: NDArray[np.bool_] = self.predictions == np.asarray(goals)[:, None]
        return agree

    def names(self, goals: Labels) -> NDArray[np.bool_]:
        """Tells which images show the goal: plausible, and named by at least two of three.

        Args:
            goals: The person that each image shall show, ``(n,)``.
        """
        success: NDArray[np.bool_] = self.plausible & (self.votes(goals).sum(axis=1) >= 2)
        return success


@dataclass(frozen=True)
class Panel:
    """Three judges behind a plausibility gate.

    Attributes:
        low: The value of black.
        high: The value of full intensity.
        shape: ``(channels, height, width)`` of the images.
        gate: Decides which images are plausible; it holds its limits.
        judges: One for each of :attr:`names`, in that order.
    """

    names = ("convolutional net", "linear discriminant", "nearest neighbour")

    low: float
    high: float
    shape: tuple[int, ...]
    gate: Gate
    judges: tuple[NetJudge, DiscriminantJudge, NeighbourJudge]

    @classmethod
    def fit(
        cls,
        images: Images,
        people: Labels,
        *,
        public_images: Images | None = None,
        public_people: Labels | None = None,
        low: float = 0.0,
        high: float = 1.0,
        seed: int,
        steps: int = 500,
        on_progress: Report | None = None,
    ) -> Panel:
        """Trains the judges and calibrates the gate; takes some ten to twenty seconds.

        The global random state is left as it was.

        Args:
            images: Photos of the people under attack that the target was *not* trained on,
                float32 ``(n, channels, height, width)``; three or more a person are wanted.
            people: The class of each, ``(n,)``, not negative.
            public_images: Photos of strangers, of the same shape.
            public_people: Who is on those, ``(m,)``, in numbers of their own that have nothing to
                do with ``people``. The judges answer -1 for them. Without it the strangers serve
                the gate alone, and each judge names one of ``people`` for every image.
            low: The value of black.
            high: The value of full intensity.
            seed: Decides the net's start and what it is shown.
            steps: Training steps of the net.
            on_progress: Called with the training steps done and those in all.

        Raises:
            DataError: If there are fewer than two people, if a class below the highest has no
                photo, or if labels, shapes or values do not fit together.
        """
        shape = _check(images, people, "judges' photos")
        _check_people(people)
        if not low < high:
            raise DataError(f"judges' photos: range [{low}, {high}] is empty: give low below high")
        private = _prepare(images, low, high)
        strangers = private[:0]
        if public_images is not None and len(public_images):
            _check(public_images, public_people, "public photos", shape)
            strangers = _prepare(public_images, low, high)
        gate = Gate.fit(private, people, strangers)
        answers, others = _classes(people, public_people if len(strangers) else None)
        known = torch.cat([private, strangers[: len(others)]])
        classes = np.concatenate([np.searchsorted(np.unique(people), people), others])
        net = NetJudge.fit(known, classes, answers, seed, steps, on_progress)
        discriminant = DiscriminantJudge.fit(known, classes, answers)
        neighbour = NeighbourJudge.fit(known, classes, answers)
        return cls(low, high, shape, gate, (net, discriminant, neighbour))

    def judge(self, images: Images) -> Judgement:
        """Asks the gate and every judge.

        Args:
            images: Float32 ``(n, channels, height, width)`` in the range given to :meth:`fit`;
                ``n`` may be 0.

        Raises:
            DataError: If the shape differs from that of the photos, or values are not finite.
        """
        _check(images, None, "images to judge", self.shape)
        parts = [Judgement(np.empty((0, 3), np.int64), np.empty(0), np.empty(0, np.bool_))]
        with torch.no_grad():
            for start in range(0, len(images), _CHUNK):
                rows = _prepare(images[start : start + _CHUNK], self.low, self.high)
                named = np.stack([judge.name(rows) for judge in self.judges], axis=1)
                measures = self.gate.measure(rows)
                plausible = self.gate.passes(measures)
                parts.append(Judgement(named, measures.residual, plausible))
        return Judgement(*(np.concatenate(column) for column in zip(*parts, strict=True)))


@dataclass(frozen=True)
class NetJudge:
    """A small convolutional net, trained on moved, turned, blurred and noisy copies.

    Attributes:
        net: Takes standardised images, returns a score a class.
        answers: The person that each class stands for, or -1.
    """

    net: nn.Sequential
    answers: Labels

    @classmethod
    def fit(
        cls,
        images: Tensor,
        classes: Labels,
        answers: Labels,
        seed: int,
        steps: int,
        report: Report | None,
    ) -> NetJudge:
        """Trains the net; strangers make up no more than half of what it is shown.

        Args:
            images: ``(n, channels, height, width)`` in [0, 1].
            classes: The class of each.
            answers: The person that each class stands for, or -1.
            seed: Decides the start and the copies.
            steps: How many to train for.
            report: Called with the steps done and those in all.
        """
        labels = torch.from_numpy(classes)
        stranger = torch.from_numpy(answers < 0)[labels]
        share = min(0.5, float(stranger.double().mean()))
        weights = torch.where(
            stranger, share / max(1, int(stranger.sum())), (1 - share) / int((~stranger).sum())
        )
        source = torch.Generator().manual_seed(seed)
        drawn = torch.multinomial(weights, steps * _BATCH, replacement=True, generator=source)
        # Initial weights and dropout can draw from the default generator only.
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            net = _net(images.shape[1], len(answers))
            optimiser = torch.optim.AdamW(net.parameters(), lr=5e-3, weight_decay=1e-2)
            rate = torch.optim.lr_scheduler.OneCycleLR(optimiser, 5e-3, steps)
            for step, batch in enumerate(drawn.view(steps, _BATCH)):
                scores = net(standardise(disturb(images[batch], source)))
                loss = functional.cross_entropy(scores, labels[batch], label_smoothing=0.1)
                optimiser.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                optimiser.step()
                rate.step()
                if report is not None:
                    report(step + 1, steps)
        return cls(net.eval().requires_grad_(False), answers)

    def name(self, images: Tensor) -> Labels:
        """Returns the person named for each image, from it and its mirror image together.

        Args:
            images: ``(n, channels, height, width)`` in [0, 1].
        """
        seen = standardise(images)
        scores = self.net(seen).log_softmax(1) + self.net(seen.flip(3)).log_softmax(1)
        named: Labels = self.answers[scores.argmax(dim=1).numpy()]
        return named


@dataclass(frozen=True)
class DiscriminantJudge:
    """The nearest photo by angle, in the space that best parts people ("Fisherfaces").

    Belhumeur, Hespanha and Kriegman (1997), with shrinkage of the scatter within people, and
    with the nearest photo in place of the nearest centre, which is better with few photos each.

    Attributes:
        space: The principal components in front of the discriminant.
        discriminant: The linear discriminant.
        gallery: The photos there, of length one, ``(photos, dimensions)``.
        answers: The person on each, or -1.
    """

    space: FaceSpace
    discriminant: LinearDiscriminantAnalysis
    gallery: NDArray[np.float64]
    answers: Labels

    @classmethod
    def fit(cls, images: Tensor, classes: Labels, answers: Labels) -> DiscriminantJudge:
        """Finds the space from mirrored, moved and blurred photos.

        Args:
            images: ``(n, channels, height, width)`` in [0, 1].
            classes: The class of each.
            answers: The person that each class stands for, or -1.
        """
        copies, labels = _gallery(images, classes, answers)
        seen = _coarse(copies)
        space = FaceSpace.fit(seen, 80)
        discriminant = LinearDiscriminantAnalysis(solver="eigen", shrinkage=0.05)
        discriminant.fit(space.coordinates(seen) * space.deviations, labels)
        bare = cls(space, discriminant, np.empty((0, 0)), answers[labels])
        return cls(space, discriminant, bare._place(seen), answers[labels])

    def name(self, images: Tensor) -> Labels:
        """Returns the person on the photo nearest to each image; see :meth:`NetJudge.name`."""
        likeness = self._place(_coarse(images)) @ self.gallery.T
        named: Labels = self.answers[likeness.argmax(axis=1)]
        return named

    def _place(self, seen: Images) -> NDArray[np.float64]:
        placed = self.discriminant.transform(self.space.coordinates(seen) * self.space.deviations)
        length = np.linalg.norm(placed, axis=1, keepdims=True)
        unit: NDArray[np.float64] = placed / np.maximum(length, 1e-12)
        return unit


@dataclass(frozen=True)
class NeighbourJudge:
    """The nearest photo by histograms of gradient orientations (Dalal and Triggs 2005).

    Attributes:
        gallery: The photos' histograms, ``(photos, features)``.
        answers: The person on each, or -1.
    """

    gallery: Tensor
    answers: Labels

    @classmethod
    def fit(cls, images: Tensor, classes: Labels, answers: Labels) -> NeighbourJudge:
        """Keeps the histograms of mirrored and moved photos; see :meth:`DiscriminantJudge.fit`."""
        copies, labels = _gallery(images, classes, answers)
        starts = range(0, len(copies), _CHUNK)
        parts = [orientations(copies[start : start + _CHUNK]) for start in starts]
        return cls(torch.cat(parts), answers[labels])

    def name(self, images: Tensor) -> Labels:
        """Returns the person on the photo nearest to each image; see :meth:`NetJudge.name`."""
        apart = torch.cdist(orientations(images), self.gallery)
        named: Labels = self.answers[apart.argmin(dim=1).numpy()]
        return named


def _check(
    images: Images, people: Labels | None, what: str, shape: tuple[int, ...] | None = None
) -> tuple[int, ...]:
    """Returns the shape of one image.

    Raises:
        DataError: If images and labels cannot be what they should.
    """
    if images.ndim != 4 or images.shape[1] not in (1, 3):
        raise DataError(
            f"{what}: shape {list(images.shape)}: give (n, channels, height, width) with 1 or 3 "
            "channels"
        )
    if shape is not None and images.shape[1:] != shape:
        raise DataError(
            f"{what}: shape {list(images.shape[1:])}, but the judges' photos have {list(shape)}: "
            "resize them"
        )
    if people is not None and (people.ndim != 1 or len(people) != len(images)):
        raise DataError(f"{what}: {len(images)} photos but {len(people)} labels: give one each")
    if not np.isfinite(images).all():
        raise DataError(f"{what}: some values are not finite: mend or leave out those images")
    return tuple(images.shape[1:])


def _check_people(people: Labels) -> None:
    """Refuses labels from which no panel can be trained.

    Raises:
        DataError: If there are fewer than two people, or negative numbers.
    """
    known = np.unique(people)
    if len(known) < 2:
        raise DataError(
            f"judges' photos: {len(known)} people in {len(people)} photos: give held-out photos of "
            "at least two people"
        )
    if known[0] < 0:
        raise DataError(
            f"judges' photos: person {known[0]}, but -1 means somebody else: number from 0"
        )


def _prepare(images: Images, low: float, high: float) -> Tensor:
    """Brings images into [0, 1] and to the judges' size."""
    scaled = (torch.from_numpy(np.ascontiguousarray(images, np.float32)) - low) / (high - low)
    return shrink(scaled.clamp(0, 1), _LONGEST)


def _classes(people: Labels, public_people: Labels | None) -> tuple[Labels, Labels]:
    """Returns the person that each class stands for, and the class of each stranger's photo."""
    answers = np.unique(people).astype(np.int64)
    if public_people is None:
        return answers, np.empty(0, np.int64)
    strangers, others = np.unique(public_people, return_inverse=True)
    nobody = np.full(len(strangers), -1, np.int64)
    return np.concatenate([answers, nobody]), (others + len(answers)).astype(np.int64)


def _net(channels: int, classes: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for before, after, kernel in ((channels, 16, 5), (16, 32, 3), (32, 64, 3)):
        layers += [
            nn.Conv2d(before, after, kernel, stride=2, padding=kernel // 2),
            nn.BatchNorm2d(after),
            nn.ReLU(),
        ]
    pooled = [nn.AdaptiveAvgPool2d((5, 4)), nn.Flatten(), nn.Dropout(0.3)]
    return nn.Sequential(*layers, *pooled, nn.Linear(64 * 20, classes))


def _gallery(images: Tensor, classes: Labels, answers: Labels) -> tuple[Tensor, Labels]:
    """Returns mirrored copies of all photos and moved ones, of strangers only if they are few."""
    stranger = answers[classes] < 0
    shift = 0 if stranger.sum() > _MANY else 2
    own, others = variants(images[~stranger], 2), variants(images[stranger], shift)
    labels = [np.tile(classes[~stranger], 10), np.tile(classes[stranger], 10 if shift else 2)]
    return torch.cat([own, others]), np.concatenate(labels)


def _coarse(images: Tensor) -> Images:
    """Returns what the discriminant sees: blurred a little, so that grain matters less."""
    seen: Images = standardise(blur(shrink(images, 32), 0.6)).numpy()
    return seen
