"""A cache of the ``transformers`` library that reads and writes kept keys and values in place."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from transformers.cache_utils import DynamicCache, DynamicLayer

from darkroom.text.targets.networks.key_values import KeyValues


class KeptLayer(DynamicLayer):  # type: ignore[no-untyped-call]
    """One layer: the new token is written among those kept, and all are gathered in one copy.

    The library's own layer joins past and new in a second copy, which takes about as long as the
    attention itself.
    """

    def __init__(self, kept: KeyValues, layer: int, slots: NDArray[np.int64]) -> None:
        """Takes the places of prefixes.

        Args:
            kept: Keys and values.
            layer: The number of the layer.
            slots: The places of each prefix's tokens, the new one last, ``(n, longest + 1)``.
        """
        super().__init__()  # type: ignore[no-untyped-call]
        self.is_initialized = True
        self._kept, self._layer, self._slots = kept, layer, slots
        self._length = slots.shape[1] - 1

    def update(
        self,
        key_states: Tensor,
        value_states: Tensor,
        *args: Any,  # noqa: ARG002 - as the library calls it
        **kwargs: Any,  # noqa: ARG002
    ) -> tuple[Tensor, Tensor]:
        """Keeps one token's keys and values, and returns those of whole prefixes."""
        start = int(self._slots[0, -1])
        self._kept.put(self._layer, start, key_states[:, :, 0], value_states[:, :, 0])
        self._length = self._slots.shape[1]
        return self._kept.gathered(self._layer, self._slots)

    def get_seq_length(self) -> int:
        """Returns how many tokens the longest prefix has."""
        length: int = self._length
        return length


def kept_cache(kept: KeyValues, slots: NDArray[np.int64]) -> DynamicCache:
    """Returns a cache for one token more behind each prefix.

    Args:
        kept: Keys and values.
        slots: The places of each prefix's tokens, the new one last, ``(n, longest + 1)``.
    """
    cache = DynamicCache()
    cache.layer_class_to_replicate = None
    cache.layers = [KeptLayer(kept, layer, slots) for layer in range(kept.depth)]
    return cache
