"""What every output defence owes: it says what it does, and that is what it does."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from darkroom.access import Access
from darkroom.defenses.base import OutputDefense, normalised
from darkroom.defenses.effects import Effect
from darkroom.defenses.logprobs import LogprobDefense, LogprobNoise, LogprobRounding, TopLogprobs
from darkroom.defenses.noise import Noise
from darkroom.defenses.pipeline import Pipeline, describe
from darkroom.defenses.purifier import Purify
from darkroom.defenses.registry import LOGPROB_DEFENSES, OUTPUT_DEFENSES, TABLE_DEFENSES
from darkroom.defenses.reverse_sigmoid import ReverseSigmoid
from darkroom.defenses.rounding import Rounding
from darkroom.defenses.stealthy_shield import KeyedStealthyShield, StealthyShield
from darkroom.defenses.sticky_noise import StickyNoise
from darkroom.defenses.temperature import Temperature
from darkroom.defenses.top_k import LabelOnly, TopK
from darkroom.defenses.values import ValueNoise, ValueRounding

KEY = b"a secret of the tests"

STEEP = ReverseSigmoid(1.0, 3.0)
"""Its curve rises first and cannot be undone: it says nothing rather than something false."""

SCORES: list[OutputDefense] = [
    Rounding(0),
    Rounding(1),
    Rounding(2),
    Rounding(step=0.05),
    Noise(0.0),
    Noise(0.05),
    Noise(3.0, "laplace"),
    StickyNoise(0.05, key=KEY),
    StickyNoise(3.0, "laplace", key=KEY, cell=0.01),
    StickyNoise(exact=True, key=KEY),
    TopK(1),
    TopK(3),
    LabelOnly(),
    Temperature(0.1),
    Temperature(3.0),
    ReverseSigmoid(),
    ReverseSigmoid(0.8, 0.1),
    STEEP,
    Purify(0.7),
    Purify(1.0),
    StealthyShield(0.5),
    StealthyShield(0.05, 2.0),
    KeyedStealthyShield(0.3, key=KEY),
    KeyedStealthyShield(exact=True, key=KEY),
]
VALUES: list[OutputDefense] = [
    ValueRounding(0.5),
    ValueRounding(3.0),
    ValueNoise(0.0),
    ValueNoise(2.0),
]
LOGPROBS: list[LogprobDefense] = [
    LogprobRounding(0.25),
    LogprobRounding(2.0),
    LogprobNoise(0.0),
    LogprobNoise(0.5),
    TopLogprobs(1),
    TopLogprobs(3),
]
Defense = OutputDefense | LogprobDefense
ALL: list[Defense] = [*SCORES, *VALUES, *LOGPROBS]

weights = arrays(
    np.float64,
    st.tuples(st.integers(0, 4), st.integers(2, 7)),
    elements=st.one_of(
        st.just(0.0), st.just(1.0), st.just(5e-324), st.floats(0, 1, allow_subnormal=True)
    ),
)
every_defence = pytest.mark.parametrize("defense", ALL, ids=repr)
every_defence_of_scores = pytest.mark.parametrize("defense", SCORES, ids=describe)


def fit(defense: OutputDefense, classes: int) -> Pipeline:
    """The defence with what it must know of a model that mostly names the right class."""
    answers = normalised(np.eye(classes) + np.random.default_rng(5).random((classes, classes)))
    return Pipeline((defense,)).fitted(answers, np.arange(classes))


def inputs_of(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Something that each row of answers could be about."""
    return np.column_stack([rows, np.sqrt(rows)])


def answers_to(
    defense: Defense, rows: int, classes: int = 6, *, evenness: float = 0.5
) -> NDArray[np.float64]:
    """What a model could answer that the defence is for, ``(rows, classes)``."""
    rng = np.random.default_rng(2)
    if isinstance(defense, LogprobDefense):
        return np.log(rng.dirichlet(np.full(classes, evenness), rows) + 1e-9)
    if defense.numbers:
        return rng.normal(0.0, 30.0, (rows, 1))
    return rng.dirichlet(np.full(classes, evenness), rows)


def defended(
    defense: Defense,
    answers: NDArray[np.float64],
    inputs: NDArray[np.float64] | None = None,
    *,
    seed: int = 1,
) -> NDArray[np.float64]:
    """What leaves; every row is about an input of its own, far from the others, unless told."""
    rng = np.random.default_rng(seed)
    if isinstance(defense, LogprobDefense):
        return defense(answers, rng)
    if inputs is None:
        inputs = 9 * np.random.default_rng(4).random((len(answers), 30))
    return fit(defense, answers.shape[1])(answers, rng, inputs)


def those_that(says: str) -> list[Defense]:
    """The defences in whose effect something is said."""
    return [one for one in ALL if getattr(one.effect, says) != getattr(Effect(), says)]


