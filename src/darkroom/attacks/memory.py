"""How many rows go through a model at once without taking more memory than allowed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor


class RowBudget:
    """Splits rows into chunks whose activations stay within a memory bound.

    What a row costs is not guessed from the model's layers: it is measured, once, as the bytes
    that autograd saves for the backward pass of the first chunk, which has ``trial`` rows.
    """

    def __init__(self, memory: int, trial: int = 2) -> None:
        """Starts unmeasured.

        Args:
            memory: Bytes that activations may take.
            trial: Rows in the first chunk.
        """
        self._memory = memory
        self._trial = trial
        self.rows: int | None = None

    def chunks(self, n: int) -> Iterator[slice]:
        """Yields slices that cover ``range(n)``; the first is small until it was measured."""
        start = 0
        while start < n:
            stop = min(n, start + (self.rows or self._trial))
            yield slice(start, stop)
            start = stop

    @contextmanager
    def measured(self, rows: int) -> Iterator[None]:
        """Counts what the enclosed forward pass of ``rows`` rows saves, the first time only."""
        if self.rows is not None:
            yield
            return
        saved: dict[int, int] = {}

        def pack(tensor: Tensor) -> Tensor:
            if not isinstance(tensor, torch.nn.Parameter):
                storage = tensor.untyped_storage()
                saved[storage.data_ptr()] = storage.nbytes()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            yield
        # The backward pass holds gradients of about the size of what was saved.
        self.rows = max(1, self._memory * rows // max(1, 2 * sum(saved.values())))
