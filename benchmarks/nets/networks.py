"""Ten ordinary classifiers of small photos: five architectures, each with and without augmentation.

They are small, for photos of 32 pixels, and shaped like those that people use.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from darkroom.training.schedules import one_cycle
from darkroom.vision.training.augment import vary

SIDE = 32
"""Pixels."""

EPOCHS, BATCH, RATE = 40, 48, 2e-3
"""Passes over the photos, photos a step, and the highest learning rate."""


class Net(NamedTuple):
    """One of the ten.

    Attributes:
        architecture: Its name in :data:`ARCHITECTURES`.
        augmented: Whether training moves, mirrors, lights and colours photos a little.
    """

    architecture: str
    augmented: bool

    @property
    def name(self) -> str:
        """What tables call it."""
        return f"{self.architecture}, {'augmented' if self.augmented else 'plain photos'}"


class _Centre(nn.Module):
    """Stretches intensities from [0, 1] to [-1, 1]."""

    def forward(self, images: Tensor) -> Tensor:
        return 2 * images - 1


def plain(classes: int) -> nn.Module:
    """Returns two convolutions and two dense layers, without normalisation."""
    return nn.Sequential(
        _Centre(),
        *(nn.Conv2d(3, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Flatten(), nn.Linear(64 * (SIDE // 4) ** 2, 128), nn.ReLU()),
        nn.Linear(128, classes),
    )


def normed(classes: int) -> nn.Module:
    """Returns six convolutions after Simonyan & Zisserman 2015, each with batch normalisation."""
    widths = (3, 16, 16, 32, 32, 64, 64)
    layers: list[nn.Module] = [_Centre()]
    for place, (before, after) in enumerate(pairwise(widths)):
        layers += _convolution(before, after)
        if place % 2:
            layers.append(nn.MaxPool2d(2))
    side = SIDE // 8
    return nn.Sequential(
        *layers, nn.Flatten(), nn.Dropout(0.3), nn.Linear(64 * side * side, classes)
    )


def resnet18(classes: int) -> nn.Module:
    """Returns the 18 layers of He et al. 2016, an eighth as wide, with a smaller stem."""
    widths = (16, 32, 64, 128)
    blocks: list[nn.Module] = []
    before = 16
    for place, width in enumerate(widths):
        blocks += [_Residual(before, width, 2 if place else 1), _Residual(width, width, 1)]
        before = width
    return nn.Sequential(_Centre(), *_convolution(3, 16, stride=2), *blocks, *_head(128, classes))


def mobilenet(classes: int) -> nn.Module:
    """Returns inverted residuals with depthwise convolutions after Sandler et al. 2018."""
    # Width in, width out, stride.
    shapes = ((16, 16, 1), (16, 24, 2), (24, 24, 1), (24, 48, 2), (48, 48, 1), (48, 64, 1))
    blocks = [_Inverted(*shape) for shape in shapes]
    last = _convolution(64, 160, kernel=1)
    return nn.Sequential(
        _Centre(), *_convolution(3, 16, stride=2), *blocks, *last, *_head(160, classes)
    )


def vit(classes: int) -> nn.Module:
    """Returns a small transformer of patches of four pixels, after Dosovitskiy et al. 2021."""
    return _Transformer(classes)


ARCHITECTURES: dict[str, Callable[[int], nn.Module]] = {
    "plain CNN": plain,
    "CNN with batch norm": normed,
    "ResNet-18": resnet18,
    "MobileNet": mobilenet,
    "ViT": vit,
}

TUNED = (
    Net("plain CNN", augmented=True),
    Net("CNN with batch norm", augmented=False),
    Net("ResNet-18", augmented=False),
    Net("MobileNet", augmented=True),
    Net("ViT", augmented=False),
)
"""On these the attack's settings were chosen."""

TRIED = (
    Net("plain CNN", augmented=False),
    Net("CNN with batch norm", augmented=True),
    Net("ResNet-18", augmented=True),
    Net("MobileNet", augmented=False),
    Net("ViT", augmented=True),
)
"""These had no part in that; the split was made before any figure was known."""


