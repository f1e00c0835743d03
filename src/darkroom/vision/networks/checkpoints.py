"""Files of weights as training scripts write them, put into a model without running their code."""

from __future__ import annotations

import argparse
import pickle
import re
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from darkroom.errors import MissingExtraError, TargetError, one_line

State = Mapping[str, Tensor]

_SUFFIXES = {".pt", ".pth", ".ckpt", ".tar", ".bin", ".th", ".chkpt"}
_WRAPPERS = re.compile(r"(?:^|(?<=\.))(?:_orig_mod|module)\.")
_NESTED = 2  # how deep a file's dictionaries are looked into
# Types that hold plain values and do nothing when they are made.
_HARMLESS: list[Any] = [
    argparse.Namespace,
    np.dtype,
    np.ndarray,
    np.float64(0).__reduce__()[0],  # makes NumPy's numbers
    *(type(np.dtype(kind)) for kind in ("f4", "f8", "i4", "i8", "bool")),
]


class _Found(NamedTuple):
    """Tensors in a file: under which keys, and what they are called there."""

    place: str
    state: State


def bare(model: nn.Module) -> nn.Module:
    """Returns a module without what ``torch.compile`` and ``DataParallel`` put around it.

    It answers the same. An audit asks with batches of many sizes, for each of which a compiled
    module would be compiled again.
    """
    while True:
        inner = getattr(model, "_orig_mod", None)
        if inner is None and isinstance(
            model, nn.DataParallel | nn.parallel.DistributedDataParallel
        ):
            inner = model.module
        if not isinstance(inner, nn.Module):
            return model
        model = inner


def load_weights(model: nn.Module, file: Path) -> None:
    """Fills a model with tensors from a file, never running code in it.

    The file may be a state dict, or a dictionary that holds one beside other things, as training
    scripts and Lightning write it; names may begin with what ``torch.compile``, ``DataParallel`` or
    a wrapping module put before them.

    Args:
        model: What to fill.
        file: ``.safetensors``, or plain tensors in one of PyTorch's files, whatever its name.

    Raises:
        MissingExtraError: If safetensors is not installed.
        TargetError: If the file is none, holds more than plain tensors, or does not fit.
    """
    if (file / "model.safetensors").is_file():
        file = file / "model.safetensors"
    if not file.is_file():
        raise TargetError(f"{file}: no such file of weights: check [target] weights")
    if file.suffix == ".safetensors":
        content: Any = _read_safetensors(file)
    elif file.suffix in _SUFFIXES:
        content = _read_tensors(file)
    else:
        raise TargetError(
            f"{file}: weights must be .safetensors, or .pt of plain tensors; an .onnx file is a "
            'model of its own (kind = "onnx"), and docs/how-to/keras-and-jax.md shows how'
        )
    _fill(bare(model), list(_states(content)), file)


def _fill(model: nn.Module, found: list[_Found], file: Path) -> None:
    """Loads the one state that fits."""
    if not found:
        raise TargetError(f"{file}: holds no state dict: save model.state_dict()")
    named = [(one, _renamed(one.state, model)) for one in found]
    fitting = [(one, state) for one, state in named if state is not None]
    if len(fitting) > 1 and not all(_same(fitting[0][1], state) for _, state in fitting[1:]):
        places = " and ".join(repr(one.place) for one, _ in fitting)
        raise TargetError(
            f"{file}: holds weights that differ under {places}: save those that are served alone"
        )
    largest = max(found, key=lambda one: len(one.state)).state
    state = fitting[0][1] if fitting else _nearer(largest, model)
    try:
        model.load_state_dict(dict(state))
    except (RuntimeError, TypeError, AttributeError) as error:
        raise TargetError(f"{file}: does not fit the model: {one_line(error)}") from error


def _nearer(state: State, model: nn.Module) -> State:
    """Returns tensors without a wrapper's name where more are the model's so, for the message."""
    wanted = set(model.state_dict())
    if not all(isinstance(key, str) for key in state):
        return state
    plain = {_WRAPPERS.sub("", key): value for key, value in state.items()}
    return plain if len(wanted & set(plain)) > len(wanted & set(state)) else state


def _same(one: State, other: State) -> bool:
    return all(torch.equal(value, other[key]) for key, value in one.items())


def _states(content: Any, place: str = "", depth: int = 0) -> Iterator[_Found]:
    """Yields every dictionary of tensors in what a file holds."""
    if not isinstance(content, Mapping):
        return
    state = {key: value for key, value in content.items() if isinstance(value, Tensor)}
    # Beside tensors alone, a scalar or two of a script; a dictionary of nothing else is no state.
    if state and (len(state) == len(content) or depth == 0):
        yield _Found(place, state)
    elif depth == 0 and content and not any(isinstance(one, Mapping) for one in content.values()):
        yield _Found(place, content)
    if depth < _NESTED:
        for key, value in content.items():
            yield from _states(value, f"{place}.{key}".lstrip("."), depth + 1)


def _renamed(state: State, model: nn.Module) -> dict[str, Tensor] | None:
    """Returns tensors under the model's own names; ``None`` where they are not the model's."""
    wanted = set(model.state_dict())
    if not wanted or not all(isinstance(key, str) for key in state):
        return None
    plain = {_WRAPPERS.sub("", key): value for key, value in state.items()}
    for candidate in (state, plain):
        if set(candidate) == wanted:
            return dict(candidate)
    first = min(wanted)
    for key in plain:
        # A wrapping module, such as Lightning's, names the model's own module before each key.
        if key.endswith(f".{first}"):
            before = key[: -len(first)]
            if all(before + one in plain for one in wanted) and not any(
                one.startswith(before) and one[len(before) :] not in wanted for one in plain
            ):
                return {one: plain[before + one] for one in wanted}
    known = min(plain)
    for key in wanted:
        # The model wraps the one that was trained, such as to normalise images.
        if key.endswith(f".{known}") and {key[: -len(known)] + one for one in plain} == wanted:
            return {key[: -len(known)] + one: value for one, value in plain.items()}
    return None


def _read_tensors(file: Path) -> Any:
    try:
        with (
            warnings.catch_warnings(action="ignore"),  # the error below says it all
            torch.serialization.safe_globals(_HARMLESS),
        ):
            return torch.load(file, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError, ValueError) as error:
        if "TorchScript" in str(error):
            raise TargetError(
                f"{file}: a TorchScript program, not weights: set [target] load to this file and "
                "trusted = true if you trust who made it, and leave out weights"
            ) from error
        raise TargetError(
            f"{file}: holds more than plain tensors{_beside(file)}, or is damaged; Darkroom never "
            "unpickles: where the file is trusted, load it and save model.state_dict() as "
            ".safetensors"
        ) from error
    except Exception as error:  # whatever a torn file makes PyTorch raise
        raise TargetError(f"{file}: damaged ({one_line(error)}): save it again") from error


def _beside(file: Path) -> str:
    """Names the types that a file holds beside tensors, where it can be told."""
    try:
        with torch.serialization.safe_globals(_HARMLESS):
            types = torch.serialization.get_unsafe_globals_in_checkpoint(file)
    except Exception:
        return ""
    return f" ({', '.join(sorted(types)[:4])})" if types else ""


def _read_safetensors(file: Path) -> dict[str, Tensor]:
    try:
        from safetensors import SafetensorError
        from safetensors.torch import load_file
    except ImportError as error:
        raise MissingExtraError("safetensors", "vision") from error
    try:
        return load_file(file)
    except (SafetensorError, OSError, ValueError) as error:
        raise TargetError(f"{file}: not a readable safetensors file ({one_line(error)})") from error
