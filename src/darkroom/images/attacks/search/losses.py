"""What a search lowers, and by how much to multiply it where a prior would outweigh it."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from darkroom.vision.priors.base import ImagePrior

Loss = Literal["margin", "cross-entropy"]

ENOUGH = 1.0
"""By how much the margin shall be able to grow before the prior stops the search."""

FAR_ENOUGH = 10.0
"""The same of a search by scores, which is stopped sooner: it knows slopes but roughly."""

MOST = 1e5
"""The largest factor: log-confidences are rounded, and would be little else beyond."""


def objective(
    log_scores: Tensor, classes: Tensor, loss: Loss, softness: float, sharper: Tensor | None = None
) -> Tensor:
    """Returns the loss of each row, ``(n,)``.

    Args:
        log_scores: Log-confidences, ``(n, classes)``.
        classes: The goal of each row, ``(n,)``.
        loss: ``margin`` or ``cross-entropy``.
        softness: The temperature of the maximum over other classes.
        sharper: What log-confidences are multiplied by, ``(n,)``.
    """
    if sharper is not None:
        factors = sharper[:, None]
        sharp = (log_scores * factors).log_softmax(dim=1)
        log_scores = torch.where(factors == 1, log_scores, sharp)  # to the last bit as they were
    goal = log_scores.gather(1, classes[:, None])[:, 0]
    if loss == "cross-entropy":
        return -goal
    others = log_scores.scatter(1, classes[:, None], -torch.inf)
    if softness == 0:
        return others.amax(dim=1) - goal
    return softness * (others / softness).logsumexp(dim=1) - goal


def sharpness(prior: ImagePrior, starts: Tensor, gradients: Tensor, weight: float) -> Tensor | None:
    """Returns the factor of each search, ``(n,)``; ``None`` where all are one.

    Of a margin with the slope g and an energy of c times the square of the way, the most gained is
    g² / 4c. The energy is taken to be even.

    Args:
        prior: Whose energy stops the search.
        starts: Where it is least, ``(n, *latent_shape)``.
        gradients: Of the margin there, of the same shape.
        weight: Of the energy.
    """
    one = (-1, *[1] * (gradients.ndim - 1))
    slopes = gradients.flatten(1).norm(dim=1)
    along = gradients / slopes.clamp(min=1e-30).view(one)
    way = prior.spread
    price = weight * (prior.energy(starts + way * along) - prior.energy(starts)) / way**2
    # The price is the c above.
    wanted = (4 * ENOUGH * price.clamp(min=0)).sqrt()
    faint = (slopes > 0) & (slopes < wanted)
    return torch.where(faint, (wanted / slopes).clamp(max=MOST), 1) if bool(faint.any()) else None


def lightening(margin: Tensor, price: Tensor, dimensions: int) -> Tensor:
    """Returns what a prior's weight is multiplied by in each search, ``(n,)``; mostly 1.

    The counterpart of :func:`sharpness` where no gradient is known. A population that spreads by s
    along each of d coordinates has margins of the variance g² s² and costs c d s² on average. So
    the most gained, g² / 4c, is d times the variance over four times the cost.

    Args:
        margin: Of a population around a point, ``(n, size)``.
        price: By how much the weighted energy of its members is above the point's, ``(n,)``.
        dimensions: The coordinates.
    """
    if margin.shape[1] < 2:
        return torch.ones(len(margin))
    gain = dimensions * margin.var(dim=1) / (4 * price)
    faint = (gain > 0) & (gain < FAR_ENOUGH)
    return torch.where(faint, (gain / FAR_ENOUGH).sqrt().clamp(min=1 / MOST), 1).float()
