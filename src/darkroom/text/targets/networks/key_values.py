"""Keys and values of every token a model has read, shared by all prefixes that hold the token."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Integers = NDArray[np.int64]
Layer = tuple[Tensor, Tensor]

_FIRST = 256


class Past(NamedTuple):
    """What a batch of prefixes has been read as.

    Attributes:
        layers: Keys and values of each layer, ``(n, heads, longest, width)``, padded in front.
        present: Which of them are no padding, bool ``(n, longest)``.
        lengths: The length of each prefix, ``(n,)``.
    """

    layers: list[Layer]
    present: Tensor
    lengths: Integers


class KeyValues:
    """A tree of tokens, each with its keys and values in every layer.

    A prefix is a path from a root, so what prefixes share is kept once. Keys and values may be
    forgotten; the tree stays, so that a prefix can be read again.
    """

    def __init__(self) -> None:
        """Starts empty."""
        self._parents = np.full(_FIRST, -1, np.int64)
        self._depths = np.zeros(_FIRST, np.int64)
        self._tokens = np.zeros(_FIRST, np.int64)
        self._slots = np.full(_FIRST, -1, np.int64)
        self._layers: list[list[Tensor]] = []
        self._count = self._used = 0

    def grow(self, parents: Integers, tokens: Integers) -> Integers:
        """Adds a token behind each of some prefixes, whose keys and values are not there yet.

        Args:
            parents: Numbers of prefixes, ``(n,)``, -1 for a new root.
            tokens: The tokens, ``(n,)``.

        Returns:
            The numbers of the prefixes that end in these tokens.
        """
        start, self._count = self._count, self._count + len(parents)
        numbers = np.arange(start, self._count)
        while self._count > len(self._parents):
            blank = np.full_like(self._parents, -1)
            self._parents = np.concatenate([self._parents, blank])
            self._slots = np.concatenate([self._slots, blank])
            self._depths = np.concatenate([self._depths, np.zeros_like(self._depths)])
            self._tokens = np.concatenate([self._tokens, np.zeros_like(self._tokens)])
        self._parents[numbers] = parents
        self._tokens[numbers] = tokens
        self._depths[numbers] = np.where(parents < 0, 1, self._depths[parents] + 1)
        return numbers

    def keep(self, numbers: Integers, layers: Sequence[Layer]) -> None:
        """Keeps the keys and values of tokens.

        Args:
            numbers: The prefixes that end in them, ``(n,)``.
            layers: ``(n, heads, width)`` for each layer.
        """
        if not self._layers:
            self._layers = [[_room(_FIRST, one) for one in pair] for pair in layers]
        start = self.reserve(numbers)
        for place, (keys, values) in enumerate(layers):
            self.put(place, start, keys, values)

    def reserve(self, numbers: Integers) -> int:
        """Makes room for the last tokens of prefixes, side by side, and returns the first place."""
        start, self._used = self._used, self._used + len(numbers)
        self._slots[numbers] = np.arange(start, self._used)
        for pair in self._layers:
            for place, held in enumerate(pair):
                if held.shape[1] < self._used:
                    rows = max(self._used, 2 * held.shape[1])
                    larger = held.new_empty((held.shape[0], rows, held.shape[2]))
                    larger[:, : held.shape[1]] = held
                    pair[place] = larger
        return start

    def put(self, layer: int, start: int, keys: Tensor, values: Tensor) -> None:
        """Writes keys and values, ``(n, heads, width)``, into room that was made for them."""
        for held, new in zip(self._layers[layer], (keys, values), strict=True):
            held[:, start : start + len(new)] = new.transpose(0, 1)

    def forget(self) -> None:
        """Frees all keys and values."""
        self._slots[:] = -1
        self._layers, self._used = [], 0

    @property
    def depth(self) -> int:
        """How many layers there are."""
        return len(self._layers)

    @property
    def token_bytes(self) -> int:
        """What one token takes in all layers; 0 before anything is kept."""
        return sum(
            one.shape[0] * one.shape[2] * one.element_size()
            for pair in self._layers
            for one in pair
        )

    @property
    def held_bytes(self) -> int:
        """What all that is kept takes, unused room included."""
        return sum(one.numel() * one.element_size() for pair in self._layers for one in pair)

    def lengths(self, prefixes: Integers) -> Integers:
        """Returns how many tokens each prefix has."""
        return self._depths[prefixes]

    def paths(self, prefixes: Integers) -> Integers:
        """Returns the numbers along each prefix, ``(n, longest)``, -1 in front of shorter ones."""
        longest = int(self._depths[prefixes].max(initial=0))
        paths = np.full((len(prefixes), longest), -1, np.int64)
        current = prefixes
        for place in range(longest - 1, -1, -1):
            paths[:, place] = current
            current = np.where(current < 0, -1, self._parents[current])
        return paths

    def forgotten(self, prefixes: Integers) -> Integers:
        """Returns those prefixes, each once, of which a token's keys and values are not there."""
        different = np.unique(prefixes)
        paths = self.paths(different)
        return different[((self._slots[paths] < 0) & (paths >= 0)).any(axis=1)]

    def slots(self, prefixes: Integers) -> Integers:
        """Returns where the tokens of each prefix are kept, ``(n, longest)``, -1 in front."""
        paths = self.paths(prefixes)
        return np.where(paths < 0, -1, self._slots[paths])

    def is_kept(self, numbers: Integers) -> NDArray[np.bool_]:
        """Tells whether the last tokens of prefixes are kept."""
        return self._slots[numbers] >= 0

    def tokens(self, paths: Integers) -> Integers:
        """Returns the tokens at the ends of prefixes, of any shape."""
        return self._tokens[paths]

    def gathered(self, layer: int, slots: Integers) -> Layer:
        """Returns keys and values at some places, ``(n, heads, longest, width)``."""
        keys, values = self._layers[layer]
        index = torch.from_numpy(slots.clip(0).reshape(-1)).to(keys.device)
        shape = (-1, *slots.shape)
        found = [
            held.index_select(1, index).view(*shape, held.shape[2]).transpose(0, 1)
            for held in (keys, values)
        ]
        return found[0], found[1]

    def past(self, prefixes: Integers) -> Past:
        """Gathers the keys and values of prefixes."""
        slots = self.slots(prefixes)
        layers = [self.gathered(layer, slots) for layer in range(self.depth)]
        return Past(layers, torch.from_numpy(slots >= 0), self.lengths(prefixes))


def _room(rows: int, like: Tensor) -> Tensor:
    return like.new_empty((like.shape[1], rows, like.shape[2]))
