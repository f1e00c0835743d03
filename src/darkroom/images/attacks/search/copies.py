"""Copies of a target that an attacker trains on its scores."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional

from darkroom.images.attacks.search.surrogate_models import Features, network, train

HIDDEN = (0, 1, 2)
"""Hidden layers of the networks of a copy."""

HELD_OUT = 5
"""One row in so many says how well each network does, and is learned by none."""

DEEPEST = 40.0
"""How far below the largest log-score of its row another counts: scores that a target's own
arithmetic rounds to nothing say nothing more."""

RIDGES = (1e-4, 1e-2, 1.0, 100.0)
"""Penalties of the linear network; the one that does best on rows held out is taken."""


class Copy(nn.Module):
    """Networks of different depth, the first of them linear, that answer as the target does.

    Takes images ``(n, channels, height, width)``, returns logits ``(n, classes)``: the mean of the
    networks', weighted by the inverse of the squared error of each on rows held out (Bates &
    Granger 1969). So where the target is linear in what the networks see, the copy is.

    Attributes:
        features: What the networks see of an image.
        members: The networks.
        weights: Of the networks, summing to one, ``(members,)``.
    """

    middle: Tensor
    unit: Tensor
    weights: Tensor

    def __init__(self, features: Features, classes: int, units: int) -> None:
        """Starts the networks from the global random state.

        Args:
            features: What they see of images.
            classes: How many the target tells apart.
            units: Units of a hidden layer.
        """
        super().__init__()
        self.features = features
        self.members = nn.ModuleList(
            network(features.size, classes, units, hidden) for hidden in HIDDEN
        )
        self.register_buffer("middle", torch.zeros(classes))
        self.register_buffer("unit", torch.ones(()))
        self.register_buffer("weights", torch.full((len(HIDDEN),), 1 / len(HIDDEN)))

    def forward(self, images: Tensor) -> Tensor:
        """Returns logits."""
        return self._mean(self.features(images)) * self.unit + self.middle

    def _mean(self, seen: Tensor) -> Tensor:
        answers = torch.stack([member(seen) for member in self.members])
        return (self.weights[:, None, None] * answers).sum(dim=0)

    def learn(
        self,
        seen: Tensor,
        logs: Tensor,
        *,
        exact: bool,
        epochs: int,
        least_steps: int,
        generator: torch.Generator,
    ) -> None:
        """Learns a target's scores.

        Whole log-scores are a linear function of the logits, so their squared error is lowered:
        each row says something of every class. What is left of rounded, noisy or unnamed scores
        is learned by cross-entropy instead, which small scores hardly enter.

        Args:
            seen: Features of images, ``(n, size)``, two rows or more.
            logs: The log-scores answered, ``(n, classes)``.
            exact: Whether nothing hides small scores.
            epochs: How often each row is seen, about.
            least_steps: Steps at least, so that few rows are seen more often.
            generator: The order of the rows.
        """
        teach = partial(train, epochs=epochs, least_steps=least_steps, generator=generator)
        if not exact:
            teach(self.members, seen, logs.softmax(dim=1))
            return
        logs = logs.clamp_min(logs.amax(dim=1, keepdim=True) - DEEPEST)
        logs = logs - logs.mean(dim=1, keepdim=True)
        self.middle, self.unit = logs.mean(dim=0), logs.std().clamp_min(1e-6)
        values = (logs - self.middle) / self.unit
        held = torch.arange(len(seen)) % HELD_OUT == 0
        taught, tests = (seen[~held], values[~held]), (seen[held], values[held])
        _regress(self.members[0], taught, tests)
        teach(self.members[1:], *taught, loss=functional.mse_loss)
        with torch.no_grad():
            errors = torch.stack([_error(member, *tests) for member in self.members])
        weights = 1 / errors.clamp_min(1e-12)
        self.weights = weights / weights.sum()


def _error(member: nn.Module, seen: Tensor, values: Tensor) -> Tensor:
    return functional.mse_loss(member(seen), values)


@torch.no_grad()
def _regress(
    linear: nn.Module, taught: tuple[Tensor, Tensor], tests: tuple[Tensor, Tensor]
) -> None:
    """Solves for the weights of a linear network by ridge regression."""
    layer = linear[0]  # type: ignore[index]
    seen, values = (part.double() for part in taught)
    middle, level = seen.mean(dim=0), values.mean(dim=0)
    away = seen - middle
    squares, products = away.T @ away, away.T @ (values - level)
    best = torch.tensor(torch.inf)
    kept = layer.weight.clone(), layer.bias.clone()
    for ridge in RIDGES:
        slopes = torch.linalg.solve(squares + ridge * torch.eye(len(squares)).double(), products)
        layer.weight.copy_(slopes.T)
        layer.bias.copy_(level - middle @ slopes)
        error = _error(linear, *tests)
        if error < best:
            best, kept = error, (layer.weight.clone(), layer.bias.clone())
    layer.weight.copy_(kept[0])
    layer.bias.copy_(kept[1])
