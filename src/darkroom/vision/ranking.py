"""Ranks of the right people among strangers, and what they come to as a record."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from darkroom.auditing.record import SIGNIFICANCE, Bits
from darkroom.vision.judges.gallery import Gallery
from darkroom.vision.judges.images import Images
from darkroom.vision.judges.ranks import (
    Floats,
    Ranks,
    alone,
    bits_gained,
    log_rank_right,
    rank_right,
)
from darkroom.vision.record import Ranking
from darkroom.vision.words import ranked_together

FEWEST_STRANGERS = 10
"""Strangers among whom a rank says something of how far a person is narrowed down."""


class Ranked(NamedTuple):
    """What ranks come to.

    Attributes:
        ranks: For each person.
        alone: The adjusted p-value that each would have who alone was known by heart.
        bits: How far the people are narrowed down; ``None`` with too few strangers.
        record: What the report shows.
    """

    ranks: Ranks
    alone: tuple[float, ...]
    bits: Bits | None
    record: Ranking


def rank_people(
    gallery: Gallery | None,
    images: Images,
    by_heart: Floats | None,
    guessed: Floats | None,
    seed: int,
) -> Ranked | None:
    """Ranks the right person of each reconstruction among strangers.

    Args:
        gallery: The people; ``None`` if there is none.
        images: The reconstructions, in the order of the goals, in [0, 1].
        by_heart: How much what a model that knew everybody by heart would give resembles each of
            the people, ``(goals, goals + strangers)``.
        guessed: The expected log2 of each goal's rank without the model, ``(goals,)``.
        seed: The run's.
    """
    if gallery is None or by_heart is None or guessed is None:
        return None
    likeness = gallery.likeness(images)
    ranks = rank_right(likeness, np.random.default_rng([seed, 5]))
    real = gallery.likeness_of_photos()
    enough = gallery.strangers >= FEWEST_STRANGERS
    of_photos = None
    if real is not None and enough:
        of_photos = float((guessed - log_rank_right(real)).mean())
    record = Ranking(
        strangers=gallery.strangers,
        photos=gallery.photos,
        first=float((ranks.rank == 1).mean()),
        first_ten=float((ranks.rank <= 10).mean()),
        guessed=float(np.log2(gallery.strangers + 1) - guessed.mean()),
        of_photos=of_photos,
        p_together=ranks.p_together,
        sentence=ranked_together(len(ranks.rank), gallery.strangers, ranks.p_together),
    )
    shuffles = np.random.default_rng([seed, 7])
    exposed = ranks.p_adjusted < SIGNIFICANCE
    standing = tuple(alone(likeness, by_heart, exposed, shuffles).tolist())
    bits = _bits(ranks.log_rank, guessed) if enough else None
    return Ranked(ranks, standing, bits, record)


def bits_of(gallery: Gallery | None, images: Images, guessed: Floats | None) -> float | None:
    """Returns how many bits images gain over guesses, on average; arguments as above."""
    if gallery is None or guessed is None or gallery.strangers < FEWEST_STRANGERS:
        return None
    return float((guessed - log_rank_right(gallery.likeness(images))).mean())


def _bits(log_rank: Floats, guessed: Floats) -> Bits:
    found = bits_gained(log_rank, guessed)
    return Bits(estimate=found.estimate, low=found.low, high=found.high, most=guessed.mean())
