"""How often a model must be asked before it writes a secret down.

(n, p)-discoverable extraction (Hayes et al. 2024): a secret that one continuation contains with
probability p_z is in at least one of n with probability 1-(1-p_z)^n.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from darkroom.statistics.intervals import clopper_pearson


def discoverable(share: float, n: int) -> float:
    """Returns the probability that n continuations contain the secret at least once.

    Args:
        share: The probability that one does, however small; the plain formula gives 0 below 1e-16.
        n: How many.

    >>> round(discoverable(1e-20, 10**6) * 1e14, 9)
    1.0
    """
    if share >= 1:
        return 1.0 if n else 0.0
    return -math.expm1(n * math.log1p(-share))


def queries_for(share: float, probability: float = 0.5) -> float:
    """Returns how many continuations contain the secret with a given probability; inf for never.

    >>> queries_for(0.5, 0.75)
    2.0
    """
    if share <= 0:
        return math.inf
    if share >= 1:
        return 1.0
    return float(math.ceil(round(math.log1p(-probability) / math.log1p(-share), 9)))


class Discovery(NamedTuple):
    """The probability of extraction within n continuations, with its interval.

    Attributes:
        estimate: The probability.
        low: The lower end at 95%.
        high: The upper end.
    """

    estimate: float
    low: float
    high: float


def discovery(hits: int, drawn: int, n: int, level: float = 0.95) -> Discovery:
    """Estimates from continuations how discoverable a secret is, exactly.

    Args:
        hits: Continuations that contained it.
        drawn: Continuations in all.
        n: Continuations that the attacker may draw.
        level: The interval's confidence.
    """
    share = clopper_pearson(hits, drawn, level)
    return Discovery(*(discoverable(rate, n) for rate in share))
