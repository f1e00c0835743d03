"""Models as Python hands them over: used and given back as they were, or refused in one line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from torch import nn

from darkroom.errors import TargetError
from darkroom.images.targets.base import Target
from darkroom.images.targets.sklearn import SklearnTarget
from darkroom.images.targets.torch import Outputs, TorchTarget
from darkroom.vision.memory import SHARE
from darkroom.vision.networks.precision import Precision


@contextmanager
def unchanged(model: object) -> Iterator[None]:
    """Gives a module back as it was: modes, what needs a gradient, device and buffers.

    Args:
        model: A module; anything else is left alone.
    """
    if not isinstance(model, nn.Module):
        yield
        return
    weights = [*model.parameters()]
    modes = [(one, one.training) for one in model.modules()]
    trained = [(one, one.requires_grad) for one in weights]
    device = weights[0].device if weights else None
    # A lazy layer has no numbers to give back.
    buffers = [(one, one.clone()) for one in model.buffers() if type(one).__name__ == "Tensor"]
    try:
        yield
    finally:
        if device is not None and weights[0].device != device:
            model.to(device)
        for inner, mode in modes:
            inner.training = mode
        for weight, wanted in trained:
            weight.requires_grad_(wanted)
        for buffer, value in buffers:
            buffer.copy_(value)


def target_table(model: Any, **options: Any) -> dict[str, Any]:
    """Returns the table ``[target]`` of a plan for a model that is there already.

    Args:
        model: A target, a classifier, or a module.
        options: What a module's table holds beside its name.
    """
    if isinstance(model, Target):
        return {"kind": "python", "load": f"{type(model).__module__}:{type(model).__qualname__}"}
    if hasattr(model, "predict"):
        options = {key: options[key] for key in ("shape", "range", "batch")} | {"kind": "sklearn"}
    return {"load": type(model).__name__, **options}


def as_target(
    model: Any,
    shape: Sequence[int],
    *,
    value_range: tuple[float, float],
    outputs: Outputs,
    device: str,
    batch: int,
    memory: int,
    precision: Precision = "single",
) -> Target:
    """Returns a model as a target; a target as it is.

    Args:
        model: A module, a scikit-learn classifier, or a target, to which the rest does not matter.
        shape: ``(channels, height, width)`` of the images it takes.
        value_range: The values of black and of full intensity.
        outputs: Whether a module returns logits or probabilities.
        device: Where a module runs.
        batch: The most rows answered at a time.
        memory: Bytes that the audit may take in all.
        precision: Whether a module's own passes are in ``half`` precision.

    Raises:
        TargetError: If it is no model, or not what it was declared to be.
    """
    if precision != "single" and not isinstance(model, nn.Module):
        raise TargetError(
            f"{type(model).__name__} is no torch.nn.Module, whose passes could be in half "
            "precision: leave out precision"
        )
    if isinstance(model, Target):
        return model
    name = type(model).__name__
    if isinstance(model, nn.Module):
        return TorchTarget(
            model,
            shape,
            value_range=value_range,
            outputs=outputs,
            name=name,
            device=device,
            batch=batch,
            memory=memory // SHARE,
            precision=precision,
        )
    if hasattr(model, "predict") and not isinstance(model, type):
        return SklearnTarget(model, shape, value_range=value_range, name=name, batch=batch)
    raise TargetError(f"model: {_what(model)}")


def _what(model: Any) -> str:
    """Says what was given instead of a model, and what to give."""
    if model is None:
        return "None: does the function that builds it return it?"
    if isinstance(model, type):
        return f"the class {model.__name__} itself: give an object, {model.__name__}(...)"
    if isinstance(model, str | bytes) or hasattr(model, "__fspath__"):
        return (
            "a path: give darkroom.load_target(...), an OnnxTarget of the file, or name it in a "
            "plan and run darkroom audit"
        )
    if isinstance(model, dict):
        return "a dictionary, as of weights: build the module and load them into it"
    if isinstance(model, list | tuple):
        return f"a {type(model).__name__}: give one model; audit several one after another"
    return (
        f"{type(model).__name__} is no torch.nn.Module, no scikit-learn classifier and no target: "
        "write a darkroom.images.targets.base.Target around it"
    )
