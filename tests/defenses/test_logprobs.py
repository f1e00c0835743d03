from __future__ import annotations

import numpy as np
import pytest

from darkroom.defenses.logprobs import LogprobNoise, LogprobRounding, TopLogprobs
from darkroom.defenses.registry import LOGPROB_DEFENSES
from darkroom.errors import PlanError

ROWS = np.log(np.array([[0.5, 0.3, 0.15, 0.05], [0.05, 0.05, 0.1, 0.8]]))


def test_noise_has_the_deviation_that_it_says() -> None:
    rows = np.zeros((20_000, 3))
    noisy = LogprobNoise(0.7)(rows, np.random.default_rng(0))
    assert noisy.std() == pytest.approx(0.7, rel=0.02)
    assert abs(noisy.mean()) < 0.02


def test_rounding_goes_to_the_nearest_step() -> None:
    rounded = LogprobRounding(0.5)(ROWS, np.random.default_rng(0))
    np.testing.assert_allclose(rounded * 2, np.round(rounded * 2))
    assert (np.abs(rounded - ROWS) <= 0.25 + 1e-12).all()
    assert (rounded <= 0).all()


def test_top_shows_the_largest_alone() -> None:
    shown = TopLogprobs(2)(ROWS, np.random.default_rng(0))
    assert np.isfinite(shown).sum(axis=1).tolist() == [2, 2]
    np.testing.assert_array_equal(TopLogprobs(4)(ROWS, np.random.default_rng(0)), ROWS)


@pytest.mark.parametrize(
    ("name", "parameters", "why"),
    [
        ("logprob-noise", {"deviation": -1.0}, "0 or more"),
        ("logprob-noise", {"deviation": float("inf")}, "0 or more"),
        ("logprob-rounding", {"step": 0.0}, "above 0"),
        ("top-logprobs", {"k": 0}, "1 or more"),
        ("rounding", {}, "logprob-rounding"),
        ("top-logprobs", {"n": 3}, "no parameter"),
    ],
)
def test_words_that_make_no_defence(name: str, parameters: dict[str, object], why: str) -> None:
    with pytest.raises(PlanError, match=why):
        LOGPROB_DEFENSES.make(name, parameters)
