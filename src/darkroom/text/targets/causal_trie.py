"""Prefixes of a causal language model, whose keys and values are kept, each once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from darkroom.errors import MissingExtraError, TargetError
from darkroom.text.targets.base import (
    Blank,
    Charge,
    Floats,
    Integers,
    NextTokens,
    Prompt,
    Tokens,
    TokenTrie,
    next_tokens,
)
from darkroom.text.targets.key_values import KeyValues, Layer
from darkroom.text.targets.network import Network


class CausalTrie(TokenTrie):
    """Prefixes whose keys and values are kept, each once."""

    def __init__(self, network: Network) -> None:
        """Starts empty.

        Args:
            network: That reads.
        """
        self._network = network
        self._kept = KeyValues()
        self._cached = network.cached

    def open(self, prompts: Sequence[Prompt], charge: Charge) -> tuple[Integers, NextTokens]:
        """Reads prompts; see :meth:`TokenTrie.open`."""
        charge(np.arange(len(prompts)))
        numbers, answers = [], []
        for start in range(0, len(prompts), self._network.batch):
            opened = self._open([_tokens(p) for p in prompts[start : start + self._network.batch]])
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
        logits, layers = self._read(None, ids, lengths)
        ends = np.full(len(prompts), -1, np.int64)
        for place in range(ids.shape[1]):
            rows = np.flatnonzero(lengths > place)
            at = (
                None
                if layers is None
                else [(k[rows, :, place], v[rows, :, place]) for k, v in layers]
            )
            ends[rows] = self._kept.add(ends[rows], ids[rows, place], at)
        last = logits[torch.arange(len(prompts)), torch.from_numpy(lengths - 1)]
        return ends, next_tokens(as_numpy(last))

    def extend(
        self, prefixes: Integers, tokens: Integers, charge: Charge
    ) -> tuple[Integers, NextTokens]:
        """Reads one token more behind each prefix; see :meth:`TokenTrie.extend`."""
        charge(np.arange(len(prefixes)))
        numbers, answers = [], []
        for start in range(0, len(prefixes), self._network.batch):
            rows = slice(start, start + self._network.batch)
            one = np.ones(len(prefixes[rows]), np.int64)
            logits, layers = self._read(prefixes[rows], tokens[rows, None], one)
            at = None if layers is None else [(k[:, :, -1], v[:, :, -1]) for k, v in layers]
            numbers.append(self._kept.add(prefixes[rows], tokens[rows], at))
            answers.append(next_tokens(as_numpy(logits[:, -1])))
        return _joined(numbers, answers)

    def score(self, roots: Integers, first: Floats, endings: Sequence[Tokens]) -> list[Floats]:
        """Returns the log-probability of each token of each ending behind its root.

        Args:
            roots: Prefixes, ``(n,)``.
            first: What may follow each, ``(n, tokens)``.
            endings: The tokens of each ending.
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
            logits, _ = self._read(roots, ids[:, :-1], np.maximum(lengths - 1, 1))
            flat = as_numpy(logits[:, -(ids.shape[1] - 1) :]).reshape(-1, logits.shape[-1])
            following = next_tokens(flat).logprobs
            chosen = np.take_along_axis(following, ids[:, 1:].reshape(-1, 1), axis=1)
            scores[:, 1:] = chosen.reshape(len(endings), -1)
        return [row[:length] for row, length in zip(scores, lengths, strict=True)]

    def _read(
        self, prefixes: Integers | None, ids: Integers, lengths: Integers
    ) -> tuple[Tensor, list[Layer] | None]:
        """Reads tokens behind prefixes.

        Args:
            prefixes: ``(n,)``, or ``None`` for the start.
            ids: ``(n, length)``, padded behind.
            lengths: ``(n,)``.

        Returns:
            Logits ``(n, length, tokens)``, and keys and values ``(n, heads, length, width)``, or
            ``None`` where none are kept.
        """
        if prefixes is not None and not self._cached:
            return self._read_anew(prefixes, ids, lengths), None
        present = torch.from_numpy(np.arange(ids.shape[1]) < lengths[:, None])
        options: dict[str, Any] = {"use_cache": self._cached}
        before = np.zeros(len(ids), np.int64)
        if self._cached:
            cache = _new_cache()
            if prefixes is not None:
                past = self._kept.past(prefixes)
                for number, (keys, values) in enumerate(past.layers):
                    cache.update(keys, values, number)
                present = torch.cat([past.present, present], dim=1)
                before = past.lengths
            options[self._network.cache_name] = cache
        if self._network.takes_positions:
            positions = before[:, None] + np.arange(ids.shape[1])
            options["position_ids"] = torch.from_numpy(positions).to(self._network.device)
        answer = self._network.forward(torch.from_numpy(ids), present, **options)
        if not self._cached:
            return answer.logits, None
        length = ids.shape[1]
        layers = [(one.keys[:, :, -length:], one.values[:, :, -length:]) for one in cache.layers]
        return answer.logits, layers

    def _read_anew(self, prefixes: Integers, ids: Integers, lengths: Integers) -> Tensor:
        """Reads whole prefixes again, without anything kept."""
        before, long = self._kept.tokens(prefixes)
        whole = np.zeros((len(ids), before.shape[1] + ids.shape[1]), np.int64)
        whole[:, : before.shape[1]] = before
        for place in range(ids.shape[1]):
            np.put_along_axis(whole, (long + place)[:, None], ids[:, place : place + 1], axis=1)
        present = np.arange(whole.shape[1]) < (long + lengths)[:, None]
        answer = self._network.forward(
            torch.from_numpy(whole), torch.from_numpy(present), use_cache=False
        )
        places = torch.from_numpy(long[:, None] + np.arange(ids.shape[1]))
        logits: Tensor = answer.logits[torch.arange(len(ids))[:, None], places]
        return logits


def _new_cache() -> Any:
    try:
        from transformers import DynamicCache
    except ImportError as error:
        raise MissingExtraError("transformers", "text") from error
    return DynamicCache()


def _tokens(prompt: Prompt) -> Tokens:
    assert isinstance(prompt, tuple)
    assert not isinstance(prompt, Blank)
    return prompt


def as_numpy(tensor: Tensor) -> NDArray[np.floating]:
    """Returns a tensor as an array, in a precision that NumPy has."""
    if tensor.dtype in (torch.bfloat16, torch.float16):
        tensor = tensor.float()
    answer: NDArray[np.floating] = tensor.cpu().numpy()
    return answer


def _joined(numbers: list[Integers], answers: list[NextTokens]) -> tuple[Integers, NextTokens]:
    return np.concatenate(numbers), NextTokens(
        np.concatenate([answer.logprobs for answer in answers]),
        np.concatenate([answer.unseen for answer in answers]),
    )
