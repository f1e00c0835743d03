import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.proportion import confint_proportions_2indep, proportion_confint

from darkroom.statistics.intervals import clopper_pearson, newcombe, wilson


@st.composite
def counts(draw: st.DrawFn) -> tuple[int, int]:
    n = draw(st.integers(1, 500))
    return draw(st.integers(0, n)), n


levels = st.sampled_from([0.8, 0.9, 0.95, 0.99])


@given(counts(), levels)
def test_clopper_pearson_equals_statsmodels(sample: tuple[int, int], level: float) -> None:
    hits, n = sample
    interval = clopper_pearson(hits, n, level)
    low, high = proportion_confint(hits, n, alpha=1 - level, method="beta")
    assert interval == pytest.approx((hits / n, low, high), abs=1e-9)
    assert 0 <= interval.low <= interval.estimate <= interval.high <= 1


@given(counts(), counts(), levels)
def test_newcombe_equals_statsmodels(a: tuple[int, int], b: tuple[int, int], level: float) -> None:
    interval = newcombe(*a, *b, level)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it divides by zero for figures that it does not return
        low, high = confint_proportions_2indep(*a, *b, method="newcomb", alpha=1 - level)
    assert interval[1:] == pytest.approx((low, high), abs=1e-9)
    assert -1 <= interval.low <= interval.estimate <= interval.high <= 1


@given(counts(), counts())
def test_newcombe_is_antisymmetric(a: tuple[int, int], b: tuple[int, int]) -> None:
    there, back = newcombe(*a, *b), newcombe(*b, *a)
    assert there == pytest.approx((-back.estimate, -back.high, -back.low), abs=1e-12)


@given(counts())
def test_wilson_equals_statsmodels(sample: tuple[int, int]) -> None:
    hits, n = sample
    low, high = proportion_confint(hits, n, method="wilson")
    assert wilson(hits, n) == pytest.approx((hits / n, low, high), abs=1e-9)
    assert wilson(hits, n) == wilson(hits, n, 0.95)


def test_newcombe_gives_the_published_example() -> None:
    assert newcombe(56, 70, 48, 80) == pytest.approx((0.2, 0.0524, 0.3339), abs=5e-5)


def test_no_hit_is_an_upper_bound() -> None:
    assert clopper_pearson(0, 30) == pytest.approx((0, 0, 0.1157), abs=5e-5)
    assert clopper_pearson(0, 30, 0.9).high == pytest.approx(0.095, abs=5e-4)
    assert clopper_pearson(30, 30).high == 1


def test_clopper_pearson_covers_at_least_its_level() -> None:
    hits = np.random.default_rng(0).binomial(25, 0.07, 2000)
    intervals = {int(count): clopper_pearson(int(count), 25) for count in np.unique(hits)}
    covered = [intervals[int(count)].low <= 0.07 <= intervals[int(count)].high for count in hits]
    assert np.mean(covered) >= 0.95


@pytest.mark.parametrize(
    ("hits", "n", "level"),
    [(0, 0, 0.95), (3, 2, 0.95), (-1, 2, 0.95), (1, 2, 1.0), (1, 2, 95), (1, 2, 0.0)],
)
def test_impossible_counts_are_refused(hits: int, n: int, level: float) -> None:
    with pytest.raises(ValueError, match="give"):
        clopper_pearson(hits, n, level)
    with pytest.raises(ValueError, match="give"):
        newcombe(1, 2, hits, n, level)
