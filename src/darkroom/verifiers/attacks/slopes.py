"""Slopes of match scores, learned from every answer that was paid for."""

from __future__ import annotations

import numpy as np
import torch

from darkroom.verifiers.targets.base import Floats
from darkroom.vision.priors.base import ImagePrior

KEPT = 3.0
"""The rows a coordinate that a regression remembers, about: what is far away misleads."""

STEP = 0.06
"""How far a point goes in a generation, as root mean square over coordinates."""


class ScoreRegression:
    """A ridge regression of scores on latents for each goal, all solved in one batch.

    Differences within a generation alone count, so what a generation has in common cancels. Older
    generations fade, because a verifier is linear only nearby.
    """

    def __init__(self, goals: int, dimensions: int) -> None:
        """Knows nothing yet.

        Args:
            goals: How many regressions.
            dimensions: The coordinates of a point.
        """
        self._squares = torch.zeros(goals, dimensions, dimensions, dtype=torch.float64)
        self._products = torch.zeros(goals, dimensions, dtype=torch.float64)
        self._ridge = 0.0

    def add(self, points: Floats, scores: Floats) -> None:
        """Learns from one generation.

        Args:
            points: ``(goals, n, dimensions)``.
            scores: ``(goals, n)``.
        """
        x, y = torch.from_numpy(points), torch.from_numpy(scores)
        x = x - x.mean(dim=1, keepdim=True)
        y = y - y.mean(dim=1, keepdim=True)
        keep = max(0.0, 1 - points.shape[1] / (KEPT * points.shape[2]))
        self._squares = keep * self._squares + x.mT @ x
        self._products = keep * self._products + (x.mT @ y[..., None])[..., 0]
        self._ridge = self._ridge or float(x.square().mean())

    def slopes(self) -> torch.Tensor:
        """Returns the slope of each goal's score, ``(goals, dimensions)``."""
        squares = self._squares.clone()
        squares.diagonal(dim1=1, dim2=2).add_(self._ridge)
        factor = torch.linalg.cholesky(squares)
        return torch.cholesky_solve(self._products[..., None], factor)[..., 0]

    def follow(
        self, points: Floats, asked: Floats, losses: Floats, weight: float, prior: ImagePrior
    ) -> Floats:
        """Moves each point along the slopes; one worse than most goes back to the best asked.

        Args:
            points: ``(goals, dimensions)``, the last of each goal's asked.
            asked: All of this generation, ``(goals, n, dimensions)``.
            losses: Theirs, ``(goals, n)``.
            weight: Of the prior's energy.
            prior: Keeps points within its bounds.
        """
        behind = losses[:, -1] > np.median(losses, axis=1)
        best = asked[np.arange(len(asked)), losses.argmin(axis=1)]
        here = torch.from_numpy(np.where(behind[:, None], best, points))
        dimensions = here.shape[1]
        way = self.slopes() - weight * here / dimensions
        length = way.square().mean(dim=1, keepdim=True).sqrt().clamp_min(1e-12)
        moved = (here + STEP * prior.spread * way / length).float()
        bounded = prior.project(moved.view(-1, *prior.latent_shape)).flatten(1)
        return bounded.double().numpy()
