"""Passes through a model in half precision, where its owner asks for them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Literal

import torch
from torch import Tensor

Precision = Literal["single", "half"]
"""What a model computes in: as it is, or in 16 bits where PyTorch holds that to be safe."""


FUSED = ("cpu", "cuda", "mps", "xpu")
"""Devices on which an optimiser takes its step in one kernel."""


def half_type(precision: Precision, device: torch.device) -> torch.dtype | None:
    """Returns the numbers that passes are in, ``bfloat16`` where there are any; ``None`` as it is.

    Args:
        precision: What is asked for.
        device: Where the model runs.
    """
    if precision == "single":
        return None
    narrow = device.type == "mps"
    narrow |= device.type == "cuda" and not torch.cuda.is_bf16_supported()
    return torch.float16 if narrow else torch.bfloat16


def passed(model: Callable[[Tensor], Tensor], images: Tensor, half: torch.dtype | None) -> Tensor:
    """Returns what a model answers; in half precision, in 32 bits again.

    Args:
        model: Takes images.
        images: Where the model is.
        half: The numbers that its pass is in; ``None`` as it is.
    """
    context: AbstractContextManager[object] = nullcontext()
    if half is not None:
        context = torch.autocast(images.device.type, dtype=half)
    with context:
        answers = model(images)
    return answers.float() if half is not None and answers.is_floating_point() else answers


def said(half: torch.dtype | None) -> list[tuple[str, str]]:
    """Returns what a report says of it; nothing of a model as it is."""
    if half is None:
        return []
    name = str(half).removeprefix("torch.")
    return [("Precision", f"half: the model\N{RIGHT SINGLE QUOTATION MARK}s own passes in {name}")]
