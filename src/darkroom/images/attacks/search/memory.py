"""How many rows go through a model at once without taking more memory than allowed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor


class RowBudget:
    """Splits rows into chunks whose activations stay within a memory bound.

    What a row costs is not guessed from the model's layers: it is measured, once, as what autograd
    saves for the backward pass of two rows beyond what it saves for one. Weights, which it saves
    too, are in both.

    Attributes:
        rows: Rows a chunk; ``None`` until measured.
    """

    def __init__(self, memory: int) -> None:
        """Starts unmeasured.

        Args:
            memory: Bytes that activations may take.
        """
        self._memory = memory
        self._saved: list[int] = []
        self.rows: int | None = None

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
            # The backward pass holds gradients of about the size of what was saved.
            row = max(1, 2 * (self._saved[1] - self._saved[0]))
            self.rows = max(1, self._memory // row)
