"""Whether a model names people better than chance.

All photos of a person tend to get the same answer, also from a model that knows nobody. So chance
is what the same answers would get if the people's names were dealt out anew, and a person counts
once, however many photos there are.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from darkroom.images.checks.sample import Labels
from darkroom.statistics.intervals import Interval, clopper_pearson

_DEALS = 2000
_SURE = 0.01
_WELL = 0.8


class Knowledge(NamedTuple):
    """How often a model names the right person.

    Attributes:
        hits: Photos whose person it names.
        photos: Photos asked about.
        chance: The share that it would name had the names been dealt out anew.
        p_value: The chance of as many hits with names dealt out anew.
    """

    hits: int
    photos: int
    chance: float
    p_value: float

    @property
    def interval(self) -> Interval:
        """The share of photos with its 95% interval."""
        return clopper_pearson(self.hits, self.photos)

    @property
    def sure(self) -> bool:
        """Whether it surely knows its people, better than chance."""
        return self.p_value <= _SURE or self.interval.estimate >= _WELL

    @property
    def none(self) -> bool:
        """Whether it surely knows them little, and perhaps no better than chance."""
        return not self.sure and self.interval.high < max(0.5, self.chance + 0.3)

    def far_above(self, other: Knowledge) -> bool:
        """Tells whether this is surely more than something else, and much more."""
        mine, others = self.interval, other.interval
        return mine.low > others.high and mine.estimate >= others.estimate + 0.2

    def words(self) -> str:
        """Says it in part of a sentence."""
        share = self.interval.estimate
        return f"{self.hits:,} of {self.photos:,} ({share:.0%}; by chance {self.chance:.0%})"


def knowledge(labels: Labels, people: Labels) -> Knowledge:
    """Counts how often the right person is named.

    Args:
        labels: The class named on each photo, ``(n,)``.
        people: The right one, ``(n,)``.
    """
    goals, own = np.unique(people, return_inverse=True)
    named = np.searchsorted(goals, labels).clip(max=len(goals) - 1)
    known = goals[named] == labels
    table = np.zeros((len(goals), len(goals)), np.int64)
    np.add.at(table, (own[known], named[known]), 1)
    rng = np.random.default_rng(0)
    deals = np.argsort(rng.random((_DEALS, len(goals))), axis=1)
    dealt = table[np.arange(len(goals))[None, :], deals].sum(axis=1)
    hits = int(np.trace(table))
    return Knowledge(
        hits,
        len(people),
        chance=float(table.sum()) / len(goals) / len(people),
        p_value=float((1 + (dealt >= hits).sum()) / (1 + _DEALS)),
    )
