"""Loading a model from an import path, with weights from a file that cannot run code."""

from __future__ import annotations

import importlib
import pickle
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import nn

from darkroom.errors import MissingExtraError, TargetError, one_line
from darkroom.targets.torch import Outputs, TorchTarget


def load_target(
    load: str,
    shape: Sequence[int],
    *,
    weights: Path | None = None,
    value_range: tuple[float, float] = (0.0, 1.0),
    outputs: Outputs = "logits",
    device: str = "cpu",
    folder: Path | None = None,
) -> TorchTarget:
    """Loads a PyTorch model as a target.

    Args:
        load: ``package.module:callable``; the callable takes nothing and returns a module.
        shape: ``(channels, height, width)`` of the images it takes.
        weights: A ``.safetensors`` file, or a ``.pt`` or ``.pth`` file of plain tensors.
        value_range: The values of black and of full intensity.
        outputs: Whether the module returns logits or probabilities.
        device: Where it runs.
        folder: Where to look for the module, beside the working folder and what is installed.

    Raises:
        TargetError: If the import, the call or the weights fail, or the model is not what it was
            declared to be.
    """
    return TorchTarget(
        load_module(load, weights, folder=folder),
        shape,
        value_range=value_range,
        outputs=outputs,
        name=load,
        device=device,
    )


def load_module(load: str, weights: Path | None = None, *, folder: Path | None = None) -> nn.Module:
    """Imports and calls what ``load`` names, and fills it with weights; see :func:`load_target`.

    Raises:
        TargetError: If the import, the call or the weights fail.
    """
    model = _call(load, folder)
    if weights is not None:
        _load_weights(model, weights)
    return model


def _call(load: str, folder: Path | None) -> nn.Module:
    if Path(load).suffix in {".pt", ".pth", ".pkl", ".pickle", ".safetensors"}:
        raise TargetError(
            f"{load}: a file of weights alone is no model: set load = "
            '"module:callable" to the code that builds it, and weights to this file'
        )
    module_name, _, attribute = load.partition(":")
    if not module_name or not attribute:
        raise TargetError(f"{load}: give an import path such as mymodels:face_net")
    with _importable(folder):
        try:
            found = importlib.import_module(module_name)
        except (Exception, SystemExit) as error:
            raise TargetError(
                f"{load}: cannot import {module_name} ({one_line(error)}): check the name, or "
                "start where it can be imported"
            ) from error
        builder = getattr(found, attribute, None)
        if not callable(builder):
            raise TargetError(f"{load}: {module_name} has no callable {attribute}")
        try:
            model = builder()
        except (Exception, SystemExit) as error:
            raise TargetError(
                f"{load}: calling it failed ({one_line(error)}): it is called without arguments "
                "and must return the model"
            ) from error
    if not isinstance(model, nn.Module):
        raise TargetError(f"{load}: it returned {type(model).__name__}, not a torch.nn.Module")
    return model


@contextmanager
def _importable(folder: Path | None) -> Iterator[None]:
    """Lets modules beside the plan and in the working folder be imported."""
    # Python remembers what a relative path meant at its first use, so paths are made absolute.
    added = [str(path.resolve()) for path in (folder, Path.cwd()) if path is not None]
    sys.path[:0] = added
    try:
        yield
    finally:
        for path in added:
            sys.path.remove(path)


def _load_weights(model: nn.Module, file: Path) -> None:
    """Fills the model with tensors from a file, never running code in it."""
    if not file.is_file():
        raise TargetError(f"{file}: no such file of weights: check [target] weights")
    if file.suffix == ".safetensors":
        state = _read_safetensors(file)
    elif file.suffix in {".pt", ".pth"}:
        try:
            with warnings.catch_warnings(action="ignore"):  # the error below says it all
                state = torch.load(file, map_location="cpu", weights_only=True)
        except (pickle.UnpicklingError, RuntimeError, EOFError, OSError, ValueError) as error:
            raise TargetError(
                f"{file}: holds more than plain tensors, or is damaged; Darkroom never unpickles: "
                "save model.state_dict() as .safetensors"
            ) from error
    else:
        raise TargetError(f"{file}: weights must be .safetensors, or .pt of plain tensors")
    if not isinstance(state, dict):
        raise TargetError(f"{file}: holds no state dict: save model.state_dict()")
    try:
        model.load_state_dict(state)
    except (RuntimeError, TypeError, AttributeError) as error:
        raise TargetError(f"{file}: does not fit the model: {one_line(error)}") from error


def _read_safetensors(file: Path) -> dict[str, torch.Tensor]:
    try:
        from safetensors import SafetensorError
        from safetensors.torch import load_file
    except ImportError as error:
        raise MissingExtraError("safetensors", "vision") from error
    try:
        return load_file(file)
    except (SafetensorError, OSError, ValueError) as error:
        raise TargetError(f"{file}: not a readable safetensors file ({one_line(error)})") from error
