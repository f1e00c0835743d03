"""Photos of strangers that an attacker submits first."""

from __future__ import annotations

import numpy as np

from darkroom.verifiers.attacks.base import Knowledge
from darkroom.verifiers.targets.base import Images


def first_probes(knowledge: Knowledge, count: int, rng: np.random.Generator) -> Images:
    """Returns so many photos of strangers, of as many people as there are.

    Args:
        knowledge: What the attacker has.
        count: How many at most.
        rng: Chooses.

    Returns:
        ``(n, channels, height, width)``; maybe none.
    """
    order = rng.permutation(len(knowledge.photos))
    # The first photo of everybody comes before the second of anybody.
    seen: dict[int, int] = {}
    turns = np.empty(len(order), np.int64)
    for place, row in enumerate(order):
        person = int(knowledge.people[row])
        turns[place] = seen[person] = seen.get(person, -1) + 1
    chosen = order[np.argsort(turns, kind="stable")][:count]
    return knowledge.photos[chosen]
