"""How learning rates rise and fall."""

from __future__ import annotations

from torch.optim import Optimizer
from torch.optim.lr_scheduler import OneCycleLR


def one_cycle(optimizer: Optimizer, highest: float, steps: int, *, rising: float) -> OneCycleLR:
    """Lets the learning rate rise and fall once, along half cosines (Smith & Topin 2019).

    Args:
        optimizer: Whose rate it is.
        highest: The highest rate, above 0.
        steps: How many there will be, 1 or more.
        rising: The share of them in which it rises, in (0, 1).
    """
    # PyTorch divides by the length of the rise, which is nothing where it is the first step alone.
    share = rising * (1 + 1e-6) if rising * steps == 1 else rising
    return OneCycleLR(optimizer, highest, total_steps=steps, pct_start=share, anneal_strategy="cos")
