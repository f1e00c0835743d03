"""Small random moves of images: shifts, turns, zooms and flips."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

NUMBERS = 5
"""How many random numbers decide a move."""


@dataclass(frozen=True)
class RandomAffine:
    """Moves each image at random, differentiably, with edges repeated.

    Attributes:
        shift: The largest shift, as a share of the image's sides.
        turn: The largest turn, in radians.
        zoom: The largest change of scale, as a share.
        flip: The chance of a mirror image.
    """

    shift: float = 0.04
    turn: float = 0.1
    zoom: float = 0.05
    flip: float = 0.5

    @property
    def is_identity(self) -> bool:
        """Whether this moves nothing."""
        return self.shift == self.turn == self.zoom == self.flip == 0

    def matrices(self, n: int, generator: torch.Generator) -> Tensor:
        """Draws ``n`` moves, float32 ``(n, 2, 3)`` as :func:`torch.nn.functional.affine_grid`."""
        return self.drawn(torch.rand(NUMBERS, n, generator=generator))

    def drawn(self, uniform: Tensor) -> Tensor:
        """Returns the moves that numbers in [0, 1) decide, float32 ``(n, 2, 3)``.

        Args:
            uniform: ``(NUMBERS, n)``.
        """
        turn = (2 * uniform[0] - 1) * self.turn
        scale = 1 + (2 * uniform[1] - 1) * self.zoom
        mirror = torch.where(uniform[2] < self.flip, -1.0, 1.0)
        # Coordinates run from -1 to 1, so a share of a side is worth twice as much.
        across, down = (2 * uniform[3:] - 1) * 2 * self.shift
        cosine, sine = turn.cos() * scale, turn.sin() * scale
        top = torch.stack([mirror * cosine, -sine, across], dim=1)
        bottom = torch.stack([mirror * sine, cosine, down], dim=1)
        return torch.stack([top, bottom], dim=1)

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Moves each image by a draw of its own.

        Args:
            images: ``(n, channels, height, width)``.
            generator: The source of the draws.

        Returns:
            The same shape.
        """
        return move(images, self.matrices(len(images), generator))


def move(images: Tensor, matrices: Tensor) -> Tensor:
    """Applies one drawn move to each image, ``(n, channels, height, width)``."""
    # The same grid as functional.affine_grid's, whose matrix product takes twice as long. What is
    # across and what is down are kept apart, which is added in half the time.
    down, across = (_centres(side, images.device) for side in images.shape[2:])
    lines = matrices[:, :, 1:2] * down + matrices[:, :, 2:]
    grid = lines[:, :, :, None] + (matrices[:, :, :1] * across)[:, :, None]
    grid = grid.permute(0, 2, 3, 1)
    return functional.grid_sample(images, grid, padding_mode="border", align_corners=False)


def move_alike(images: Tensor, matrix: Tensor) -> Tensor:
    """Applies one drawn move to all images, as :func:`move` would with it for each.

    On a processor, where images are sampled one after another, those that share a grid are taken as
    channels of one: places and weights are then computed once, in a quarter of the time.

    Args:
        images: ``(n, channels, height, width)``.
        matrix: The move, ``(2, 3)``.

    Returns:
        The same shape.
    """
    count, channels, *sides = images.shape
    apart = math.gcd(count, torch.get_num_threads()) if images.is_cpu else count
    stacked = images.reshape(apart, count // apart * channels, *sides)
    return move(stacked, matrix.expand(apart, 2, 3)).reshape(images.shape)


def _centres(side: int, device: torch.device) -> Tensor:
    """Returns where the middle of each pixel of a side lies, between -1 and 1, ``(side,)``."""
    return (2 * torch.arange(side, device=device) + 1) / side - 1
