"""A small encoder of faces, which turns photos into templates: the demonstration's verifier."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from darkroom.demo.face_net import face_net
from darkroom.errors import DataError
from darkroom.training.schedules import one_cycle
from darkroom.vision.training.augment import vary

_SHAPE = (3, 64, 64)
_SIZE = 64
_SCALE, _MARGIN = 16.0, 0.2


class FaceEncoder(nn.Module):
    """A :func:`.face_net` whose last layer gives a direction in place of classes."""

    def __init__(self, size: int = _SIZE, shape: tuple[int, int, int] = _SHAPE) -> None:
        """Makes it untrained; its weights come from torch's global generator.

        Args:
            size: The numbers in a template.
            shape: ``(channels, height, width)`` of photos.
        """
        super().__init__()
        self.net = face_net(size, shape)

    def forward(self, images: Tensor) -> Tensor:
        """Returns templates of length one, ``(n, size)``."""
        return functional.normalize(self.net(images), dim=1)


def demo_face_encoder() -> nn.Module:
    """Returns the demonstration's encoder, untrained: photos of ``(3, 64, 64)``, 64 numbers."""
    return FaceEncoder()


def train_face_encoder(
    images: NDArray[np.float32],
    labels: NDArray[np.int64],
    *,
    seed: int,
    size: int = _SIZE,
    epochs: int = 16,
    batch: int = 64,
    learning_rate: float = 3e-3,
    on_progress: Callable[[int, int], None] | None = None,
) -> nn.Module:
    """Trains an encoder on photos of many people, of whom none need be enrolled later.

    Under a softmax of cosines with an additive margin (Wang, Cheng et al. 2018, CosFace), on copies
    moved, lit and coloured a little otherwise. The global random state is left as it was.

    Args:
        images: Float32 ``(n, channels, height, width)`` in [0, 1].
        labels: The person on each, int64 ``(n,)``.
        seed: For the first weights, the order of the photos, the copies and the dropout.
        size: The numbers in a template.
        epochs: Passes over the photos.
        batch: Photos a step.
        learning_rate: The highest.
        on_progress: Called after each step with the steps done and those in all.

    Raises:
        DataError: If photos and labels do not match.
    """
    if len(images) != len(labels) or len(images) < batch:
        raise DataError(
            f"training an encoder: {len(images)} photos and {len(labels)} labels: give as many, "
            f"{batch} at least"
        )
    people = torch.from_numpy(np.unique(labels, return_inverse=True)[1])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        channels, height, width = images.shape[1:]
        model = FaceEncoder(size, (channels, height, width)).train()
        centres = nn.Parameter(torch.randn(int(people.max()) + 1, size))
        steps = epochs * math.ceil(len(images) / batch)
        optimizer = torch.optim.AdamW(
            [*model.parameters(), centres], lr=learning_rate, weight_decay=0.02
        )
        schedule = one_cycle(optimizer, learning_rate, steps, rising=0.2)
        batches = _batches(torch.from_numpy(images), people, epochs, batch, seed)
        for step, (photos, who) in enumerate(batches, 1):
            loss = _loss(model(photos), centres, who)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
            if on_progress is not None:
                on_progress(step, steps)
    return model.eval()


def _batches(
    images: Tensor, people: Tensor, epochs: int, batch: int, seed: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yields photos changed a little, with who is on each."""
    generator = torch.Generator().manual_seed(seed)
    for _ in range(epochs):
        order = torch.randperm(len(images), generator=generator)
        for rows in order.tensor_split(math.ceil(len(images) / batch)):
            yield vary(images[rows], generator), people[rows]


def _loss(templates: Tensor, centres: Tensor, people: Tensor) -> Tensor:
    cosines = templates @ functional.normalize(centres, dim=1).T
    margin = _MARGIN * functional.one_hot(people, len(centres))
    return functional.cross_entropy(_SCALE * (cosines - margin), people)
