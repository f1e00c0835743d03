"""What every output defence owes: it says what it does, and that is what it does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from darkroom.defenses.base import OutputDefense, normalised
from darkroom.defenses.effects import Effect
from darkroom.defenses.logprobs import LogprobDefense, LogprobNoise, LogprobRounding, TopLogprobs
from darkroom.defenses.noise import Noise
from darkroom.defenses.pipeline import describe
from darkroom.defenses.purifier import Purify
from darkroom.defenses.registry import LOGPROB_DEFENSES, OUTPUT_DEFENSES, TABLE_DEFENSES
from darkroom.defenses.reverse_sigmoid import ReverseSigmoid
from darkroom.defenses.rounding import Rounding
from darkroom.defenses.stealthy_shield import KeyedStealthyShield, StealthyShield
from darkroom.defenses.sticky_noise import StickyNoise
from darkroom.defenses.temperature import Temperature
from darkroom.defenses.top_k import LabelOnly, TopK
from darkroom.defenses.values import ValueNoise, ValueRounding
from darkroom.testing.defenses import (
    SAID,
    Defense,
    answers_nothing_to_nothing,
    answers_probabilities,
    answers_rows_alike,
    answers_to,
    check_output_defense,
    defended,
    does_what_it_says,
    repeats_itself_where_it_says_so,
)

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


@pytest.mark.medium
@every_defence_of_scores
@given(raw=weights)
def test_answers_are_probabilities(defense: OutputDefense, raw: NDArray[np.float64]) -> None:
    answers_probabilities(defense, normalised(raw))


@pytest.mark.medium
@every_defence_of_scores
@given(raw=weights)
def test_a_batch_equals_its_rows(defense: OutputDefense, raw: NDArray[np.float64]) -> None:
    answers_rows_alike(defense, normalised(raw))


@pytest.mark.medium
@every_defence
def test_a_large_batch_equals_its_rows(defense: Defense) -> None:
    """More classes than a part has, more rows than a block, more features than are added up."""
    inputs = np.random.default_rng(3).random((220, 3, 20, 20), dtype=np.float32)
    answers_rows_alike(defense, answers_to(defense, 220, 600, evenness=0.1), inputs)


@pytest.mark.medium
@pytest.mark.parametrize(
    "defense", [one for one in SCORES if not one.effect.changes_label], ids=describe
)
@given(raw=weights)
def test_those_that_say_so_keep_the_label_among_the_winners(
    defense: OutputDefense, raw: NDArray[np.float64]
) -> None:
    scores = normalised(raw)
    answers = defended(defense, scores, np.column_stack([scores, np.sqrt(scores)]))
    winners = answers == answers.max(axis=1, keepdims=True)
    np.testing.assert_array_equal(
        np.take_along_axis(winners, scores.argmax(axis=1)[:, None], axis=1), True
    )


@every_defence
def test_it_answers_the_same_again_where_it_says_so(defense: Defense) -> None:
    repeats_itself_where_it_says_so(defense)


@every_defence
def test_it_does_what_it_says(defense: Defense) -> None:
    answers_nothing_to_nothing(defense)
    does_what_it_says(defense)


def test_everything_that_can_be_said_is_said_by_some() -> None:
    assert all(those_that(says) for says in SAID)


@pytest.mark.medium
@pytest.mark.parametrize(
    "defense", [Rounding(1), StickyNoise(0.05, key=KEY), ValueNoise(2.0), TopLogprobs(3)], ids=repr
)
def test_the_check_that_others_run_passes(defense: Defense) -> None:
    check_output_defense(defense)


@dataclass(frozen=True)
class Liar(OutputDefense):
    """Rounds or mixes, and says something else."""

    name: ClassVar[str] = "liar"

    says: str = ""

    @property
    def effect(self) -> Effect:
        lies: dict[str, Effect] = {
            "nothing": Effect(),
            "noise": Effect(deterministic=False),
            "half": Effect(step=0.05),
            "few": Effect(kept=2),
            "a share": Effect(share=0.5),
            "a cell": Effect(step=0.1, cell=0.5),
            "a curve": Effect(curves=(self,)),
            "drawn": Effect(step=0.1, drawn=True),
            "labels change": Effect(step=0.1, changes_label=True),
        }
        return lies.get(self.says, Effect(step=0.1))

    def undone(self, answers: NDArray[np.float64]) -> NDArray[np.float64]:
        return answers

    def __call__(
        self, scores: NDArray[np.float64], rng: np.random.Generator
    ) -> NDArray[np.float64]:
        if self.says == "in place":
            scores[:] = normalised(np.round(scores, 1))
            return scores
        if self.says == "no sum":
            return np.round(scores, 1)
        if self.says == "rows" and len(scores) > 1:
            return normalised(np.round(scores, 1) + 1e-3)
        if self.says in ("nothing", "a share", "a curve"):
            return normalised(scores + 1 / scores.shape[1])
        return normalised(np.round(scores, 1))


@pytest.mark.medium
@pytest.mark.parametrize(
    ("says", "sentence"),
    [
        ("nothing", "changes scores, and its effect does not say how"),
        ("noise", "says deterministic=False, and is not so"),
        ("half", "for steps of 0.05"),
        ("few", "scores, not 2"),
        ("a share", "mixes in no share of 0.5"),
        ("a cell", "draws the same for inputs far apart"),
        ("a curve", "its curves undone give other scores"),
        ("drawn", "is drawn to no class"),
        ("labels change", "says that it changes labels, and changes none"),
        ("in place", "changes the scores that it is given"),
        ("no sum", "do not sum to one"),
        ("rows", "answers a batch otherwise than its rows"),
    ],
)
def test_a_broken_promise_is_named(says: str, sentence: str) -> None:
    with pytest.raises(AssertionError, match=sentence):
        check_output_defense(Liar(says))


@pytest.mark.medium
def test_an_honest_defence_passes() -> None:
    check_output_defense(Liar())
