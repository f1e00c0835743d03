"""Output defences answer probabilities, whatever they are given."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from darkroom.access import Access
from darkroom.defenses.outputs import (
    LabelOnly,
    Noise,
    OutputDefense,
    Pipeline,
    Rounding,
    TopK,
    make_defense,
    normalised,
)
from darkroom.errors import PlanError

DEFENSES: list[OutputDefense] = [
    Rounding(0),
    Rounding(1),
    Rounding(2),
    Noise(0.05),
    Noise(3.0, "laplace"),
    TopK(1),
    TopK(3),
    LabelOnly(),
]

weights = arrays(
    np.float64,
    st.tuples(st.integers(0, 4), st.integers(2, 7)),
    elements=st.one_of(
        st.just(0.0), st.just(1.0), st.just(5e-324), st.floats(0, 1, allow_subnormal=True)
    ),
)


@pytest.mark.parametrize("defense", DEFENSES, ids=repr)
@given(raw=weights)
def test_answers_are_probabilities(defense: OutputDefense, raw: NDArray[np.float64]) -> None:
    answers = defense(normalised(raw), np.random.default_rng(0))
    assert answers.shape == raw.shape
    assert np.isfinite(answers).all()
    assert (answers >= 0).all()
    np.testing.assert_allclose(answers.sum(axis=1), 1)


@pytest.mark.parametrize("defense", DEFENSES, ids=repr)
@given(raw=weights)
def test_a_batch_equals_its_rows(defense: OutputDefense, raw: NDArray[np.float64]) -> None:
    scores = normalised(raw)
    whole = defense(scores, np.random.default_rng(1))
    rng = np.random.default_rng(1)
    for row, expected in zip(scores, whole, strict=True):
        np.testing.assert_array_equal(defense(row[None], rng)[0], expected)


@pytest.mark.parametrize("defense", [one for one in DEFENSES if not one.changes_label], ids=repr)
@given(raw=weights)
def test_those_that_say_so_keep_the_label_among_the_winners(
    defense: OutputDefense, raw: NDArray[np.float64]
) -> None:
    scores = normalised(raw)
    answers = defense(scores, np.random.default_rng(0))
    winners = answers == answers.max(axis=1, keepdims=True)
    np.testing.assert_array_equal(
        np.take_along_axis(winners, scores.argmax(axis=1)[:, None], axis=1), True
    )


def test_known_answers() -> None:
    rng = np.random.default_rng(0)
    scores = np.array([[0.5, 0.26, 0.24]])
    np.testing.assert_allclose(Rounding(1)(scores, rng), [[0.5, 0.3, 0.2]])
    np.testing.assert_allclose(TopK(2)(scores, rng), [[0.5 / 0.76, 0.26 / 0.76, 0]])
    np.testing.assert_allclose(LabelOnly()(scores, rng), [[1, 0, 0]])
    assert Noise(0.0)(scores, rng).tolist() == scores.tolist()


def test_noise_has_the_deviation_it_says() -> None:
    scores = np.full((20_000, 2), 0.5)
    for kind in ("gaussian", "laplace"):
        first = Noise(0.01, kind)(scores, np.random.default_rng(3))[:, 0]
        # (1/2 + e) / (1 + e + d) is about 1/2 + (e - d) / 2.
        assert first.std() == pytest.approx(0.01 / np.sqrt(2), rel=0.05)


def test_a_pipeline_applies_in_order_and_leaves_the_least() -> None:
    pipeline = Pipeline((Rounding(1), TopK(2)))
    scores = np.array([[0.44, 0.36, 0.2]])
    answers = pipeline(scores, np.random.default_rng(0))
    np.testing.assert_allclose(answers, [[0.5, 0.5, 0]])
    assert pipeline.leaves is Access.TOP_K
    assert pipeline.name == "rounding(decimals=1) + top-k(k=2)"
    assert Pipeline((TopK(2), LabelOnly())).leaves is Access.LABEL
    assert (Pipeline().name, Pipeline().leaves) == ("none", Access.SCORES)


@pytest.mark.parametrize(
    ("name", "parameters", "message"),
    [
        ("roundin", {}, "did you mean 'rounding'"),
        ("rounding", {"digits": 2}, "no parameter 'digits'"),
        ("rounding", {"decimals": -1}, "0 or more"),
        ("rounding", {"decimals": "many"}, "got 'many'"),
        ("noise", {"deviation": -1}, "0 or more"),
        ("noise", {"kind": "pink"}, "gaussian or laplace"),
        ("top-k", {"k": 0}, "1 or more"),
    ],
)
def test_wrong_words_are_one_line(name: str, parameters: dict[str, object], message: str) -> None:
    with pytest.raises(PlanError, match=message) as caught:
        make_defense(name, parameters)
    assert "\n" not in str(caught.value)
