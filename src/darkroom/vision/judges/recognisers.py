"""The judges of every panel: three ways to tell people apart that have nothing in common."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from typing import Annotated, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from darkroom.named import Registry
from darkroom.vision.judges.base import Judge, Labels, Movable, Report
from darkroom.vision.judges.base import Recogniser as Recogniser
from darkroom.vision.judges.discriminant import DiscriminantSpace, coarse
from darkroom.vision.judges.images import disturb, orientations, standardise, variants
from darkroom.vision.networks.precision import FUSED
from darkroom.vision.randomness import OwnRandomness

_MANY = 300  # photos from which on moved copies add cost and hardly any knowledge
_BATCH = 64
_CHUNK = 256


@dataclass(frozen=True)
class ConvolutionalNet(Judge):
    """A small convolutional net, trained on moved, turned, blurred and noisy copies.

    Attributes:
        steps: Of training.
    """

    name: ClassVar[str] = "convolutional net"
    anywhere: ClassVar[bool] = True

    steps: Annotated[int, Field(ge=1)] = 500

    def fit(
        self, images: Tensor, people: Labels, *, seed: int, on_progress: Report | None = None
    ) -> NetRecogniser:
        """Trains the net; see :meth:`Judge.fit`."""
        classes, answers = _classes(people)
        return NetRecogniser.fit(images, classes, answers, seed, self.steps, on_progress)


@dataclass(frozen=True)
class LinearDiscriminant(Judge):
    """The nearest photo by angle, in the space that best parts people ("Fisherfaces").

    Belhumeur, Hespanha and Kriegman (1997), with shrinkage of the scatter within people, and
    with the nearest photo in place of the nearest centre, which is better with few photos each.
    """

    name: ClassVar[str] = "linear discriminant"
    anywhere: ClassVar[bool] = True

    def fit(
        self,
        images: Tensor,
        people: Labels,
        *,
        seed: int,  # noqa: ARG002
        on_progress: Report | None = None,  # noqa: ARG002
    ) -> DiscriminantRecogniser:
        """Finds the space; see :meth:`Judge.fit`."""
        return DiscriminantRecogniser.fit(images, *_classes(people))


@dataclass(frozen=True)
class NearestNeighbour(Judge):
    """The nearest photo by histograms of gradient orientations (Dalal and Triggs 2005)."""

    name: ClassVar[str] = "nearest neighbour"
    anywhere: ClassVar[bool] = True

    def fit(
        self,
        images: Tensor,
        people: Labels,
        *,
        seed: int,  # noqa: ARG002
        on_progress: Report | None = None,  # noqa: ARG002
    ) -> NeighbourRecogniser:
        """Keeps the histograms; see :meth:`Judge.fit`."""
        return NeighbourRecogniser.fit(images, *_classes(people))


def own_judges(steps: int = 500) -> tuple[Judge, ...]:
    """Returns the judges of every panel, built in three different ways.

    Args:
        steps: Training steps of the net.
    """
    return ConvolutionalNet(steps), LinearDiscriminant(), NearestNeighbour()


JUDGES: Registry[Judge] = Registry(
    "judge", Judge, ConvolutionalNet, LinearDiscriminant, NearestNeighbour, group="darkroom.judges"
)


@dataclass(frozen=True)
class NetRecogniser(Movable):
    """A trained net.

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
    ) -> NetRecogniser:
        """Trains the net; strangers make up no more than half of what it is shown.

        Args:
            images: ``(n, channels, height, width)`` in [0, 1]; the net is trained where they are.
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
        own, device = OwnRandomness(seed), images.device
        with own():
            net = _net(images.shape[1], len(answers)).to(device)
        optimiser = torch.optim.AdamW(
            net.parameters(), lr=5e-3, weight_decay=1e-2, fused=device.type in FUSED
        )
        rate = torch.optim.lr_scheduler.OneCycleLR(optimiser, 5e-3, steps)
        labels, drawn = labels.to(device), drawn.to(device)
        for step, batch in enumerate(drawn.view(steps, _BATCH)):
            shown = standardise(disturb(images[batch], source))
            with own():
                scores = net(shown)
            loss = functional.cross_entropy(scores, labels[batch], label_smoothing=0.1)
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            rate.step()
            if report is not None:
                report(step + 1, steps)
        return cls(net.eval().requires_grad_(False), answers)

    def __call__(self, images: Tensor) -> Labels:
        """Returns the person named for each image, from it and its mirror image together.

        Args:
            images: ``(n, channels, height, width)`` in [0, 1].
        """
        seen = standardise(images)
        scores = self.net(seen).log_softmax(1) + self.net(seen.flip(3)).log_softmax(1)
        named: Labels = self.answers[scores.argmax(dim=1).cpu().numpy()]
        return named

    def to(self, device: torch.device) -> NetRecogniser:
        """Puts the net elsewhere; see :meth:`Movable.to`."""
        if next(self.net.parameters()).device == device:
            return self
        return replace(self, net=copy.deepcopy(self.net).to(device))


@dataclass(frozen=True)
class DiscriminantRecogniser(Movable):
    """Photos in a space that parts people.

    Attributes:
        space: The space.
        gallery: The photos there, of length one, ``(photos, dimensions)``.
        answers: The person on each, or -1.
    """

    space: DiscriminantSpace
    gallery: NDArray[np.float64]
    answers: Labels

    @classmethod
    def fit(cls, images: Tensor, classes: Labels, answers: Labels) -> DiscriminantRecogniser:
        """Finds the space from mirrored, moved and blurred photos.

        Args:
            images: ``(n, channels, height, width)`` in [0, 1].
            classes: The class of each.
            answers: The person that each class stands for, or -1.
        """
        copies, labels = _gallery(images, classes, answers)
        seen = coarse(copies)
        space = DiscriminantSpace.fit(seen, labels)
        return cls(space, space.place_coarse(seen), answers[labels])

    def __call__(self, images: Tensor) -> Labels:
        """Returns the person on the photo nearest to each image; see :data:`Recogniser`."""
        likeness = self.space.place(images) @ self.gallery.T
        named: Labels = self.answers[likeness.argmax(axis=1)]
        return named

    def to(self, device: torch.device) -> DiscriminantRecogniser:  # noqa: ARG002
        """Returns itself: the space stays on the processor, wherever images are."""
        return self


@dataclass(frozen=True)
class NeighbourRecogniser(Movable):
    """Histograms of gradient orientations of photos.

    Attributes:
        gallery: The photos' histograms, ``(photos, features)``.
        answers: The person on each, or -1.
    """

    gallery: Tensor
    answers: Labels

    @classmethod
    def fit(cls, images: Tensor, classes: Labels, answers: Labels) -> NeighbourRecogniser:
        """Keeps the histograms of mirrored and moved photos; see the other."""
        copies, labels = _gallery(images, classes, answers)
        starts = range(0, len(copies), _CHUNK)
        parts = [orientations(copies[start : start + _CHUNK]) for start in starts]
        return cls(torch.cat(parts), answers[labels])

    def __call__(self, images: Tensor) -> Labels:
        """Returns the person on the photo nearest to each image; see :data:`Recogniser`."""
        apart = torch.cdist(orientations(images), self.gallery)
        named: Labels = self.answers[apart.argmin(dim=1).cpu().numpy()]
        return named

    def to(self, device: torch.device) -> NeighbourRecogniser:
        """Puts the histograms elsewhere; see :meth:`Movable.to`."""
        return replace(self, gallery=self.gallery.to(device))


def _classes(people: Labels) -> tuple[Labels, Labels]:
    """Numbers those on photos, people first, then strangers.

    Args:
        people: As :meth:`Judge.fit` takes them.

    Returns:
        The class of each photo, ``(n,)``, and the person that each class stands for, or -1.
    """
    known = np.unique(people[people >= 0])
    strangers = -int(people.min(initial=0))
    nobody = np.full(strangers, -1, np.int64)
    named = np.searchsorted(known, people)
    classes = np.where(people >= 0, named, len(known) - 1 - people)
    return classes.astype(np.int64), np.concatenate([known.astype(np.int64), nobody])


class EqualDropout(nn.Dropout):
    """Dropout that is drawn on the processor, and so is the same on every device."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - as PyTorch names it
        """Drops numbers while training."""
        if not self.training:
            return input
        kept = functional.dropout(torch.ones(input.shape), self.p)
        return input * kept.to(input.device)


def _net(channels: int, classes: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for before, after, kernel in ((channels, 16, 5), (16, 32, 3), (32, 64, 3)):
        layers += [
            nn.Conv2d(before, after, kernel, stride=2, padding=kernel // 2),
            nn.BatchNorm2d(after),
            nn.ReLU(),
        ]
    pooled = [nn.AdaptiveAvgPool2d((5, 4)), nn.Flatten(), EqualDropout(0.3)]
    net = nn.Sequential(*layers, *pooled, nn.Linear(64 * 20, classes))
    # The order of pixels in which convolutions of few channels are faster on processors.
    net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return net


def _gallery(images: Tensor, classes: Labels, answers: Labels) -> tuple[Tensor, Labels]:
    """Returns mirrored copies of all photos and moved ones, of strangers only if they are few."""
    stranger = answers[classes] < 0
    shift = 0 if stranger.sum() > _MANY else 2
    own, others = variants(images[~stranger], 2), variants(images[stranger], shift)
    labels = [np.tile(classes[~stranger], 10), np.tile(classes[stranger], 10 if shift else 2)]
    return torch.cat([own, others]), np.concatenate(labels)
