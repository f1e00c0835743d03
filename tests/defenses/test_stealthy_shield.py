"""Stealthy Shield Defense against its definition."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from darkroom.defenses.base import normalised
from darkroom.defenses.stealthy_shield import StealthyShield


def divergence(p: NDArray[np.float64], q: NDArray[np.float64]) -> NDArray[np.float64]:
    terms: NDArray[np.float64] = (p * np.log((p + 1e-300) / q)).sum(axis=-1)
    return terms


@pytest.mark.parametrize("classes", [2, 3, 40])
def test_the_shield_finds_the_nearest_answer_in_its_ball(classes: int) -> None:
    """No other answer in the ball comes nearer to the mean: a thousand are tried for each row."""
    rng = np.random.default_rng(classes)
    scores = rng.dirichlet(np.full(classes, 0.6), 20)
    means = normalised(rng.dirichlet(np.full(classes, 0.6), classes) + 1e-4)
    # So cold that the class drawn is the one that wins.
    defense = StealthyShield(0.2, 1e-6, table=means)
    answers = defense(scores, rng)
    toward = means[scores.argmax(axis=1)]
    allowed = 0.2 * -(scores * np.log(scores)).sum(axis=1)
    assert (np.abs(answers - scores).sum(axis=1) <= allowed + 1e-3).all()
    assert (divergence(answers, toward) <= divergence(scores, toward) + 1e-9).all()
    for row, answer in enumerate(answers):
        others = rng.dirichlet(np.ones(classes), 1000) - scores[row]
        reach = np.minimum(1, allowed[row] / np.abs(others).sum(axis=1))
        tried = scores[row] + reach[:, None] * others
        local = answer + 0.01 * rng.standard_normal((1000, classes))
        local -= (local.sum(axis=1, keepdims=True) - 1) / classes
        inside = (local >= 0).all(axis=1) & (np.abs(local - scores[row]).sum(axis=1) < allowed[row])
        tried = np.concatenate([tried, local[inside]])
        assert (divergence(tried, toward[row]) >= divergence(answer, toward[row]) - 1e-3).all()


def test_the_shield_draws_classes_by_the_softmax_of_scores() -> None:
    scores = np.tile([[0.3, 0.45, 0.25]], (40_000, 1))
    # With means that name one class alone and a ball that holds everything, answers tell the draw.
    answers = StealthyShield(9.0, 0.2, table=np.eye(3) + 1e-9)(scores, np.random.default_rng(0))
    weights = np.exp(scores[0] / 0.2)
    drawn = np.bincount(answers.argmax(axis=1), minlength=3) / len(answers)
    np.testing.assert_allclose(drawn, weights / weights.sum(), atol=0.01)
