"""PyTorch modules before and after training: their random state, and their weights on disk."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import nn

from darkroom.training.storage import damaged


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seeds PyTorch's global random state while the block runs, and then puts it back."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        yield


def weights_of(module: nn.Module) -> bytes:
    """Returns all weights and buffers as safetensors.

    Tensors that share memory are written apart, each whole.
    """
    return save(
        {
            name: value.detach().cpu().clone().contiguous()
            for name, value in module.state_dict().items()
        }
    )


def load_weights(module: nn.Module, file: Path) -> None:
    """Puts the weights that a file holds into a module.

    Args:
        module: Of the shape that was written.
        file: What :func:`weights_of` returned.

    Raises:
        RunError: If the file is damaged, or of a module of another shape.
    """
    try:
        module.load_state_dict(load_file(file))
    except (SafetensorError, OSError, RuntimeError) as error:
        raise damaged(file, error) from error
