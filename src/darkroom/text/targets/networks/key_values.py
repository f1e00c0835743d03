"""Keys and values of every token a model has read, shared by all prefixes that hold the token."""

from __future__ import annotations

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

    A prefix is a path from a root, so what prefixes share is kept once.
    """

    def __init__(self) -> None:
        """Starts empty."""
        self._parents = np.full(_FIRST, -1, np.int64)
        self._depths = np.zeros(_FIRST, np.int64)
        self._tokens = np.zeros(_FIRST, np.int64)
        self._layers: list[Layer] = []
        self._count = 0

    def add(self, parents: Integers, tokens: Integers, layers: list[Layer] | None) -> Integers:
        """Adds a token behind each of some prefixes.

        Args:
            parents: Numbers of prefixes, ``(n,)``, -1 for a new root.
            tokens: The tokens, ``(n,)``.
            layers: Their keys and values, ``(n, heads, width)``, or ``None`` to keep none.

        Returns:
            The numbers of the prefixes that end in these tokens.
        """
        start, self._count = self._count, self._count + len(parents)
        numbers = np.arange(start, self._count)
        while self._count > len(self._parents):
            self._parents = np.concatenate([self._parents, np.full_like(self._parents, -1)])
            self._depths = np.concatenate([self._depths, np.zeros_like(self._depths)])
            self._tokens = np.concatenate([self._tokens, np.zeros_like(self._tokens)])
        self._parents[numbers] = parents
        self._tokens[numbers] = tokens
        self._depths[numbers] = np.where(parents < 0, 1, self._depths[parents] + 1)
        if layers is not None:
            self._store(start, layers)
        return numbers

    def _store(self, start: int, layers: list[Layer]) -> None:
        if not self._layers:
            self._layers = [
                (_room(len(self._parents), keys), _room(len(self._parents), values))
                for keys, values in layers
            ]
        for place, (pair, new) in enumerate(zip(self._layers, layers, strict=True)):
            grown = []
            for held, added in zip(pair, new, strict=True):
                if len(held) < len(self._parents):
                    larger = _room(len(self._parents), added)
                    larger[: len(held)] = held
                    held = larger
                held[start : start + len(added)] = added
                grown.append(held)
            self._layers[place] = (grown[0], grown[1])

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

    def tokens(self, prefixes: Integers) -> tuple[Integers, Integers]:
        """Returns the tokens of each prefix, ``(n, longest)``, padded behind, and their lengths."""
        paths, lengths = self.paths(prefixes), self.lengths(prefixes)
        padded = np.zeros_like(paths)
        behind = np.arange(paths.shape[1]) < lengths[:, None]
        padded[behind] = self._tokens[paths[paths >= 0]]
        return padded, lengths

    def past(self, prefixes: Integers) -> Past:
        """Gathers the keys and values of prefixes."""
        paths = self.paths(prefixes)
        places = torch.from_numpy(paths.clip(0))
        layers = []
        for keys, values in self._layers:
            index = places.to(keys.device)
            layers.append((keys[index].transpose(1, 2), values[index].transpose(1, 2)))
        return Past(layers, torch.from_numpy(paths >= 0), self.lengths(prefixes))


def _room(rows: int, like: Tensor) -> Tensor:
    return torch.empty((rows, *like.shape[1:]), dtype=like.dtype, device=like.device)
