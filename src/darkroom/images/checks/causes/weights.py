"""Whether a PyTorch module still has the weights with which its code began."""

from __future__ import annotations

from collections.abc import Iterator
from math import sqrt

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

_ENOUGH = 64  # weights of a layer; fewer may lie within their bounds after training too


def fresh_layers(model: nn.Module) -> tuple[list[str], int]:
    """Finds layers that no training has touched.

    Args:
        model: Any module.

    Returns:
        The names of such layers, in the model's order, and of how many layers that can be told.
    """
    told = [
        (name, fresh)
        for name, layer in model.named_modules()
        if (fresh := _is_fresh(layer)) is not None
    ]
    return [name for name, fresh in told if fresh], len(told)


def _is_fresh(layer: nn.Module) -> bool | None:
    """Tells whether a layer is as PyTorch makes it; ``None`` where that cannot be told."""
    if isinstance(layer, nn.Linear | nn.Conv1d | nn.Conv2d):
        return _within_first_bounds(layer.weight.detach())
    if isinstance(layer, _BatchNorm | nn.LayerNorm | nn.GroupNorm):
        values = [*_of_ones(layer), *_of_zeros(layer)]
        if not values:
            return None
        ones = all(bool((one == 1).all()) for one in _of_ones(layer))
        return ones and all(bool((zero == 0).all()) for zero in _of_zeros(layer))
    return None


def _of_ones(layer: nn.Module) -> Iterator[Tensor]:
    """Yields what of a normalising layer begins as ones."""
    for name in ("weight", "running_var"):
        if isinstance(value := getattr(layer, name, None), Tensor):
            yield value


def _of_zeros(layer: nn.Module) -> Iterator[Tensor]:
    """Yields what of a normalising layer begins as zeros."""
    for name in ("bias", "running_mean"):
        if isinstance(value := getattr(layer, name, None), Tensor):
            yield value


def _within_first_bounds(weight: Tensor) -> bool | None:
    """Tells whether weights fill exactly the interval that PyTorch draws them from, evenly."""
    if not weight.is_floating_point() or weight.numel() < _ENOUGH:
        return None
    values = weight.cpu().double()
    bound = 1 / sqrt(weight[0].numel())
    within = float(values.abs().max()) <= bound * (1 + 1e-3)
    # Of a uniform draw the mean square is bound²/3, with a deviation of bound² · sqrt(4/45/n).
    error = sqrt(4 / 45 / weight.numel())
    even = abs(float(torch.mean(values**2)) / bound**2 - 1 / 3) < 5 * error + 1e-3
    return within and even
