"""What of a module learns, and what its owner froze."""

from __future__ import annotations

from torch import nn


def learning(module: nn.Module) -> frozenset[str]:
    """Returns the names of the weights that may learn: all where every one is frozen."""
    named = dict(module.named_parameters())
    free = frozenset(name for name, weight in named.items() if weight.requires_grad)
    return free or frozenset(named)


def released(module: nn.Module, learns: frozenset[str]) -> nn.Module:
    """Lets some weights learn, and no other; what a layer does in place would hide gradients.

    Args:
        module: Is changed.
        learns: Their names.
    """
    for name, weight in module.named_parameters():
        weight.requires_grad_(name in learns)
    for layer in module.modules():
        if getattr(layer, "inplace", False):
            layer.inplace = False  # type: ignore[assignment]
    return module


def in_training(module: nn.Module) -> nn.Module:
    """Puts a module into training mode, but for batch normalisation that is frozen.

    That normalises by what it has kept, as whoever froze it wants; it mixes no rows.
    """
    module.train()
    for layer in module.modules():
        weights = list(layer.parameters(recurse=False))
        if isinstance(layer, nn.modules.batchnorm._BatchNorm) and weights:
            layer.train(any(weight.requires_grad for weight in weights))
    return module
