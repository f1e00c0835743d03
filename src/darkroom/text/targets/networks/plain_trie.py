"""Prefixes that are read anew each time, as ``transformers`` reads a whole line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from darkroom.errors import TargetError
from darkroom.text.targets.base import (
    Blank,
    Charge,
    Floats,
    Integers,
    NextTokens,
    Prompt,
    Tokens,
    TokenTrie,
)
from darkroom.text.targets.codec import NO_TOKEN
from darkroom.text.targets.networks.answers import following, logprobs_of
from darkroom.text.targets.networks.network import KEEPS, Network, logits_of

_SOURCES = 1024
"""So many texts are kept as the encoder read them."""


class PlainTrie(TokenTrie):
    """Prefixes of a model whose keys and values cannot be kept, or that has none.

    Rows of one length are read together, so that nothing is padded.
    """

    def __init__(self, network: Network, *, together: bool = True) -> None:
        """Starts empty.

        Args:
            network: That reads.
            together: Whether several rows are read at a time; some models answer otherwise then.
        """
        self._network = network
        self._batch = network.batch if together else 1
        self._paths: list[Tokens] = []
        self._sources: dict[Tokens, Tensor] = {}

    def open(self, prompts: Sequence[Prompt], charge: Charge) -> tuple[Integers, NextTokens]:
        """Reads prompts; see :meth:`TokenTrie.open`."""
        charge(np.arange(len(prompts)))
        return self._grown(begun(prompts, self._network.name))

    def extend(
        self, prefixes: Integers, tokens: Integers, charge: Charge
    ) -> tuple[Integers, NextTokens]:
        """Reads each prefix again with one token more; see :meth:`TokenTrie.extend`."""
        charge(np.arange(len(prefixes)))
        pairs = zip(prefixes.tolist(), tokens.tolist(), strict=True)
        return self._grown([(*self._paths[prefix], token) for prefix, token in pairs])

    def score(self, roots: Integers, first: Floats, endings: Sequence[Tokens]) -> list[Floats]:
        """Returns the log-probability of each token of each ending behind its root.

        Args:
            roots: Prefixes, ``(n,)``.
            first: What may follow each, ``(n, tokens)``.
            endings: The tokens of each ending.

        Raises:
            TargetError: If an ending is empty.
        """
        del first  # it is read again with the rest
        require_tokens(endings)
        paired = zip(roots.tolist(), endings, strict=True)
        rows = [self._paths[root] + ending[:-1] for root, ending in paired]
        logits = self.logits(rows, [len(ending) for ending in endings])
        return [
            logprobs_of(one, np.array(ending)) for one, ending in zip(logits, endings, strict=True)
        ]

    def _grown(self, paths: Sequence[Tokens]) -> tuple[Integers, NextTokens]:
        start = len(self._paths)
        self._paths += paths
        logits = self.logits(paths, [1] * len(paths))
        return np.arange(start, len(self._paths)), following(torch.cat(logits))

    def logits(self, rows: Sequence[Tokens], kept: Sequence[int]) -> list[Tensor]:
        """Returns the logits of the last places of each row, ``(kept, tokens)`` each.

        Args:
            rows: Whole prefixes.
            kept: How many of the last places of each are wanted.
        """
        both = [parted(row) for row in rows]
        groups: dict[tuple[int, int], list[int]] = {}
        for number, (source, written) in enumerate(both):
            groups.setdefault((len(source), len(written)), []).append(number)
        answers: dict[int, Tensor] = {}
        for members in groups.values():
            for start in range(0, len(members), self._batch):
                some = members[start : start + self._batch]
                most = max(kept[number] for number in some)
                read = self._read([both[number] for number in some], most)
                for row, number in enumerate(some):
                    answers[number] = read[row, -kept[number] :]
        return [answers[number] for number in range(len(rows))]

    def _read(self, rows: Sequence[tuple[Tokens, Tokens]], kept: int) -> Tensor:
        """Reads rows of one length."""
        ids = torch.tensor([written for _, written in rows])
        options: dict[str, Any] = {"use_cache": False, KEEPS: kept}
        if self._network.encodes:
            states = self._encoded([source for source, _ in rows])
            return logits_of(self._network.decode(states, ids, **options))
        return logits_of(self._network.forward(ids, torch.ones_like(ids), **options))

    def _encoded(self, sources: Sequence[Tokens]) -> Tensor:
        """Returns what the encoder makes of texts of one length; each is read once."""
        if len(self._sources) > _SOURCES:
            self._sources.clear()
        new = [source for source in dict.fromkeys(sources) if source not in self._sources]
        for start in range(0, len(new), self._batch):
            some = new[start : start + self._batch]
            states = self._network.encode(torch.tensor(some))
            self._sources.update(zip(some, states, strict=True))
        return torch.stack([self._sources[source] for source in sources])


def parted(row: Tokens) -> tuple[Tokens, Tokens]:
    """Returns what the encoder reads, if there is one, and the rest."""
    if NO_TOKEN not in row:
        return (), row
    place = row.index(NO_TOKEN)
    return row[:place], row[place + 1 :]


def begun(prompts: Sequence[Prompt], name: str) -> list[Tokens]:
    """Returns the tokens that prefixes begin with.

    Args:
        prompts: Of tokens.
        name: What messages call the model.

    Raises:
        TargetError: If one is empty.
    """
    rows: list[Tokens] = []
    for prompt in prompts:
        assert isinstance(prompt, tuple)
        assert not isinstance(prompt, Blank)
        if not prompt:
            raise TargetError(
                f"target {name}: an empty prompt, and the tokenizer marks no start: give text "
                "before the secret"
            )
        rows.append(prompt)
    return rows


def require_tokens(endings: Sequence[Tokens]) -> None:
    """Refuses endings without a token.

    Raises:
        TargetError: As above.
    """
    if not all(endings):
        raise TargetError("an empty text has no log-probability: give at least one character")
