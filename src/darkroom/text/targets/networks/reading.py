"""How a causal model is read: with keys and values kept where that changes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from darkroom.errors import TargetError
from darkroom.text.targets.base import Tokens, free
from darkroom.text.targets.codec import NO_TOKEN
from darkroom.text.targets.networks.causal_trie import CausalTrie
from darkroom.text.targets.networks.network import Network
from darkroom.text.targets.networks.plain_trie import PlainTrie, parted

Way = Literal["kept", "anew", "alone"]

_STEPS = 3
"""Tokens that are read one by one behind prompts of different lengths."""


class Reading(NamedTuple):
    """How prefixes are read, the fastest way that answers as ``transformers`` does on whole lines.

    Attributes:
        way: With keys and values ``kept``; ``anew``, rows of one length together; or each row
            ``alone``.
        why: Why it is not the fastest way, in words.
    """

    way: Way
    why: str = ""

    def describe(self) -> str:
        """Says it in a sentence."""
        how = {
            "kept": "Keys and values are kept.",
            "anew": "Every prefix is read anew, which is slower",
            "alone": "Every prefix is read anew and alone, which is much slower",
        }[self.way]
        return f"{how}: {self.why}." if self.why else how

    def trie(self, network: Network) -> CausalTrie | PlainTrie:
        """Returns an empty trie that reads so."""
        if self.way == "kept":
            return CausalTrie(network)
        return PlainTrie(network, together=self.way == "anew")


def choose_reading(network: Network, lines: Sequence[Tokens]) -> Reading:
    """Tries the ways of reading on a few lines, and returns the fastest right one.

    Args:
        network: A model that continues text.
        lines: At least two of different lengths, of more than four tokens; with what the encoder
            reads before them, if there is one.

    Raises:
        TargetError: If the model cannot read them at all, or looks at tokens behind the place that
            it is asked about.
    """
    alone = PlainTrie(network, together=False)
    truth = [alone.logits([line], [_STEPS + 1])[0] for line in lines]
    near = _tolerance(truth)
    if not _agree(truth, [alone.logits([line], [_STEPS + 1])[0] for line in lines], near):
        return Reading("alone", "this model answers otherwise when asked the same again")
    _require_causal(network, alone, lines, truth, near)
    if getattr(network.model.config, "expert_capacity", None):
        # Few lines would not show it.
        return Reading("alone", "each of its experts takes a limited number of words at once")
    same = _of_one_length(lines)
    apart = [alone.logits([line], [1])[0] for line in same]
    together = PlainTrie(network).logits(same, [1] * len(same))
    if not _agree(apart, together, near):
        return Reading("alone", "this model answers otherwise when it reads other rows beside one")
    if network.encodes:
        return Reading("anew", "what a decoder keeps depends on what its encoder read")
    try:
        kept = _kept(network, lines)
    except (TargetError, AttributeError, RuntimeError, TypeError, ValueError, IndexError):
        return Reading("anew", "this architecture keeps something else than keys and values")
    if not _agree(truth, kept, near):
        return Reading("anew", "with keys and values kept, this model answers otherwise")
    return Reading("kept")


def _of_one_length(lines: Sequence[Tokens]) -> list[Tokens]:
    """Cuts what an encoder reads, and the rest, to what is there in all lines."""
    both = [parted(line) for line in lines]
    source, written = (min(len(pair[side]) for pair in both) for side in (0, 1))
    if not source:
        return [line[:written] for _, line in both]
    return [(*read[:source], NO_TOKEN, *line[:written]) for read, line in both]


def _kept(network: Network, lines: Sequence[Tokens]) -> list[Tensor]:
    """Reads all lines side by side, the last tokens one by one with what was kept."""
    trie = CausalTrie(network)
    prefixes, answers = trie.open([line[:-_STEPS] for line in lines], free())
    told = [answers.logprobs]
    for step in range(_STEPS, 0, -1):
        tokens = np.array([line[-step] for line in lines], np.int64)
        prefixes, answers = trie.extend(prefixes, tokens, free())
        told.append(answers.logprobs)
    return [torch.from_numpy(one) for one in np.stack(told, axis=1)]


def _require_causal(
    network: Network,
    alone: PlainTrie,
    lines: Sequence[Tokens],
    truth: Sequence[Tensor],
    near: float,
) -> None:
    """Refuses a model whose answers at a place change with the tokens behind it.

    Raises:
        TargetError: As above.
    """
    cut = [alone.logits([line[:-1]], [1])[0] for line in lines]
    if not _agree(cut, [one[-2:-1] for one in truth], near):
        raise TargetError(
            f"target {network.name}: {type(network.model).__name__} looks at the words behind the "
            "place that it is asked about, so it does not continue text: set is_decoder in its "
            "config.json if it was trained to, or give the folder of the model that fills masks"
        )


def _tolerance(logits: Sequence[Tensor]) -> float:
    """Returns by how much log-probabilities may differ through arithmetic alone."""
    largest = max(1.0, *(float(one.abs().max()) for one in logits))
    kind = logits[0].dtype
    times = 4 if kind in (torch.bfloat16, torch.float16) else 100
    return times * torch.finfo(kind).eps * largest


def _agree(some: Sequence[Tensor], others: Sequence[Tensor], near: float) -> bool:
    """Tells whether two sets of logits say the same of every token."""
    pairs = zip(some, others, strict=True)
    return all(
        bool(
            (one.double().log_softmax(-1).cpu() - other.double().log_softmax(-1).cpu())
            .abs()
            .nan_to_num(0.0)
            .max()
            <= near
        )
        for one, other in pairs
    )
