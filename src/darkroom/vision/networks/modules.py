"""PyTorch modules as plans name them: import paths, and files that cannot run code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import nn

from darkroom.errors import TargetError
from darkroom.imports import call_import
from darkroom.vision.networks.checkpoints import load_weights
from darkroom.vision.networks.programs import load_program
from darkroom.vision.networks.suffixes import PROGRAMS


def load_module(
    load: str, weights: Path | None = None, *, folder: Path | None = None, trusted: bool = False
) -> nn.Module:
    """Imports and calls what ``load`` names, and fills it with weights.

    Raises:
        TargetError: If the import, the call or the weights fail.
    """
    if Path(load).suffix in PROGRAMS:
        model: Any = load_program(Path(load), trusted=trusted)
    else:
        model = call_import(load, folder)
    if not isinstance(model, nn.Module):
        raise TargetError(f"{load}: it returned {type(model).__name__}, not a torch.nn.Module")
    if weights is not None:
        load_weights(model, weights)
    return model
