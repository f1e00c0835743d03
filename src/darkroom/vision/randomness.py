"""Draws that PyTorch takes from its one global generator, kept apart from those of other threads.

Initial weights, dropout and random projections can be drawn from that generator alone. Two threads
that seed it would each change what the other draws.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch

ONE_AT_A_TIME = threading.RLock()
"""Held by whoever puts random states in the place of the global ones."""


class OwnRandomness:
    """A random state that takes the global one's place for a while, and goes on where it was."""

    def __init__(self, seed: int) -> None:
        """Begins at a seed."""
        self._state = torch.Generator().manual_seed(seed).get_state()

    @contextmanager
    def __call__(self) -> Iterator[None]:
        """Lets what runs inside draw from it, while other threads wait for their turn."""
        with ONE_AT_A_TIME, torch.random.fork_rng(devices=[]):
            torch.set_rng_state(self._state)
            try:
                yield
            finally:
                self._state = torch.get_rng_state()
