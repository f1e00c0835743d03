"""Finding and changing layers of a module that somebody else wrote."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from darkroom.errors import PlanError

ACTIVATIONS = (
    nn.ReLU,
    nn.LeakyReLU,
    nn.PReLU,
    nn.ELU,
    nn.GELU,
    nn.SiLU,
    nn.Mish,
    nn.Hardswish,
    nn.Sigmoid,
    nn.Tanh,
    nn.Softplus,
)


def output_layer(module: nn.Module, owner: str) -> tuple[str, nn.Linear]:
    """Returns the last linear layer of a module with its name.

    Args:
        module: A classifier.
        owner: What asks, for the message.

    Raises:
        PlanError: If it has none.
    """
    found = [(name, one) for name, one in module.named_modules() if isinstance(one, nn.Linear)]
    if not found or not found[-1][0]:
        raise PlanError(
            f"{owner} changes the last linear layer of a module, and {type(module).__name__} has "
            "none inside: end it with nn.Linear"
        )
    return found[-1]


def replace_layer(module: nn.Module, name: str, change: Callable[[nn.Module], nn.Module]) -> None:
    """Puts what ``change`` returns in the place of a layer, by its dotted name."""
    parent, _, own = name.rpartition(".")
    holder = module.get_submodule(parent)
    setattr(holder, own, change(getattr(holder, own)))


def hidden_layers(module: nn.Module, names: tuple[str, ...], owner: str) -> list[nn.Module]:
    """Returns the layers whose outputs a defence watches: those named, or all activations.

    Raises:
        PlanError: If there is no such layer.
    """
    if not names:
        found: list[nn.Module] = [one for one in module.modules() if isinstance(one, ACTIVATIONS)]
        if not found:
            raise PlanError(
                f"{owner}: {type(module).__name__} has no activation layer to watch: name some "
                'layers, such as layers = ["features.3"]'
            )
        return found
    known = dict(module.named_modules())
    for name in names:
        if name not in known or not name:
            raise PlanError(
                f"{owner}: the module has no layer {name!r}: known are "
                f"{', '.join(sorted(filter(None, known)))}"
            )
    return [known[name] for name in names]


def weighted_layers(module: nn.Module) -> list[nn.Module]:
    """Returns the layers that hold weights themselves, in the order of the module's definition."""
    return [one for one in module.modules() if list(one.parameters(recurse=False))]