def test_every_registered_defence_is_tried() -> None:
    assert {type(one) for one in SCORES} == set(OUTPUT_DEFENSES.own.values())
    assert {type(one) for one in (*SCORES, *VALUES)} == set(TABLE_DEFENSES.own.values())
    assert {type(one) for one in LOGPROBS} == set(LOGPROB_DEFENSES.own.values())
    assert all(one.cost for one in (*SCORES, *VALUES))


@every_defence
def test_it_says_what_it_does(defense: Defense) -> None:
    assert bool(defense.effect.silent) == (defense is STEEP)


@every_defence_of_scores
@given(raw=weights)
def test_answers_are_probabilities(defense: OutputDefense, raw: NDArray[np.float64]) -> None:
    given_scores = normalised(raw)
    before = given_scores.copy()
    answers = defended(defense, given_scores, inputs_of(given_scores))
    np.testing.assert_array_equal(given_scores, before)
    assert answers.shape == raw.shape
    assert np.isfinite(answers).all()
    assert (answers >= 0).all()
    np.testing.assert_allclose(answers.sum(axis=1), 1)


@every_defence_of_scores
@given(raw=weights)
def test_a_batch_equals_its_rows(defense: OutputDefense, raw: NDArray[np.float64]) -> None:
    scores, chosen = normalised(raw), fit(defense, raw.shape[1])
    whole = chosen(scores, np.random.default_rng(1), inputs_of(scores))
    rng = np.random.default_rng(1)
    for row, expected in zip(scores, whole, strict=True):
        alone = chosen(row[None], rng, inputs_of(row[None]))
        np.testing.assert_array_equal(alone[0], expected)


@every_defence
def test_a_large_batch_equals_its_rows(defense: Defense) -> None:
    """More classes than a part has, more rows than a block, more features than are added up."""
    answers = answers_to(defense, 500, 300, evenness=0.1)
    inputs = np.random.default_rng(3).random((500, 3, 20, 20), dtype=np.float32)
    fresh = np.random.default_rng(1)
    if isinstance(defense, LogprobDefense):
        alone = [defense(answers[i : i + 1], fresh) for i in range(500)]
        whole = defense(answers, np.random.default_rng(1))
    else:
        chosen = fit(defense, answers.shape[1])
        alone = [chosen(answers[i : i + 1], fresh, inputs[i : i + 1]) for i in range(500)]
        whole = chosen(answers, np.random.default_rng(1), inputs)
    np.testing.assert_array_equal(np.concatenate(alone), whole)


@every_defence
def test_nothing_happens_to_no_rows(defense: Defense) -> None:
    answers = answers_to(defense, 0)
    assert defended(defense, answers).shape == answers.shape


@every_defence
def test_it_answers_the_same_again_where_it_says_so(defense: Defense) -> None:
    answers = answers_to(defense, 40)
    first, again = defended(defense, answers, seed=1), defended(defense, answers, seed=2)
    assert (first == again).all() == defense.effect.deterministic


@pytest.mark.parametrize(
    "defense", [one for one in SCORES if not one.effect.changes_label], ids=describe
)
@given(raw=weights)
def test_those_that_say_so_keep_the_label_among_the_winners(
    defense: OutputDefense, raw: NDArray[np.float64]
) -> None:
    scores = normalised(raw)
    answers = defended(defense, scores, inputs_of(scores))
    winners = answers == answers.max(axis=1, keepdims=True)
    np.testing.assert_array_equal(
        np.take_along_axis(winners, scores.argmax(axis=1)[:, None], axis=1), True
    )


@every_defence
def test_labels_change_where_it_says_so(defense: Defense) -> None:
    answers = answers_to(defense, 2000, 40, evenness=20.0)
    if defense in SCORES:
        # In half of them no class leads by far, and most have hardly any score.
        answers[:1000, 10:] = 1e-9
        answers = normalised(answers)
    same = defended(defense, answers).argmax(axis=1) == answers.argmax(axis=1)
    if defense.effect.silent:
        return
    if defense.effect.changes_label:
        assert not same.all()
    else:
        # Rounding makes ties, of which the first counts.
        kept = defended(defense, answers)
        best = np.take_along_axis(kept, answers.argmax(axis=1)[:, None], axis=1)
        np.testing.assert_array_equal(best[:, 0], kept.max(axis=1))


@every_defence
def test_no_more_is_told_than_it_leaves(defense: Defense) -> None:
    answers = answers_to(defense, 300)
    effect, left = defense.effect, defended(defense, answers)
    hidden = np.isneginf(left) if isinstance(defense, LogprobDefense) else left == 0
    told = (~hidden).sum(axis=1)
    if effect.kept is not None:
        assert told.max() == effect.kept
    elif effect.leaves is Access.LABEL and left.shape[1] > 1:
        assert (left.max(axis=1) == 1).all()
    elif effect.exact or effect.curves or effect.share:
        assert (told == left.shape[1]).all()


