from __future__ import annotations

import math

import pytest

from darkroom.text.exposure.discoverable import discoverable, discovery, queries_for


def test_shares_below_the_precision_of_the_plain_formula() -> None:
    assert 1 - (1 - 1e-17) ** 1000 == 0
    assert discoverable(1e-17, 1000) == pytest.approx(1e-14, rel=1e-12)


@pytest.mark.parametrize(("share", "n"), [(0.0, 5), (0.3, 0)])
def test_never(share: float, n: int) -> None:
    assert discoverable(share, n) == 0


def test_always() -> None:
    assert discoverable(1.0, 1) == 1.0
    assert discoverable(1.0, 0) == 0.0


@pytest.mark.parametrize("share", [0.9, 0.1, 1e-3, 1e-9])
def test_as_many_as_needed_and_no_more(share: float) -> None:
    n = int(queries_for(share, 0.5))
    assert discoverable(share, n) >= 0.5
    assert discoverable(share, n - 1) < 0.5


def test_no_number_is_enough_for_what_never_comes() -> None:
    assert queries_for(0.0) == math.inf
    assert queries_for(1.0) == 1.0


def test_the_interval_of_no_hit_is_an_upper_bound() -> None:
    none = discovery(0, 30, 100)
    assert none.estimate == none.low == 0
    assert none.high == pytest.approx(discoverable(0.11570331, 100), rel=1e-6)
