"""The mass of near misses is never more than enumeration shows, and most of it where it counts."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from tests.support.tiny_language import KINDS, causal, memoriser

from darkroom.ledger import QueryLedger
from darkroom.text.attacks.base import Places
from darkroom.text.exposure.measure import path_surprises
from darkroom.text.exposure.near import NearPlace, near_goal, near_masses
from darkroom.text.formats.near import Near
from darkroom.text.formats.secrets import SecretFormat
from darkroom.text.targets.base import LanguageTarget
from darkroom.text.targets.view import LanguageView


def distance(one: str, other: str) -> int:
    """Levenshtein's, by the plain recursion."""
    row = list(range(len(other) + 1))
    for place, letter in enumerate(one, 1):
        former, row[0] = row[0], place
        for column, own in enumerate(other, 1):
            former, row[column] = (
                row[column],
                min(row[column] + 1, row[column - 1] + 1, former + (own != letter)),
            )
    return row[-1]


@pytest.mark.medium
@settings(max_examples=25, deadline=None)
@given(
    text=st.text("01é", min_size=1, max_size=3),
    most=st.integers(0, 2),
    same_length=st.booleans(),
)
def test_the_automaton_holds_what_is_near_and_nothing_else(
    text: str, most: int, same_length: bool
) -> None:
    assume(len(text) + most < 5)  # all strings that are longer by ``most`` are enumerated
    near = Near(text=text, distance=most, same_length=same_length)
    found = SecretFormat(near)
    members = {found.at(index) for index in range(found.size)}
    lengths = [len(text)] if same_length else range(len(text) + most + 1)
    every = ("".join(some) for n in lengths for some in itertools.product(near.alphabet, repeat=n))
    if same_length:
        wanted = {one for one in every if sum(map(str.__ne__, one, text)) <= most}
    else:
        wanted = {one for one in every if distance(one, text) <= most}
    assert members == wanted - {""} | ({""} & members)


def enumerated(target: LanguageTarget, place: NearPlace, most: int) -> float:
    """The probabilities of all that is near, one by one."""
    goal = near_goal(place, most)
    every = [goal.secrets.at(index) for index in range(goal.secrets.size)]
    view = LanguageView(target, target.access, QueryLedger(1))
    spot = Places(view).of(goal, every[:64])
    return float(np.exp2(-path_surprises(target, [spot], [every])[0]).sum())


@pytest.mark.medium
def test_the_mass_is_a_lower_bound_and_most_of_what_is_known_by_heart() -> None:
    known = memoriser()
    one = known.canaries.inserted[0]
    place = NearPlace(one.before, one.after, one.secret)
    (bound,) = near_masses(known.target, [place], distance=1, rows=60)
    whole = enumerated(known.target, place, 1)
    assert whole / 2 <= bound <= whole * (1 + 1e-9)


@pytest.mark.parametrize("after", [".", "", " and"])
def test_more_rows_find_more_and_never_too_much(after: str) -> None:
    target = causal(KINDS[0])
    place = NearPlace("The code is ", after, "42")
    masses = [near_masses(target, [place], rows=rows)[0] for rows in (1, 20, 400)]
    assert masses == sorted(masses)
    assert masses[-1] <= enumerated(target, place, 1) * (1 + 1e-9)


@pytest.mark.medium
def test_no_secret_is_no_mass() -> None:
    assert near_masses(memoriser().target, []) == []
