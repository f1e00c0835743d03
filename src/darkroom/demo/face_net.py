"""A small convolutional face-recognition network, the demonstration's target."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from darkroom.errors import DataError
from darkroom.training.schedules import one_cycle
from darkroom.vision.training.augment import vary

_DEMO_CLASSES = 40
SMALL_CLASSES = 8
_DEMO_SHAPE = (3, 64, 64)


def face_net(classes: int, shape: Sequence[int] = _DEMO_SHAPE) -> nn.Module:
    """Returns an untrained classifier of faces.

    Four strided convolutions, each with batch normalisation, then one linear layer. Where in the
    image a feature lies is kept to a grid of four by four, because an identity is a matter of
    which feature is where.

    Args:
        classes: People to tell apart, two or more.
        shape: ``(channels, height, width)``; sides of 16 or more.

    Returns:
        A module that takes float32 ``(n, channels, height, width)`` in [0, 1] and returns logits
        ``(n, classes)``. Its weights come from torch's global generator, as any module's do.

    Raises:
        DataError: If there are fewer than two classes or the shape is no image of that size.
    """
    if classes < 2:
        raise DataError(f"a face network of {classes} classes tells nobody apart: give 2 or more")
    if len(shape) != 3 or shape[0] < 1 or min(shape[1:]) < 16:
        raise DataError(
            f"a face network for images of shape {list(shape)}: give [channels, height, width] "
            "with sides of 16 or more"
        )
    widths = (shape[0], 24, 48, 96, 96)
    layers: list[nn.Module] = [_Centre()]
    for before, after in itertools.pairwise(widths):
        layers += [
            nn.Conv2d(before, after, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(after),
            nn.ReLU(),
        ]
    layers += [
        nn.AdaptiveAvgPool2d(4) if max(shape[1:]) > 64 else nn.Identity(),
        nn.Flatten(),
        nn.Dropout(0.3),
    ]
    height, width = (4, 4) if max(shape[1:]) > 64 else (math.ceil(side / 16) for side in shape[1:])
    layers.append(nn.Linear(widths[-1] * height * width, classes))
    return nn.Sequential(*layers)


def demo_face_net() -> nn.Module:
    """Returns the demonstration's network, untrained: 40 people, photos of ``(3, 64, 64)``.

    A plan names it as ``darkroom.demo.face_net:demo_face_net``; its weights are loaded from a
    file beside it.
    """
    net = face_net(_DEMO_CLASSES, _DEMO_SHAPE)
    # The order of pixels in which convolutions of few channels are faster on processors.
    net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return net


def small_face_net() -> nn.Module:
    """Returns the same network, untrained, for the few people of the lab's own model."""
    return face_net(SMALL_CLASSES, _DEMO_SHAPE)


def train_face_net(
    images: NDArray[np.float32],
    labels: NDArray[np.int64],
    *,
    classes: int,
    seed: int,
    epochs: int = 24,
    batch: int = 40,
    learning_rate: float = 3e-3,
    on_progress: Callable[[int, int], None] | None = None,
) -> nn.Module:
    """Trains a :func:`face_net` on photos and copies moved, lit and coloured a little otherwise.

    AdamW (Loshchilov & Hutter 2019) under cross-entropy, with a learning rate that rises and
    falls once. The global random state is left as it was.

    Args:
        images: Float32 ``(n, channels, height, width)`` in [0, 1].
        labels: The person in each, int64 ``(n,)``, from 0 to ``classes - 1``.
        classes: How many people the network tells apart.
        seed: For the first weights, the order of the photos, the copies and the dropout.
        epochs: Passes over the photos, 1 or more.
        batch: Photos a step.
        learning_rate: The highest.
        on_progress: Called after each epoch with the epochs done and the epochs in all.

    Returns:
        The network, in evaluation mode.

    Raises:
        DataError: If photos and labels do not match, there are fewer than two photos, a label is
            no class, or ``epochs``, ``batch`` or ``learning_rate`` is not positive.
    """
    _check(images, labels, classes, epochs, batch, learning_rate)
    generator = torch.Generator().manual_seed(seed)
    photos, people = torch.from_numpy(images), torch.from_numpy(labels)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = face_net(classes, images.shape[1:]).train()
        optimizer = torch.optim.AdamW(model.parameters(), lr=learning_rate, weight_decay=0.02)
        steps = math.ceil(len(photos) / batch)
        schedule = one_cycle(optimizer, learning_rate, epochs * steps, rising=0.2)
        for epoch in range(epochs):
            order = torch.randperm(len(photos), generator=generator)
            # As many parts as steps, of even size: a last part of one would leave batch
            # normalisation without a variance.
            for rows in order.tensor_split(steps):
                seen = vary(photos[rows], generator)
                loss = functional.cross_entropy(model(seen), people[rows])
                optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                optimizer.step()
                schedule.step()
            if on_progress is not None:
                on_progress(epoch + 1, epochs)
    return model.eval()


class _Centre(nn.Module):
    """Stretches intensities from [0, 1] to [-1, 1]."""

    def forward(self, images: Tensor) -> Tensor:
        return 2 * images - 1


def _check(
    images: NDArray[np.float32],
    labels: NDArray[np.int64],
    classes: int,
    epochs: int,
    batch: int,
    learning_rate: float,
) -> None:
    if images.ndim != 4 or len(images) != len(labels) or len(images) < 2:
        raise DataError(
            f"training a face network: images {list(images.shape)} and labels "
            f"{list(labels.shape)}: give (n, channels, height, width) and (n,), two photos at least"
        )
    if labels.min() < 0 or labels.max() >= classes:
        raise DataError(
            f"training a face network: labels from {labels.min()} to {labels.max()}, but there "
            f"are {classes} classes: number the people from 0"
        )
    if epochs < 1 or batch < 2 or learning_rate <= 0:
        raise DataError(
            f"training a face network: epochs {epochs}, batch {batch} and learning rate "
            f"{learning_rate:g}: give 1, 2 and more than 0 at least"
        )
