"""Everything that this package brings passes the checks that Darkroom's own parts pass."""

from __future__ import annotations

from inversion_extras.random_search import RandomSearch

from darkroom.testing.images import check_attack


def test_random_search() -> None:
    """Two hundred rows are enough for the small model of the check."""
    check_attack(RandomSearch(rows=200))
