from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, ttest_ind

from darkroom.errors import DataError
from darkroom.text.exposure.bits import (
    exact,
    extrapolated,
    gained,
    inserted_against_controls,
    sampled,
)

REFERENCES = np.random.RandomState(0).normal(30, 3, 1000)


@pytest.mark.parametrize(
    ("secrets", "expected"),
    [([0, 0.1], [4, 4]), ([20], [-0.0874628412503391]), ([3.5], [2.0])],
)
def test_sampled_equals_tf_privacy(secrets: list[float], expected: list[float]) -> None:
    answer = sampled(np.array(secrets, float), np.arange(1.0, 17.0))
    np.testing.assert_allclose(answer.exposure, expected, atol=1e-9, rtol=0)


def test_sampled_counts_ties_against_the_secret_as_tf_privacy_does() -> None:
    answer = sampled(np.array([1.0]), np.array([1.0] * 4 + [2.0] * 4))
    np.testing.assert_allclose(answer.exposure, [0.6780719051126377], atol=1e-9, rtol=0)


def test_both_equal_tf_privacy_on_a_normal_sample_in_input_order() -> None:
    fitted = extrapolated(np.array([28.0, 20.0]), REFERENCES)
    shape = (0.578208351462205, 28.574194430908523, 3.2299063184571675)
    np.testing.assert_allclose(fitted.shape, shape, atol=1e-9, rtol=0)
    expected = [1.9134249372385916, 11.443050268466058]
    np.testing.assert_allclose(fitted.exposure, expected, atol=1e-9, rtol=0)
    ranked = sampled(np.array([28.0, 20.0]), REFERENCES)
    expected = [1.9050883529745324, 9.965784284662087]
    np.testing.assert_allclose(ranked.exposure, expected, atol=1e-9, rtol=0)


def test_the_lower_bound_of_the_best_of_many_is_below_the_estimate() -> None:
    answer = sampled(np.array([-1.0]), np.arange(65_536.0))
    assert answer.exposure[0] == 16.0
    assert answer.low[0] == pytest.approx(14.42, abs=0.005)


@given(st.integers(0, 40), st.integers(1, 40))
def test_the_lower_bound_is_clopper_and_pearsons(below: int, above: int) -> None:
    references = np.concatenate([np.zeros(below), np.full(above, 2.0)])
    low = sampled(np.array([1.0]), references).low[0]
    assert binom.cdf(below, below + above, 2.0**-low) == pytest.approx(0.05, abs=1e-9)


def test_a_secret_behind_every_reference_has_no_exposure_for_sure() -> None:
    assert sampled(np.array([9.0]), np.arange(5.0)).low.tolist() == [0.0]


def test_exact() -> None:
    assert exact(1, 10**9) == pytest.approx(29.897352854)
    assert exact(4, 2**200) == 198.0
    for rank in (0, 11):
        with pytest.raises(ValueError, match="between 1 and 10"):
            exact(rank, 10)


def test_the_fit_is_tested_on_references_that_it_did_not_see() -> None:
    rng = np.random.default_rng(0)
    assert extrapolated(np.array([20.0]), rng.normal(30, 3, 2000)).fit > 0.05
    two_humps = np.concatenate([rng.normal(0, 1, 1000), rng.normal(30, 1, 1000)])
    assert extrapolated(np.array([20.0]), rng.permutation(two_humps)).fit < 0.001


def test_a_tail_beyond_the_smallest_number_is_never_undefined() -> None:
    assert extrapolated(np.array([-2000.0]), REFERENCES).exposure.tolist() == [np.inf]


def test_inserted_against_controls() -> None:
    rng = np.random.default_rng(0)
    controls = -np.log2(rng.random(40))
    assert inserted_against_controls(controls[:20] + 5, controls[20:]) < 1e-4
    assert inserted_against_controls(controls[:20], controls[20:]) > 0.05


def test_bits_gained_over_secrets_that_were_held_out() -> None:
    inserted, controls = np.array([20.0, 18.0, 19.0]), np.array([1.0, 2.0, 0.0, 1.0])
    estimate, low, high = gained(inserted, controls, 20.0)
    assert estimate == 18.0
    expected = ttest_ind(inserted, controls, equal_var=False).confidence_interval(0.95)
    assert low == pytest.approx(expected.low)
    assert high == pytest.approx(min(expected.high, 20.0))
    assert gained(np.array([20.0]), controls, 20.0)[1] < 0, "one secret may be chance"


def test_intervals_of_bits_hold_where_nothing_is_known() -> None:
    rng = np.random.default_rng(0)
    missed = 0
    for _ in range(1000):
        exposures = -np.log2(rng.random(24))
        _, low, high = gained(exposures[:12], exposures[12:], 20.0)
        missed += not low <= 0 <= high
    assert missed <= 65


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_surprises_that_are_no_numbers_are_refused(bad: float) -> None:
    with pytest.raises(DataError, match="finite"):
        sampled(np.array([1.0]), np.array([1.0, bad]))
    with pytest.raises(DataError, match="finite"):
        extrapolated(np.array([bad]), REFERENCES)


def test_too_few_references_are_refused() -> None:
    with pytest.raises(DataError, match="no references"):
        sampled(np.array([1.0]), np.array([]))
    for references in (np.arange(5.0), np.ones(50)):
        with pytest.raises(DataError, match="differ"):
            extrapolated(np.array([1.0]), references)
