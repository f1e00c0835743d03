"""How many rows go through a model at once without taking more memory than allowed.

An audit has one bound, ``[run] memory``. A quarter of it is what a model may take for the rows that
go through it at once; the rest is for the photos, their copies, and the libraries.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import torch
from torch import Tensor

DEFAULT = 4 << 30
"""Bytes that an audit of images may take, unless told."""

SHARE = 4
"""What part of it one of its stages may take at once."""

_PROCESSOR = torch.device("cpu")

_UNSEEN = 64  # images: what a row takes where no gradient tells


def memory_on(device: torch.device, memory: int) -> int:
    """Returns the bytes that activations may take on a device.

    Args:
        device: Where they are.
        memory: What they may take on the processor. A GPU has its own, of which half of what is
            free may be taken.
    """
    if device.type != "cuda":
        return memory
    free, _ = torch.cuda.mem_get_info(device)
    return max(1, free // 2)


class RowBudget:
    """Splits rows into chunks whose activations stay within a memory bound.

    What a row costs is not guessed from the model's layers: it is measured, once, as what autograd
    saves for the backward pass of two rows beyond what it saves for one. Weights, which it saves
    too, are in both.

    Attributes:
        rows: Rows a chunk; ``None`` until measured.
        row_bytes: What a row takes; 0 until measured.
    """

    def __init__(self, memory: int, device: torch.device = _PROCESSOR) -> None:
        """Starts unmeasured.

        Args:
            memory: Bytes that activations may take on the processor.
            device: Where they are; see :func:`memory_on`.
        """
        self._memory = memory_on(device, memory)
        self._saved: list[int] = []
        self.rows: int | None = None
        self.row_bytes = 0

    def chunks(self, n: int) -> Iterator[slice]:
        """Yields slices that cover ``range(n)``; the first two, of 1 and 2 rows, are measured."""
        start = 0
        while start < n:
            size = self.rows if self.rows is not None else 1 + len(self._saved)
            yield slice(start, min(n, start + size))
            start += size

    @contextmanager
    def measured(self, rows: int) -> Iterator[None]:
        """Counts what the enclosed forward pass saves, until enough is known.

        Args:
            rows: How many rows pass.
        """
        if self.rows is not None or rows != 1 + len(self._saved):
            yield
            return
        saved: dict[int, int] = {}

        def pack(tensor: Tensor) -> Tensor:
            storage = tensor.untyped_storage()
            saved[storage.data_ptr()] = storage.nbytes()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            yield
        self._saved.append(sum(saved.values()))
        if len(self._saved) == 2:
            # The backward pass holds gradients of about the size of what was saved; where there are
            # ten thousand classes, what they are made of takes as much again.
            self.row_bytes = max(1, 3 * (self._saved[1] - self._saved[0]))
            self.rows = max(1, self._memory // self.row_bytes)


def most_rows(model: Callable[[Tensor], object], images: Tensor, memory: int) -> int:
    """Returns how many rows a model may answer at once, with their gradients.

    Args:
        model: A module in evaluation mode, or what runs one.
        images: Two images or more.
        memory: Bytes that they may take on the processor; see :func:`memory_on`.
    """
    memory = memory_on(images.device, memory)
    budget = RowBudget(memory)
    with suppress(RuntimeError):  # no gradient goes through some
        for rows in (1, 2):
            with torch.enable_grad(), budget.measured(rows):
                model(images[:rows].clone().requires_grad_().clone())
    known = budget.rows if budget.row_bytes > 1 else None
    return known or max(1, memory // (_UNSEEN * images[0].numel() * 4))
