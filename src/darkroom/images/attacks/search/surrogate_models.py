"""Models of a target that an attacker trains on its answers to images drawn from a prior."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

MOST_PIXELS = 4096
"""Numbers of an image that surrogates look at; larger images are averaged over squares."""

COMPONENTS = 200
"""Principal components of drawn images that the surrogates look at."""

BATCH = 256


class Features(nn.Module):
    """Principal components of small images, all in one unit.

    One unit for all keeps the proportions of the image: a component that hardly shows in it is
    hardly seen by the target either.
    """

    middle: Tensor
    components: Tensor

    def __init__(self, images: Tensor) -> None:
        """Finds the components.

        Args:
            images: Draws from the prior, ``(n, channels, height, width)``.
        """
        super().__init__()
        numbers = math.prod(images.shape[1:])
        self.square = max(1, math.ceil(math.sqrt(numbers / MOST_PIXELS)))
        rows = self._rows(images)
        middle = rows.mean(dim=0)
        _, singular, vectors = torch.linalg.svd(rows - middle, full_matrices=False)
        keep = max(1, min(COMPONENTS, int((singular > 1e-5 * singular[0]).sum())))
        unit = (singular[:keep].square().mean() / len(rows)).sqrt().clamp_min(1e-6)
        self.register_buffer("middle", middle)
        self.register_buffer("components", vectors[:keep].T / unit)

    @property
    def size(self) -> int:
        """How many features there are."""
        return self.components.shape[1]

    def forward(self, images: Tensor) -> Tensor:
        """Returns the features of images, ``(n, size)``."""
        return (self._rows(images) - self.middle) @ self.components

    def _rows(self, images: Tensor) -> Tensor:
        if self.square > 1:
            images = functional.avg_pool2d(images, self.square, ceil_mode=True)
        return images.flatten(1)


class Ensemble(nn.Module):
    """Networks of different depth, the first of them linear, that give one answer.

    Takes images ``(n, channels, height, width)``, returns the mean of the members' log-scores,
    ``(n, classes)``.
    """

    def __init__(self, features: Features, classes: int, members: int, width: int) -> None:
        """Starts the members from the global random state.

        Args:
            features: What the members see of images.
            classes: How many the target tells apart.
            members: How many networks; they have 0, 1, 2, 0, ... hidden layers.
            width: Units of a hidden layer.
        """
        super().__init__()
        self.features = features
        self.members = nn.ModuleList(
            network(features.size, classes, width, number % 3) for number in range(members)
        )

    def forward(self, images: Tensor) -> Tensor:
        """Returns log-scores."""
        seen = self.features(images)
        return torch.stack([member(seen).log_softmax(dim=1) for member in self.members]).mean(dim=0)


def network(inputs: int, classes: int, width: int, hidden: int) -> nn.Sequential:
    """Returns a network from features ``(n, inputs)`` to ``(n, classes)``, from global randomness.

    Args:
        inputs: How many features it sees.
        classes: How many numbers it gives.
        width: Units of a hidden layer.
        hidden: How many of them; none makes it linear.
    """
    layers: list[nn.Module] = []
    for _ in range(hidden):
        layers += [nn.Linear(inputs, width), nn.SiLU()]
        inputs = width
    return nn.Sequential(*layers, nn.Linear(inputs, classes))


def train(
    members: nn.ModuleList,
    seen: Tensor,
    answers: Tensor,
    *,
    epochs: int,
    least_steps: int,
    generator: torch.Generator,
    loss: Callable[[Tensor, Tensor], Tensor] = functional.cross_entropy,
) -> None:
    """Teaches every network what the target answers.

    Args:
        members: What learns, each from features to ``(n, classes)``.
        seen: Features of images, ``(n, size)``.
        answers: What the target names in them, ``(n,)``, or a number a class, ``(n, classes)``.
        epochs: How often each row is seen, about.
        least_steps: Steps at least, so that few rows are seen more often.
        generator: The order of the rows.
        loss: Of what a network gives and the answers, one number.
    """
    batch = min(BATCH, len(seen))
    steps = max(least_steps, epochs * len(seen) // batch)
    optimizer = torch.optim.AdamW(members.parameters(), lr=3e-3, weight_decay=0.05, fused=True)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(steps):
        rows = torch.randint(len(seen), (batch,), generator=generator)
        inputs, wanted = seen[rows], answers[rows]
        losses = [loss(member(inputs), wanted) for member in members]
        optimizer.zero_grad()
        torch.stack(losses).sum().backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
