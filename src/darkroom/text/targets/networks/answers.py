"""From a model's logits to what may follow."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from darkroom.errors import TargetError
from darkroom.text.targets.base import Floats, Integers, NextTokens

_LARGE = 16_384
"""Tokens of a vocabulary from which on log-probabilities are computed in single precision: they are
right to about 1e-6, and double precision takes longer than the model itself."""


def following(logits: Tensor) -> NextTokens:
    """Turns logits into log-probabilities.

    Args:
        logits: ``(n, tokens)``.

    Raises:
        TargetError: If a row has values that are not finite.
    """
    return NextTokens(_log_softmax(logits).cpu().numpy(), np.full(len(logits), -np.inf))


def logprobs_of(logits: Tensor, tokens: Integers) -> Floats:
    """Returns the log-probability of one token of each row, float64 ``(n,)``.

    Args:
        logits: ``(n, tokens)``.
        tokens: ``(n,)``.

    Raises:
        TargetError: If a row has values that are not finite.
    """
    chosen = torch.from_numpy(tokens).to(logits.device)[:, None]
    told = _log_softmax(logits).gather(1, chosen)[:, 0]
    return told.double().cpu().numpy()


def _log_softmax(logits: Tensor) -> Tensor:
    if logits.shape[-1] < _LARGE:
        logits = logits.double()
    elif logits.dtype in (torch.bfloat16, torch.float16):
        logits = logits.float()
    most = logits.max(dim=-1).values
    if not torch.isfinite(most).all():
        raise TargetError("the language model returned NaN or infinite values: check its weights")
    return torch.log_softmax(logits, dim=-1)