@pytest.mark.parametrize("defense", [one for one in ALL if one.effect.exact], ids=repr)
def test_where_it_says_no_more_what_is_told_is_true(defense: Defense) -> None:
    """Up to the sum by which scores are divided."""
    answers = answers_to(defense, 300)
    left = defended(defense, answers)
    if isinstance(defense, LogprobDefense):
        np.testing.assert_array_equal(left[~np.isneginf(left)], answers[~np.isneginf(left)])
    elif defense.effect.leaves is not Access.LABEL:
        np.testing.assert_allclose(left, normalised(np.where(left > 0, answers, 0.0)))


@pytest.mark.parametrize("defense", those_that("step"), ids=repr)
def test_answers_are_multiples_of_the_step(defense: Defense) -> None:
    # Of two classes' scores, whatever they are rounded to adds up to one as before.
    answers = answers_to(defense, 300, 2)
    effect, left = defense.effect, defended(defense, answers)
    steps = left / effect.step
    np.testing.assert_allclose(steps, np.round(steps), atol=1e-6)
    assert np.abs(left - answers).max() <= effect.step / 2 + 1e-12
    if effect.decimals is not None:
        np.testing.assert_allclose(left, np.round(left, effect.decimals), atol=1e-12)


@pytest.mark.parametrize("defense", those_that("deviation"), ids=repr)
def test_noise_has_the_deviation_and_the_kind_that_it_says(defense: Defense) -> None:
    small: Defense = replace(defense, deviation=0.01)  # type: ignore[type-var]
    answers = np.full((20_000, 2), 0.5)
    noise = (defended(small, answers) - answers)[:, 0] / small.effect.deviation
    if defense in SCORES:
        # (1/2 + e) / (1 + e + d) is about 1/2 + (e - d) / 2.
        noise *= np.sqrt(2)
    assert noise.std() == pytest.approx(1, rel=0.05)
    assert noise.mean() == pytest.approx(0, abs=0.05)
    # The fourth moment is 3 of a Gaussian, 4.5 of the difference of two of Laplace's.
    assert (np.mean(noise**4) > 3.75) == defense.effect.laplace


@pytest.mark.parametrize("defense", those_that("cell"), ids=repr)
def test_draws_stick_to_what_it_says(defense: OutputDefense) -> None:
    """To cells that near-duplicates mostly share, or to the exact bytes of an input."""
    rng = np.random.default_rng(0)
    image = rng.random((1, 400))
    near = image + 1e-5 * rng.standard_normal((50, 400))
    far = 2 * rng.random((50, 400))
    scores = np.full((50, 40), 1 / 40)

    def draws(inputs: NDArray[np.float64]) -> int:
        return len(np.unique(defended(defense, scores, inputs), axis=0))

    assert draws(np.repeat(image, 50, axis=0)) == 1
    assert draws(far) > 20
    if defense.effect.cell:
        assert draws(near) <= 2
    else:
        assert draws(near) > 20


@pytest.mark.parametrize("defense", those_that("drawn"), ids=repr)
def test_answers_go_toward_a_class_that_is_drawn(defense: Defense) -> None:
    scores = np.tile([[0.3, 0.3, 0.4]], (400, 1))
    left = np.unique(defended(defense, scores).round(9), axis=0)
    assert len(left) == 3
    assert set((left - scores[:3]).argmax(axis=1).tolist()) == {0, 1, 2}


@pytest.mark.parametrize("defense", those_that("curves"), ids=repr)
def test_a_curve_is_undone(defense: Defense) -> None:
    """Of answers in which one class leads, and no other has a middling score."""
    rng = np.random.default_rng(0)
    others = 10 ** rng.uniform(-7, -2.1, (500, 6))
    scores = np.column_stack([1 - others.sum(axis=1), others])
    for row in scores:
        rng.shuffle(row)
    left = defended(defense, scores)
    assert np.abs(left - scores).max() > 0.01
    for curve in defense.effect.curves:
        left = curve.undone(left)
    np.testing.assert_allclose(left, scores, atol=1e-5)
    np.testing.assert_allclose(np.log(left), np.log(scores), atol=0.05)


@pytest.mark.parametrize("defense", those_that("share"), ids=repr)
def test_a_share_is_the_same_in_all_answers_that_name_a_class(defense: Defense) -> None:
    scores, share = answers_to(defense, 300), defense.effect.share
    mixed = defended(defense, scores) - (1 - share) * scores
    for label in range(scores.shape[1]):
        same = mixed[scores.argmax(axis=1) == label]
        assert same.argmax(axis=1).tolist() == [label] * len(same)
        np.testing.assert_allclose(same, same[:1].repeat(len(same), axis=0), atol=1e-12)
        np.testing.assert_allclose(same.sum(axis=1), share)