class _Residual(nn.Module):
    """Two convolutions beside a way past them."""

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        first = _convolution(before, after, stride=stride)
        self.inner = nn.Sequential(*first, *_convolution(after, after)[:-1])
        self.past: nn.Module = nn.Identity()
        if before != after or stride > 1:
            self.past = nn.Sequential(*_convolution(before, after, kernel=1, stride=stride)[:-1])

    def forward(self, images: Tensor) -> Tensor:
        return functional.relu(self.inner(images) + self.past(images))


class _Inverted(nn.Module):
    """A wide depthwise convolution between two narrow ends."""

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        wide = 4 * before
        self.inner = nn.Sequential(
            *_convolution(before, wide, kernel=1),
            *_convolution(wide, wide, stride=stride, groups=wide),
            *_convolution(wide, after, kernel=1)[:-1],
        )
        self.kept = before == after and stride == 1

    def forward(self, images: Tensor) -> Tensor:
        inner: Tensor = self.inner(images)
        return images + inner if self.kept else inner


class _Transformer(nn.Module):
    """Patches, four layers of attention with normalisation first, and their average."""

    def __init__(self, classes: int, width: int = 64, patch: int = 4) -> None:
        super().__init__()
        self.centre = _Centre()
        self.patches = nn.Conv2d(3, width, patch, stride=patch)
        self.places = nn.Parameter(0.02 * torch.randn(1, (SIDE // patch) ** 2, width))
        layer = nn.TransformerEncoderLayer(
            *(width, 4, 2 * width),
            dropout=0.1,
            activation="gelu",
            batch_first=True,
            norm_first=True,
        )
        self.layers = nn.TransformerEncoder(layer, 4, enable_nested_tensor=False)
        self.head = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, classes))

    def forward(self, images: Tensor) -> Tensor:
        tokens = self.patches(self.centre(images)).flatten(2).transpose(1, 2)
        answer: Tensor = self.head(self.layers(tokens + self.places).mean(dim=1))
        return answer


def _convolution(
    before: int, after: int, *, kernel: int = 3, stride: int = 1, groups: int = 1
) -> list[nn.Module]:
    """Returns a convolution, its normalisation, and what bends it."""
    padding = kernel // 2
    return [
        nn.Conv2d(before, after, kernel, stride, padding, groups=groups, bias=False),
        nn.BatchNorm2d(after),
        nn.ReLU(),
    ]


def _head(width: int, classes: int) -> list[nn.Module]:
    return [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, classes)]


def train(
    net: Net,
    images: NDArray[np.float32],
    labels: NDArray[np.int64],
    *,
    seed: int,
) -> nn.Module:
    """Trains one of the ten, by AdamW under cross-entropy with a rate that rises and falls once.

    Args:
        net: Which.
        images: Float32 ``(n, 3, 32, 32)`` in [0, 1].
        labels: Who is on each, ``(n,)``, from 0.
        seed: For weights, order and copies.

    Returns:
        The network, in evaluation mode.
    """
    photos, people = torch.from_numpy(images), torch.from_numpy(labels)
    generator = torch.Generator().manual_seed(seed)
    steps = math.ceil(len(photos) / BATCH)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = ARCHITECTURES[net.architecture](int(labels.max()) + 1).train()
        optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=0.02)
        schedule = one_cycle(optimizer, RATE, EPOCHS * steps, rising=0.2)
        for _ in range(EPOCHS):
            order = torch.randperm(len(photos), generator=generator)
            for rows in order.tensor_split(steps):
                seen = _varied(photos[rows], generator) if net.augmented else photos[rows]
                loss = functional.cross_entropy(model(seen), people[rows])
                optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                optimizer.step()
                schedule.step()
    return model.eval()


def _varied(images: Tensor, generator: torch.Generator) -> Tensor:
    """Moves, lights and colours photos a little otherwise, and mirrors half of them."""
    mirrored = torch.rand(len(images), 1, 1, 1, generator=generator) < 0.5
    return vary(torch.where(mirrored, images.flip(3), images), generator)
