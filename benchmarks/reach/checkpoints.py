"""Models of images in files: checkpoints, and whole programs."""

from __future__ import annotations

import argparse
import warnings
from collections import OrderedDict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import darkroom
from benchmarks.reach.planted.images import PEOPLE, SHAPE, found, plan, taught
from benchmarks.reach.planted.nets import convolutional
from benchmarks.reach.rows import Row


def audited_from_plan(folder: Path, build: str, lines: str = "", attack: str = "gradient") -> bool:
    """Audits what an expression builds, through a plan and a module beside it."""
    name = f"net_{abs(hash(str(folder)))}"
    (folder / f"{name}.py").write_text(
        "from benchmarks.reach.planted.nets import *\nfrom torch import nn\n\n\n"
        f"def net():\n    return {build}\n"
    )
    file = plan(folder, f'load = "{name}:net"\n{lines}', attack)
    return found(darkroom.audit_plan(file, progress=False))


# long: a checkpoint of every spelling
def checkpoints() -> Iterator[Row]:
    """Yields files of weights."""

    def row(
        library: str, what: str, file: str, written: Callable[[Any], Any], way: str = ""
    ) -> Row:
        def meet(folder: Path) -> bool:
            model = taught(convolutional())
            content = written(model)
            if file.endswith(".safetensors"):
                from safetensors.torch import save_file

                save_file(content, folder / file)
            else:
                torch.save(content, folder / file)
            return audited_from_plan(folder, "convolutional()", f'weights = "{file}"')

        return Row(library, what, meet, way)

    def renamed(model: nn.Module, before: str) -> dict[str, Tensor]:
        return OrderedDict((before + key, value) for key, value in model.state_dict().items())

    yield row("torch", "state dict, .pt", "net.pt", lambda model: model.state_dict())
    yield row("torch", "tensors, .bin", "pytorch_model.bin", lambda model: model.state_dict())
    yield row(
        "torch",
        "{state_dict, epoch, args}, module., .pth.tar",
        "best.pth.tar",
        lambda model: {
            "state_dict": renamed(model, "module."),
            "epoch": 3,
            "best": np.float64(0.9),
            "args": argparse.Namespace(lr=0.1),
        },
    )
    yield row(
        "torch",
        "compiled, _orig_mod., .safetensors",
        "net.safetensors",
        lambda model: renamed(model, "_orig_mod."),
    )
    yield row(
        "lightning",
        "model. and a loss's weight, .ckpt",
        "last.ckpt",
        lambda model: {
            "pytorch-lightning_version": "2.5",
            "hyper_parameters": {"lr": 0.1},
            "state_dict": {**renamed(model, "model."), "loss.weight": torch.ones(PEOPLE)},
            "optimizer_states": [{"state": {}, "param_groups": []}],
        },
    )
    yield row(
        "torch",
        "a whole model, pickled",
        "net.pth",
        lambda model: model,
        way="save model.state_dict() as .safetensors",
    )


def programs() -> Iterator[Row]:
    """Yields files that hold a model with its code."""

    def row(kind: str, file: str, lines: str, attack: str = "gradient", way: str = "") -> Row:
        def meet(folder: Path) -> bool:
            with warnings.catch_warnings(action="ignore"):
                _write_program(kind, taught(convolutional()).eval(), folder / file)
            return found(
                darkroom.audit_plan(
                    plan(folder, f'load = "{file}"\n{lines}', attack), progress=False
                )
            )

        return Row(kind, file, meet, way)

    yield row("TorchScript, traced", "net.pt", "trusted = true")
    yield row("TorchScript, frozen", "net.ts", "trusted = true", "auto")
    yield row("torch.export", "net.pt2", "trusted = true")
    yield row("torch.export of one image", "net.pt2", "trusted = true", "auto")
    yield row("TorchScript, not trusted", "net.pt", "", way="trusted = true if you trust them")


def _write_program(kind: str, model: nn.Module, file: Path) -> None:
    if kind.startswith("torch.export"):
        example = torch.zeros(1 if kind.endswith("image") else 2, *SHAPE)
        sizes = None if len(example) == 1 else ({0: torch.export.Dim("batch")},)
        program = torch.export.export(model, (example,), dynamic_shapes=sizes)
        torch.export.save(program, file)
        return
    script: Any = torch.jit.trace(model, torch.zeros(1, *SHAPE))  # type: ignore[no-untyped-call]
    (torch.jit.freeze(script) if "frozen" in kind else script).save(str(file))
