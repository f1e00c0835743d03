"""Decoders from templates to a prior's latents, learned from public photos."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from darkroom.verifiers.targets.base import Floats

Decoder = Callable[[Floats], Floats]
"""Templates ``(n, size)`` to latents ``(n, dimensions)``."""

_RIDGES = np.geomspace(1e-4, 1e2, 13)
_WIDTH = 256
_HELD_OUT = 5  # one row in so many


class Standardised(NamedTuple):
    """What centres and scales templates.

    Attributes:
        mean: ``(size,)``.
        deviation: ``(size,)``.
    """

    mean: Floats
    deviation: Floats

    @classmethod
    def of(cls, templates: Floats) -> Standardised:
        """Learns from templates, ``(n, size)``."""
        return cls(templates.mean(axis=0), templates.std(axis=0) + 1e-9)

    def __call__(self, templates: Floats) -> Floats:
        """Returns them centred and scaled."""
        scaled: Floats = (templates - self.mean) / self.deviation
        return scaled


def fit_ridge(templates: Floats, latents: Floats) -> Decoder:
    """Learns a linear map; its ridge is the one that does best on every fifth row.

    Args:
        templates: ``(n, size)``.
        latents: Of the same photos, ``(n, dimensions)``.
    """
    scale = Standardised.of(templates)
    x = scale(templates)
    level = np.asarray(latents.mean(axis=0), np.float64)
    held = np.arange(len(x)) % _HELD_OUT == 0
    if held.all():
        held[:] = False
    errors = [
        (
            (x[held] @ _solved(x[~held], latents[~held] - level, ridge) + level - latents[held])
            ** 2
        ).sum()
        for ridge in _RIDGES
    ]
    best = float(_RIDGES[int(np.argmin(errors))])
    weights = _solved(x, latents - level, best)
    return lambda found: scale(found) @ weights + level


def _solved(x: Floats, y: Floats, ridge: float) -> Floats:
    squares = x.T @ x + ridge * len(x) * np.eye(x.shape[1])
    return np.linalg.solve(squares, x.T @ y).astype(np.float64)


def fit_network(templates: Floats, latents: Floats, *, seed: int, steps: int = 600) -> Decoder:
    """Trains a small net, beside a straight line that begins as nothing.

    Args:
        templates: ``(n, size)``.
        latents: Of the same photos, ``(n, dimensions)``.
        seed: For the first weights and the order of rows.
        steps: Of training, with 128 rows each.
    """
    scale = Standardised.of(templates)
    x, y = (torch.from_numpy(one).float() for one in (scale(templates), latents))
    source = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = _Net(x.shape[1], y.shape[1]).train()
        optimiser = torch.optim.AdamW(net.parameters(), lr=2e-3, weight_decay=0.1)
        rate = torch.optim.lr_scheduler.OneCycleLR(optimiser, 2e-3, steps)
        for _ in range(steps):
            rows = torch.randint(len(x), (128,), generator=source)
            # Templates of other photos of a person differ: noise stands for that.
            seen = x[rows] + 0.2 * torch.randn(x[rows].shape, generator=source)
            loss = functional.mse_loss(net(seen), y[rows])
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            rate.step()
    net.eval()

    def decode(found: Floats) -> Floats:
        with torch.no_grad():
            latents: Floats = net(torch.from_numpy(scale(found)).float()).double().numpy()
        return latents

    return decode


class _Net(nn.Module):
    def __init__(self, size: int, dimensions: int) -> None:
        super().__init__()
        self.straight = nn.Linear(size, dimensions)
        self.curved = nn.Sequential(
            nn.Linear(size, _WIDTH), nn.SiLU(), nn.Dropout(0.2), nn.Linear(_WIDTH, dimensions)
        )

    def forward(self, templates: Tensor) -> Tensor:
        found: Tensor = self.straight(templates) + self.curved(templates)
        return found
