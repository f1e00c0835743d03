"""What one access level allows of another."""

from __future__ import annotations

import itertools

import pytest

from darkroom.access import Access

FALLING = [Access.WEIGHTS, Access.SCORES, Access.TOP_K, Access.LABEL]


def test_the_order_names_every_level() -> None:
    assert set(FALLING) == set(Access)
    assert [level.rank for level in FALLING] == [3, 2, 1, 0]


@pytest.mark.parametrize(("more", "less"), list(itertools.combinations(FALLING, 2)))
def test_more_includes_less_and_not_the_other_way_round(more: Access, less: Access) -> None:
    assert more.includes(less)
    assert not less.includes(more)


@pytest.mark.parametrize("level", FALLING)
def test_each_level_includes_itself(level: Access) -> None:
    assert level.includes(level)


def test_levels_are_the_words_of_plans() -> None:
    assert [str(level) for level in FALLING] == ["weights", "scores", "top_k", "label"]
