"""How probably a model writes a secret, or something that is nearly it.

The mass of near misses is found as in "Estimating near-verbatim extraction risk in language models
with decoding-constrained beam search" (Cooper et al. 2026, arXiv:2603.24917): continuations within
an edit distance of the secret are searched for, and the probabilities of those found add up to a
lower bound.

Differences from the paper: the distance is counted in characters instead of tokens; a best-first
queue over the automaton of all strings within the distance, the likeliest first, takes the place of
a beam with pruning; the model samples at temperature 1 from its whole vocabulary instead of from
the likeliest tokens; of each string only the tokenizer's own tokens count. Two strings of which one
begins the other would be counted twice, so that the longer one is left out.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from darkroom.ledger import QueryLedger
from darkroom.text.attacks.base import Found, SecretGoal
from darkroom.text.attacks.best_first import BestFirst
from darkroom.text.formats.near import Near
from darkroom.text.formats.secrets import SecretFormat
from darkroom.text.targets.base import LanguageTarget
from darkroom.text.targets.view import LanguageView

MOST_FOUND = 4096
"""Strings whose probabilities are added up, at most."""

_BEHIND = 16
"""Characters behind a secret that a token may hold together with its end."""


class NearPlace(NamedTuple):
    """A secret in its place.

    Attributes:
        before: The text before it.
        after: The text behind it.
        secret: The secret.
    """

    before: str
    after: str
    secret: str


def near_goal(place: NearPlace, distance: int) -> SecretGoal:
    """Returns the search for all that is nearly a secret.

    Args:
        place: The secret in its place; without a text behind it, characters are changed alone,
            for nothing would tell where a shorter string ends.
        distance: The most characters that differ.
    """
    near = Near(text=place.secret, distance=distance, same_length=not place.after)
    return SecretGoal(place.before, place.after, SecretFormat(near))


def near_masses(
    target: LanguageTarget, places: Sequence[NearPlace], *, distance: int = 1, rows: int = 100
) -> list[float]:
    """Returns how probably one continuation is a secret or nearly it, at least.

    Args:
        target: The model; it must tell log-probabilities.
        places: The secrets.
        distance: The most characters that differ.
        rows: The most rows to spend on each; none of them is an attacker's.

    Raises:
        TargetError: If the tokenizer cannot spell what is near.
    """
    if not places:
        return []
    view = LanguageView(target, target.access, QueryLedger(len(places)))
    goals = [near_goal(place, distance) for place in places]
    attack = BestFirst(wanted=MOST_FOUND, rows=rows)
    *_, last = attack.run(view, goals, rng=np.random.default_rng(0))
    return [_sum(found, goal) for found, goal in zip(last.found, goals, strict=True)]


def _sum(found: Found, goal: SecretGoal) -> float:
    """Adds up the probabilities of strings of which none begins another."""
    whole = {one.secret + goal.end for one in found.guesses}
    kept = []
    for one in found.guesses:
        own = one.secret + goal.end
        text = own if not goal.end else one.secret + goal.after[:_BEHIND]
        begun = (text[:count] for count in range(1, len(text)))
        if not any(start in whole and start != own for start in begun):
            kept.append(one.surprise)
    return min(1.0, math.fsum(2.0**-surprise for surprise in kept))
