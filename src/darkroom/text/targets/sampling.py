"""Drawing tokens at random."""

from __future__ import annotations

import numpy as np

from darkroom.text.targets.base import Floats, Integers, Sampling


def draw(logprobs: Floats, sampling: Sampling, rng: np.random.Generator) -> Integers:
    """Draws a token from each row.

    Args:
        logprobs: ``(n, tokens)``.
        sampling: How.
        rng: The source of randomness.
    """
    tempered = temper(logprobs, sampling)
    # The largest of the log-probabilities with Gumbel noise is a draw from them.
    drawn: Integers = (tempered + rng.gumbel(size=tempered.shape)).argmax(axis=1)
    return drawn


def temper(logprobs: Floats, sampling: Sampling) -> Floats:
    """Returns the log-probabilities of the tokens that are drawn.

    Args:
        logprobs: Of the model, ``(..., tokens)``.
        sampling: How tokens are drawn.
    """
    if sampling.temperature == 0:
        best = logprobs.argmax(axis=-1, keepdims=True)
        greedy = np.full_like(logprobs, -np.inf)
        np.put_along_axis(greedy, best, 0.0, axis=-1)
        return greedy
    scaled = logprobs / sampling.temperature
    if 0 < sampling.top_k < logprobs.shape[-1]:
        least = np.partition(scaled, -sampling.top_k, axis=-1)[..., [-sampling.top_k]]
        scaled = np.where(scaled >= least, scaled, -np.inf)
    scaled = scaled - scaled.max(axis=-1, keepdims=True)
    answer: Floats = scaled - np.log(np.exp(scaled).sum(axis=-1, keepdims=True))
    return answer
