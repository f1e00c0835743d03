"""What an attacker without the model gets: draws from the prior, put before the same judges."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from darkroom.statistics.intervals import Interval, clopper_pearson, difference_of
from darkroom.vision.judges.panel import Judgement
from darkroom.vision.priors.base import ImagePrior

DRAWS = 1000
"""Draws from a prior: by them chance is known far better than success is from a few people."""

CHUNK = 250

_PROCESSOR = torch.device("cpu")


def draws(
    prior: ImagePrior, seed: int, device: torch.device = _PROCESSOR
) -> Iterator[NDArray[np.float32]]:
    """Draws images from a prior, in chunks; a single one if it always draws the same.

    Args:
        prior: Is drawn from.
        seed: For the draws.
        device: Where they are decoded.

    Yields:
        ``(n, channels, height, width)`` in the target's range.
    """
    latents = prior.draw(DRAWS, torch.Generator().manual_seed(seed))
    if bool((latents == latents[0]).all()):
        latents = latents[:1]
    there = prior.to(device)
    for part in torch.split(latents, CHUNK):
        with torch.no_grad():
            yield there.decode(part.to(device)).cpu().numpy()


class Baseline(NamedTuple):
    """How often a guess without the model is right.

    Attributes:
        share: The share of goals, with its 95% interval.
        draws: How many draws that is known from; 1 where the prior always draws the same.
    """

    share: Interval
    draws: int


class Guesses(NamedTuple):
    """What an attacker without the model gets.

    Attributes:
        baseline: How often a guess is right.
        log_ranks: The expected log2 of each goal's rank among strangers, ``(goals,)``; ``None``
            where nobody is ranked.
    """

    baseline: Baseline
    log_ranks: NDArray[np.float64] | None


def baseline(judged: Judgement, goals: NDArray[np.int64]) -> Baseline:
    """Returns how often one draw a goal is right, from many draws, each tried for every goal.

    A draw is named as one person at most, so the rate is the share of draws that are named as
    anybody, divided by the number of goals.

    Args:
        judged: The draws, as the panel judges them.
        goals: The people under attack, ``(goals,)``.
    """
    count = len(judged.plausible)
    named = int(sum(judged.names(np.full(count, goal)).sum() for goal in goals))
    share = named / count / len(goals)
    if count == 1:
        return Baseline(Interval(share, share, share), 1)
    anybody = clopper_pearson(named, count)
    return Baseline(Interval(share, anybody.low / len(goals), anybody.high / len(goals)), count)


def advantage(success: Interval, without: Interval) -> Interval:
    """Returns success less baseline, in [-1, 1]; see :func:`.difference_of`."""
    found = difference_of(success, without)
    return Interval(found.estimate, max(-1.0, found.low), min(1.0, found.high))
