"""Prefixes of a causal language model, whose keys and values are kept, each once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from darkroom.errors import MissingExtraError, TargetError
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
from darkroom.text.targets.networks.plain_trie import tokens_of


class CausalTrie(TokenTrie):
    """Prefixes whose keys and values are kept, each once."""

    def __init__(self, network: Network) -> None:
        """Starts empty.

        Args:
            network: That reads.
        """
        self._network = network
        self._kept = KeyValues()

    def open(self, prompts: Sequence[Prompt], charge: Charge) -> tuple[Integers, NextTokens]:
        """Reads prompts; see :meth:`TokenTrie.open`."""
        charge(np.arange(len(prompts)))
        numbers, answers = [], []
        for start in range(0, len(prompts), self._network.batch):
            opened = self._open(
                [tokens_of(p) for p in prompts[start : start + self._network.batch]]
            )
            numbers.append(opened[0])
            answers.append(opened[1])
        return _joined(numbers, answers)

    def _open(self, prompts: list[Tokens]) -> tuple[Integers, NextTokens]:
        """Reads prompts side by side, padded behind, and keeps what each token was read as."""
        lengths = np.array([len(prompt) for prompt in prompts])
        if not lengths.all():
            raise TargetError(
                f"target {self._network.name}: an empty prompt, and the tokenizer marks no start: "
                "give text before the secret"
            )
        ids = np.zeros((len(prompts), int(lengths.max())), np.int64)
        for row, prompt in enumerate(prompts):
            ids[row, : len(prompt)] = prompt
        # The shortest prompt says how many last places the head is asked for.
        kept = int(lengths.max() - lengths.min()) + 1
        logits, layers = self._read(None, ids, lengths, kept)
        ends = np.full(len(prompts), -1, np.int64)
        for place in range(ids.shape[1]):
            rows = np.flatnonzero(lengths > place)
            at = [(k[rows, :, place], v[rows, :, place]) for k, v in layers]
            ends[rows] = self._kept.add(ends[rows], ids[rows, place], at)
        last = torch.from_numpy(lengths - 1 - ids.shape[1])  # from the end, as few are kept
        return ends, following(logits[torch.arange(len(prompts)), last])

    def extend(
        self, prefixes: Integers, tokens: Integers, charge: Charge
    ) -> tuple[Integers, NextTokens]:
        """Reads one token more behind each prefix; see :meth:`TokenTrie.extend`."""
        charge(np.arange(len(prefixes)))
        numbers, answers = [], []
        for start in range(0, len(prefixes), self._network.batch):
            rows = slice(start, start + self._network.batch)
            one = np.ones(len(prefixes[rows]), np.int64)
            logits, layers = self._read(prefixes[rows], tokens[rows, None], one, 1)
            at = [(k[:, :, -1], v[:, :, -1]) for k, v in layers]
            numbers.append(self._kept.add(prefixes[rows], tokens[rows], at))
            answers.append(following(logits[:, -1]))
        return _joined(numbers, answers)

    def score(self, roots: Integers, first: Floats, endings: Sequence[Tokens]) -> list[Floats]:
        """Returns the log-probability of each token of each ending behind its root.

        Args:
            roots: Prefixes, ``(n,)``.
            first: What may follow each, ``(n, tokens)``.
            endings: The tokens of each ending.

        Raises:
            TargetError: If an ending is empty.
        """
        scores: list[Floats] = []
        for start in range(0, len(endings), self._network.batch):
            rows = slice(start, start + self._network.batch)
            scores += self._score(roots[rows], first[rows], endings[rows])
        return scores

    def _score(self, roots: Integers, first: Floats, endings: Sequence[Tokens]) -> list[Floats]:
        lengths = np.array([len(ending) for ending in endings])
        if not lengths.all():
            raise TargetError("an empty text has no log-probability: give at least one character")
        ids = np.zeros((len(endings), int(lengths.max())), np.int64)
        for row, ending in enumerate(endings):
            ids[row, : len(ending)] = ending
        scores = np.zeros(ids.shape)
        scores[:, 0] = np.take_along_axis(first, ids[:, :1], axis=1)[:, 0]
        if ids.shape[1] > 1:
            places = ids.shape[1] - 1
            logits, _ = self._read(roots, ids[:, :-1], np.maximum(lengths - 1, 1), places)
            told = [
                logprobs_of(one, wanted[1:])
                for one, wanted in zip(logits[:, -places:], ids, strict=True)
            ]
            scores[:, 1:] = np.stack(told)
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
