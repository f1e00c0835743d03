"""Prefixes of a causal language model, whose keys and values are kept, each once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from darkroom.errors import MissingExtraError
from darkroom.text.targets.base import (
    Charge,
    Floats,
    Integers,
    NextTokens,
    Prompt,
    Tokens,
    TokenTrie,
)
from darkroom.text.targets.networks.answers import following, logprobs_of
from darkroom.text.targets.networks.key_values import KeyValues, Layer
from darkroom.text.targets.networks.network import KEEPS, Network, logits_of
from darkroom.text.targets.networks.plain_trie import begun, require_tokens


class CausalTrie(TokenTrie):
    """Prefixes whose keys and values are kept, each once.

    Half of a memory bound is for what is kept; when it is full, all is forgotten, and what is still
    needed is read again. An eighth is for what goes through the model at once.
    """

    def __init__(self, network: Network) -> None:
        """Starts empty.

        Args:
            network: That reads.
        """
        self._network = network
        self._kept = KeyValues()

    @property
    def held_bytes(self) -> int:
        """What is kept now."""
        return self._kept.held_bytes

    def open(self, prompts: Sequence[Prompt], charge: Charge) -> tuple[Integers, NextTokens]:
        """Reads prompts; see :meth:`TokenTrie.open`."""
        charge(np.arange(len(prompts)))
        rows = begun(prompts, self._network.name)
        numbers, answers = [], []
        longest, shortest = max(map(len, rows)), min(map(len, rows))
        for some in self._chunks(len(rows), longest, longest - shortest + 1):
            opened = self._open(rows[some])
            numbers.append(opened[0])
            answers.append(opened[1])
        return _joined(numbers, answers)

    def _open(self, prompts: list[Tokens]) -> tuple[Integers, NextTokens]:
        """Reads prompts side by side, padded behind, and keeps what each token was read as."""
        ids, lengths = _padded(prompts)
        paths = np.full(ids.shape, -1, np.int64)
        ends = np.full(len(prompts), -1, np.int64)
        for place in range(ids.shape[1]):
            rows = np.flatnonzero(lengths > place)
            ends[rows] = self._kept.grow(ends[rows], ids[rows, place])
            paths[rows, place] = ends[rows]
        # The shortest prompt says how many last places the head is asked for.
        logits = self._read_paths(paths, ids, lengths, int(lengths.max() - lengths.min()) + 1)
        last = torch.from_numpy(lengths - 1 - ids.shape[1])  # from the end, as few are kept
        return ends, following(logits[torch.arange(len(prompts)), last])

    def _read_paths(self, paths: Integers, ids: Integers, lengths: Integers, kept: int) -> Tensor:
        """Reads whole prefixes, padded behind, and keeps what is not kept yet."""
        logits, layers = self._read(None, ids, lengths, kept)
        for place in range(ids.shape[1]):
            rows = np.flatnonzero(lengths > place)
            # Some share a beginning, which is kept once.
            numbers, first = np.unique(paths[rows, place], return_index=True)
            new = ~self._kept.is_kept(numbers)
            if new.any():
                chosen = torch.from_numpy(rows[first[new]])
                at = [(k[chosen, :, place], v[chosen, :, place]) for k, v in layers]
                self._kept.keep(numbers[new], at)
        return logits

    def extend(
        self, prefixes: Integers, tokens: Integers, charge: Charge
    ) -> tuple[Integers, NextTokens]:
        """Reads one token more behind each prefix; see :meth:`TokenTrie.extend`."""
        charge(np.arange(len(prefixes)))
        numbers, answers = [], []
        for some in self._chunks(len(prefixes), int(self._kept.lengths(prefixes).max()) + 1):
            extended = self._extend(prefixes[some], tokens[some])
            numbers.append(extended[0])
            answers.append(extended[1])
        return _joined(numbers, answers)

    def _extend(self, prefixes: Integers, tokens: Integers) -> tuple[Integers, NextTokens]:
        from darkroom.text.targets.networks.kept_cache import kept_cache

        self._remember(prefixes)
        numbers = self._kept.grow(prefixes, tokens)
        self._kept.reserve(numbers)
        slots = self._kept.slots(numbers)
        options: dict[str, Any] = {
            "use_cache": True,
            KEEPS: 1,
            "position_ids": torch.from_numpy(self._kept.lengths(prefixes)[:, None]).to(
                self._network.device
            ),
            self._network.cache_name: kept_cache(self._kept, slots),
        }
        ids, present = torch.from_numpy(tokens[:, None]), torch.from_numpy(slots >= 0)
        logits = logits_of(self._network.forward(ids, present, **options))
        return numbers, following(logits[:, -1])

    def _remember(self, prefixes: Integers) -> None:
        """Makes room, and reads prefixes again that were forgotten to make room before."""
        if self._kept.held_bytes > self._network.memory // 2:
            self._kept.forget()
        lost = self._kept.forgotten(prefixes)
        for start in range(0, len(lost), self._network.batch):
            paths = self._kept.paths(lost[start : start + self._network.batch])
            lengths = (paths >= 0).sum(axis=1)
            behind = np.full_like(paths, -1)
            there = np.arange(paths.shape[1]) < lengths[:, None]
            behind[there] = paths[paths >= 0]
            ids = np.where(there, self._kept.tokens(behind), 0)
            self._read_paths(behind, ids, lengths, 1)

    def _chunks(self, rows: int, length: int, places: int = 1) -> Iterator[slice]:
        """Yields slices of as many rows as go through the model at once.

        Args:
            rows: How many there are.
            length: Tokens of the longest, what is kept of it included.
            places: Of each row that the head is asked about.
        """
        words = int(getattr(self._network.model.config, "vocab_size", 0) or 0)
        # Logits in single and double precision, log-probabilities, keys and values once gathered.
        each = 20 * words * places + self._kept.token_bytes * length
        most = max(1, self._network.memory // 8 // each) if each else self._network.batch
        step = min(self._network.batch, most)
        return (slice(start, start + step) for start in range(0, rows, step))

    def score(self, roots: Integers, first: Floats, endings: Sequence[Tokens]) -> list[Floats]:
        """Returns the log-probability of each token of each ending behind its root.

        Args:
            roots: Prefixes, ``(n,)``.
            first: What may follow each, ``(n, tokens)``.
            endings: The tokens of each ending.

        Raises:
            TargetError: If an ending is empty.
        """
        require_tokens(endings)
        scores: list[Floats] = []
        longest = max(map(len, endings), default=0)
        for rows in self._chunks(
            len(endings), int(self._kept.lengths(roots).max()) + longest, longest
        ):
            self._remember(roots[rows])
            scores += self._score(roots[rows], first[rows], endings[rows])
        return scores

    def _score(self, roots: Integers, first: Floats, endings: Sequence[Tokens]) -> list[Floats]:
        ids, lengths = _padded(endings)
        scores = np.zeros(ids.shape)
        scores[:, 0] = np.take_along_axis(first, ids[:, :1], axis=1)[:, 0]
        if ids.shape[1] > 1:
            places = ids.shape[1] - 1
            logits, _ = self._read(roots, ids[:, :-1], np.maximum(lengths - 1, 1), places)
            told = logprobs_of(logits[:, -places:].flatten(0, 1), ids[:, 1:].ravel())
            scores[:, 1:] = told.reshape(-1, places)
        return [row[:length] for row, length in zip(scores, lengths, strict=True)]

    def _read(
        self, prefixes: Integers | None, ids: Integers, lengths: Integers, kept: int
    ) -> tuple[Tensor, list[Layer]]:
        """Reads tokens behind prefixes.

        Args:
            prefixes: ``(n,)``, or ``None`` for the start.
            ids: ``(n, length)``, padded behind.
            lengths: ``(n,)``.
            kept: How many of the last places' logits are wanted.

        Returns:
            Logits ``(n, kept or more, tokens)``, and keys and values ``(n, heads, length, width)``.
        """
        present = torch.from_numpy(np.arange(ids.shape[1]) < lengths[:, None])
        before = np.zeros(len(ids), np.int64)
        cache = _new_cache()
        if prefixes is not None:
            past = self._kept.past(prefixes)
            for number, (keys, values) in enumerate(past.layers):
                cache.update(keys, values, number)
            present = torch.cat([past.present, present], dim=1)
            before = past.lengths
        positions = torch.from_numpy(before[:, None] + np.arange(ids.shape[1]))
        options: dict[str, Any] = {
            "use_cache": True,
            KEEPS: kept,
            "position_ids": positions.to(self._network.device),
            self._network.cache_name: cache,
        }
        answer = self._network.forward(torch.from_numpy(ids), present, **options)
        length = ids.shape[1]
        layers = [(one.keys[:, :, -length:], one.values[:, :, -length:]) for one in cache.layers]
        return logits_of(answer), layers


def _padded(rows: Sequence[Tokens]) -> tuple[Integers, Integers]:
    """Returns rows of tokens padded behind, int64 ``(n, longest)``, and their lengths."""
    lengths = np.array([len(row) for row in rows])
    ids = np.zeros((len(rows), int(lengths.max())), np.int64)
    for number, row in enumerate(rows):
        ids[number, : len(row)] = row
    return ids, lengths


def _new_cache() -> Any:
    try:
        from transformers import DynamicCache
    except ImportError as error:
        raise MissingExtraError("transformers", "text") from error
    return DynamicCache()


def _joined(numbers: list[Integers], answers: list[NextTokens]) -> tuple[Integers, NextTokens]:
    if len(numbers) == 1:
        return numbers[0], answers[0]
    return np.concatenate(numbers), NextTokens(
        np.concatenate([answer.logprobs for answer in answers]),
        np.concatenate([answer.unseen for answer in answers]),
    )
