"""Everything that this package brings passes the checks that Darkroom's own parts pass."""

from __future__ import annotations

from inversion_extras.random_search import RandomSearch
from inversion_extras.smoothing import Smoothing

from darkroom.testing.defenses import check_output_defense
from darkroom.testing.images.attacks import check_attack


def test_random_search() -> None:
    """Two hundred rows are enough for the small model of the check."""
    check_attack(RandomSearch(rows=200))


def test_smoothing() -> None:
    """What its effect says is measured."""
    check_output_defense(Smoothing(0.3))
