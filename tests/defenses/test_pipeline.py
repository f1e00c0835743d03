"""Chains of output defences: in order, with what they leave and do together."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from darkroom.access import Access
from darkroom.defenses.base import OutputDefense
from darkroom.defenses.effects import UNCHANGED, Effect
from darkroom.defenses.noise import Noise
from darkroom.defenses.pipeline import Pipeline
from darkroom.defenses.purifier import Purify
from darkroom.defenses.reverse_sigmoid import ReverseSigmoid
from darkroom.defenses.rounding import FEW, Rounding
from darkroom.defenses.sticky_noise import StickyNoise
from darkroom.defenses.temperature import Temperature
from darkroom.defenses.top_k import LabelOnly, TopK


def test_a_pipeline_applies_in_order_and_leaves_the_least() -> None:
    pipeline = Pipeline((Rounding(1), TopK(2)))
    scores = np.array([[0.44, 0.36, 0.2]])
    answers = pipeline(scores, np.random.default_rng(0))
    np.testing.assert_allclose(answers, [[0.5, 0.5, 0]])
    assert pipeline.effect.leaves is Access.TOP_K
    assert pipeline.name == "rounding(decimals=1) + top-k(k=2)"
    assert Pipeline((TopK(2), LabelOnly())).effect.leaves is Access.LABEL
    assert (Pipeline().name, Pipeline().effect) == ("none", UNCHANGED)


class Silent(OutputDefense):
    """A defence from elsewhere that does not say what it does."""

    name = "mine"
    cost = "nothing"

    def __call__(
        self, scores: NDArray[np.float64], rng: np.random.Generator
    ) -> NDArray[np.float64]:
        return scores


def test_what_one_defence_does_a_chain_does() -> None:
    for one in (Rounding(2), Noise(0.1, "laplace"), TopK(3), Temperature(2.0), Purify(0.5)):
        assert Pipeline((one,)).effect == one.effect


def test_effects_of_a_chain_add_up() -> None:
    sticky = StickyNoise(0.4, key=b"k" * 16, cell=2.0)
    chain = Pipeline((Noise(0.3, "laplace"), sticky, Rounding(1), Rounding(2), TopK(5), TopK(3)))
    assert chain.effect == Effect(
        deterministic=False,
        changes_label=True,
        leaves=Access.TOP_K,
        kept=3,
        step=0.1,
        decimals=1,
        deviation=0.5,
        laplace=True,
        cell=2.0,
    )
    assert not chain.effect.exact
    assert Pipeline((TopK(5), TopK(3))).effect.exact


def test_only_what_nothing_comes_after_is_undone() -> None:
    first, last = Temperature(2.0), ReverseSigmoid()
    assert Pipeline((Rounding(3), first, last)).effect.curves == (last, first)
    assert Pipeline((first, Rounding(3), last)).effect.curves == (last,)
    assert Pipeline((first, last, Rounding(3))).effect.curves == ()
    assert Pipeline((first, Silent())).effect.curves == ()
    assert Pipeline((first, Purify(0.5))).effect.share == 0.5
    assert Pipeline((Purify(0.5), first)).effect.share == 0


def test_a_defence_that_says_nothing_is_unknown_and_makes_a_chain_so() -> None:
    effect = Silent().effect
    assert effect == Effect.unknown("mine")
    assert (effect.deterministic, effect.changes_label, effect.exact) == (False, True, False)
    chain = Pipeline((Rounding(2), Silent(), Silent())).effect
    assert (chain.silent, chain.step) == (("mine", "mine"), 0.01)
    assert len(chain.caveats) == 2
    assert "mine does not say what it does" in chain.caveats[0]
    assert UNCHANGED.caveats == ()


@pytest.mark.parametrize("decimals", [0, 1, 2, 3, 15])
def test_a_single_row_is_rounded_to_the_same_bits_as_among_others(decimals: int) -> None:
    rng = np.random.default_rng(decimals)
    for classes in (2, 10, FEW, FEW + 1):
        scores = rng.dirichlet(np.full(classes, 0.3), 50)
        scores[0] = [0.5, 0.5, *[0.0] * (classes - 2)]
        scores[1] = 1 / classes
        together = Rounding(decimals)(scores, rng)
        alone = [Rounding(decimals)(row[None], rng)[0] for row in scores]
        assert together.tobytes() == np.array(alone).tobytes()
