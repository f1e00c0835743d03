"""Files that hold a whole model with its code: TorchScript, and what ``torch.export`` saves."""

from __future__ import annotations

import warnings
import zipfile
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn

from darkroom.errors import TargetError, one_line


def program_in(file: Path) -> Literal["TorchScript", "torch.export"] | None:
    """Tells which kind of program a file holds, by what is in its archive; runs nothing of it."""
    try:
        with zipfile.ZipFile(file) as archive:
            names = archive.namelist()
    except (OSError, ValueError, zipfile.BadZipFile):
        return None
    if any("/code/" in name for name in names) and any(n.endswith("constants.pkl") for n in names):
        return "TorchScript"
    if any(name.endswith(("archive_format", "serialized_exported_program.json")) for name in names):
        return "torch.export"
    return None


def load_program(file: Path, *, trusted: bool) -> nn.Module:
    """Loads a whole model with its code.

    Args:
        file: What ``torch.jit.save`` or ``torch.export.save`` wrote.
        trusted: Whether its code may run. Either format runs what its author wrote.

    Raises:
        TargetError: If there is no such file, it is something else, or it is not trusted.
    """
    if not file.is_file():
        raise TargetError(f"{file}: no such file: check [target] load")
    kind = program_in(file)
    if kind is None:
        raise TargetError(
            f"{file}: holds no whole model that can be read: where it holds weights alone, set "
            'load = "module:callable" to the code that builds it, and weights to this file'
        )
    if not trusted:
        raise TargetError(
            f"{file}: a {kind} file runs code of whoever made it: set [target] trusted = true if "
            "you trust them, or export the model to ONNX, which runs none"
        )
    try:
        with warnings.catch_warnings(action="ignore"):
            if kind == "TorchScript":
                script: nn.Module = torch.jit.load(str(file), map_location="cpu")  # type: ignore[no-untyped-call]
                return script
            return _exported(file)
    except Exception as error:
        raise TargetError(f"{file}: cannot be loaded ({one_line(error)})") from error


def _exported(file: Path) -> nn.Module:
    program = torch.export.load(file)
    module = program.module()
    # Its mode was settled when it was exported; PyTorch's own methods for it raise.
    module.train = lambda *_mode: module  # type: ignore[method-assign]
    module.eval = lambda: module  # type: ignore[method-assign]
    name = program.graph_signature.user_inputs[0]
    taken = next(node for node in program.graph.nodes if node.name == name)
    batch = taken.meta["val"].shape[0]
    return OfOneSize(module, batch) if isinstance(batch, int) else module


class OfOneSize(nn.Module):
    """A module that takes batches of one size only, given others in turns, the last one filled."""

    def __init__(self, module: nn.Module, size: int) -> None:
        """Wraps a module.

        Args:
            module: Takes ``(size, …)``.
            size: The rows it insists on.
        """
        super().__init__()
        self.module, self.size = module, size

    def forward(self, images: Tensor) -> Tensor:
        """Answers any number of images, ``(n, …)``."""
        blank = -len(images) % self.size or (0 if len(images) else self.size)
        filled = torch.cat([images, images.new_zeros(blank, *images.shape[1:])])
        answers = [self.module(part) for part in torch.split(filled, self.size)]
        return torch.cat(answers)[: len(images)]
