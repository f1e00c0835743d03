"""Texts with a gap, for models that fill masks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

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
from darkroom.text.targets.networks.answers import following
from darkroom.text.targets.networks.network import Network, logits_of


class FillTrie(TokenTrie):
    """Texts with a gap that is filled from left to right; nothing can be kept between them."""

    def __init__(self, network: Network, mask: int) -> None:
        """Starts empty.

        Args:
            network: That fills.
            mask: The token that stands for one to be filled in.
        """
        self._network, self._mask = network, mask
        self._blanks: list[Blank] = []
        self._filled: list[Tokens] = []

    def open(self, prompts: Sequence[Prompt], charge: Charge) -> tuple[Integers, NextTokens]:
        """Takes texts whose gaps are all masks; see :meth:`TokenTrie.open`."""
        charge(np.arange(len(prompts)))
        start = len(self._blanks)
        for prompt in prompts:
            assert isinstance(prompt, Blank)
            self._blanks.append(prompt)
            self._filled.append(())
        numbers = np.arange(start, len(self._blanks))
        return numbers, self._ask(numbers)

    def extend(
        self, prefixes: Integers, tokens: Integers, charge: Charge
    ) -> tuple[Integers, NextTokens]:
        """Fills the first mask of each; see :meth:`TokenTrie.extend`."""
        charge(np.arange(len(prefixes)))
        start = len(self._blanks)
        for prefix, token in zip(prefixes, tokens, strict=True):
            self._blanks.append(self._blanks[prefix])
            self._filled.append((*self._filled[prefix], int(token)))
        numbers = np.arange(start, len(self._blanks))
        return numbers, self._ask(numbers)

    def _ask(self, numbers: Integers) -> NextTokens:
        rows, places = [], []
        for number in numbers:
            blank, filled = self._blanks[number], self._filled[number]
            masks = (self._mask,) * (blank.missing - len(filled))
            rows.append((*blank.before, *filled, *masks, *blank.after))
            places.append(len(blank.before) + min(len(filled), blank.missing - 1))
        return NextTokens(*fill(self._network, rows, places))


def fill(network: Network, rows: Sequence[Tokens], places: Sequence[int]) -> tuple[Floats, Floats]:
    """Asks a model that fills masks about one place of each row.

    Args:
        network: The model.
        rows: Tokens, with marks of the start and the end; rows may differ in length.
        places: The place of each row that is asked about.

    Returns:
        Log-probabilities of all tokens there, ``(n, tokens)``, and that nothing is unseen.
    """
    groups: dict[int, list[int]] = {}
    for number, row in enumerate(rows):
        groups.setdefault(len(row), []).append(number)
    # Rows of one length at a time: some models mind what is padded.
    batches = [
        members[start : start + network.batch]
        for members in groups.values()
        for start in range(0, len(members), network.batch)
    ]
    answers = []
    for some in batches:
        ids = torch.tensor([rows[number] for number in some])
        logits = logits_of(network.forward(ids, torch.ones_like(ids)))
        at = torch.tensor([places[number] for number in some])
        answers.append(following(logits[torch.arange(len(some)), at]))
    order = np.argsort(np.concatenate([np.array(some) for some in batches]))
    return (
        np.concatenate([answer.logprobs for answer in answers])[order],
        np.concatenate([answer.unseen for answer in answers])[order],
    )


def score_masked(
    network: Network,
    mask: int,
    blanks: Sequence[Blank],
    fillings: Sequence[Tokens],
    charge: Charge,
) -> list[Floats]:
    """Returns the pseudo-log-likelihood of each token of each filling (Salazar et al. 2020).

    Each token is masked in turn while all others stand, a row each.

    Args:
        network: A model that fills masks.
        mask: The token that stands for one to be filled in.
        blanks: The tokens before and behind each filling.
        fillings: The tokens to score.
        charge: Is told the position of a filling for each of its tokens.
    """
    rows: list[Tokens] = []
    places, owners, wanted = [], [], []
    for number, (blank, filling) in enumerate(zip(blanks, fillings, strict=True)):
        for place, token in enumerate(filling):
            masked = (*filling[:place], mask, *filling[place + 1 :])
            rows.append((*blank.before, *masked, *blank.after))
            places.append(len(blank.before) + place)
            owners.append(number)
            wanted.append(token)
    charge(np.array(owners, np.int64))
    different = list(dict.fromkeys(zip(rows, places, strict=True)))
    logprobs, _ = fill(network, [row for row, _ in different], [place for _, place in different])
    known = {key: place for place, key in enumerate(different)}
    chosen = [known[key] for key in zip(rows, places, strict=True)]
    values = logprobs[chosen, wanted]
    ends = np.cumsum([len(filling) for filling in fillings])
    return np.split(values, ends[:-1])
