"""Whether a module's gradients tell how its answers change."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

FEW, MANY = 4, 64
"""Places between two images at which gradients are taken: at first, and where those tell little."""

HALF, LITTLE = 0.5, 0.1
"""The share of a change below which more places are tried, and below which gradients are wrong."""

SEEN = 1e-5
"""The least change, as a share of the answers, that is no rounding."""


def slopes_tell(run: Callable[[Tensor], Tensor], images: Tensor) -> bool:
    """Tells whether gradients account for how answers differ between images.

    Along the line from one image to another the gradients add up to the whole change of the
    answers, which Sundararajan, Taly & Yan (2017, ICML) call completeness. Where a module rounds
    its input or detaches a branch, they do not, and an attack that follows them finds nothing:
    gradients are masked (Athalye, Carlini & Wagner 2018, ICML).

    Args:
        run: A module's pass: images in, ``(n, size)`` out.
        images: An even number of them, ``(n, channels, height, width)``; each is compared with the
            next.

    Returns:
        False where no gradient can be taken, or all of them explain less than a tenth of the
        change. Answers that do not change say nothing against them.
    """
    pairs = images.reshape(-1, 2, *images.shape[1:])
    try:
        share = _explained(run, pairs, FEW)
        if share < HALF:
            share = _explained(run, pairs, MANY)
    except RuntimeError:
        return False
    return not share < LITTLE


def _explained(run: Callable[[Tensor], Tensor], pairs: Tensor, places: int) -> float:
    """Returns the share of squared changes that gradients explain; 1 where nothing changes."""
    along = (torch.arange(places, device=pairs.device) + 0.5) / places
    told = changed = least = 0.0
    for one, other in pairs:
        with torch.no_grad():
            ends = run(torch.stack([one, other])).float()
        change = ends[1] - ends[0]
        for part in torch.split(along, FEW):
            points = (one + part[:, None, None, None] * (other - one)).requires_grad_()
            answers = run(points.clone()).float()
            (gradients,) = torch.autograd.grad((answers * change).sum(), points)
            told += float((gradients * (other - one)).sum()) / places
        changed += float(change.square().sum())
        least += float((SEEN * ends).square().sum())
    return told / changed if changed > least else 1.0
