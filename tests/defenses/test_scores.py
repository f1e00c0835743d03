"""Known answers of defences that have formulae."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from darkroom.defenses.base import normalised
from darkroom.defenses.noise import Noise
from darkroom.defenses.pipeline import describe
from darkroom.defenses.purifier import Centred, Purify
from darkroom.defenses.registry import OUTPUT_DEFENSES
from darkroom.defenses.reverse_sigmoid import ReverseSigmoid
from darkroom.defenses.rounding import Rounding
from darkroom.defenses.top_k import LabelOnly, TopK
from darkroom.errors import PlanError


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


def test_rounding_to_steps() -> None:
    scores = np.array([[0.52, 0.27, 0.21]])
    np.testing.assert_allclose(
        Rounding(step=0.25)(scores, np.random.default_rng(0)), [[0.5, 0.25, 0.25]]
    )
    assert describe(Rounding(step=0.25)) == "rounding(step=0.25)"


def test_reverse_sigmoid_follows_the_paper() -> None:
    """Against the formula written out, with the inverse of the sigmoid that the paper uses."""
    y = np.array([[0.6, 0.3, 0.1]])
    inverse = np.log(y / (1 - y))
    expected = y - 0.4 * (1 / (1 + np.exp(-0.3 * inverse)) - 0.5)
    answers = ReverseSigmoid(0.4, 0.3)(y, np.random.default_rng(0))
    np.testing.assert_allclose(answers, expected / expected.sum())


def test_purify_shrinks_toward_the_mean_of_the_class_named() -> None:
    means = np.array([[0.9, 0.1], [0.2, 0.8]])
    answers = Purify(0.5, table=means)(np.array([[0.6, 0.4], [0.0, 1.0]]), np.random.default_rng(0))
    np.testing.assert_allclose(answers, [[0.75, 0.25], [0.1, 0.9]])


def test_class_means_come_from_answers_or_from_a_file(tmp_path: Path) -> None:
    scores = np.array([[0.6, 0.4]])
    with pytest.raises(PlanError, match="mean answers of 2 classes"):
        Purify()(scores, np.random.default_rng(0))
    np.save(tmp_path / "means.npy", [[3.0, 1.0], [0.0, 1.0]])
    read = OUTPUT_DEFENSES.make("purify", {"means": "means.npy", "share": 1.0}).prepared(tmp_path)
    np.testing.assert_allclose(read(scores, np.random.default_rng(0)), [[0.75, 0.25]], atol=1e-5)
    assert isinstance(read, Centred)
    assert read.fitted(scores, np.array([1])) is read
    assert read.decisive()["means"] != "means.npy"
    np.save(tmp_path / "means.npy", np.ones((2, 3)))
    with pytest.raises(PlanError, match="square"):
        OUTPUT_DEFENSES.make("purify", {"means": "means.npy"}).prepared(tmp_path)


@pytest.mark.parametrize("k", [1, 5, 20, 60])
def test_top_k_of_many_classes_with_ties(k: int) -> None:
    """However they are found, the largest are those of a stable sort."""
    scores = normalised(np.random.default_rng(k).integers(0, 5, (30, 60)).astype(np.float64))
    kept = TopK(k)(scores, np.random.default_rng(0)) > 0
    expected = np.zeros_like(kept)
    order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    np.put_along_axis(expected, order, True, axis=1)
    np.testing.assert_array_equal(kept, expected & (scores > 0))
