"""The regression on models that are linear, so that it must be exact."""

from __future__ import annotations

import torch

from darkroom.images.attacks.search.regression import RIVALS, LogisticRegression, LogScoreRegression

GENERATOR = torch.Generator().manual_seed(0)


def learn(
    weights: torch.Tensor, goals: list[int], generations: int, *, offset: float = 0.0
) -> LogScoreRegression:
    """Shows a regression generations of a linear softmax, ``weights`` ``(dimensions, classes)``."""
    regression = LogScoreRegression(torch.tensor(goals), len(weights))
    for generation in range(generations):
        points = torch.randn(len(goals), 10, len(weights), generator=GENERATOR)
        logs = (points @ weights).log_softmax(dim=2) + offset * generation
        regression.add(torch.arange(len(goals)), points, logs)
    return regression


def test_a_linear_softmax_is_learned() -> None:
    weights = torch.randn(12, 5, generator=GENERATOR)
    regression = learn(weights, [3, 0], 40)
    here = torch.randn(2, 12, generator=GENERATOR)
    found = regression.slopes(torch.arange(2)).uphill(here)
    logits = here @ weights
    for row, goal in enumerate([3, 0]):
        # The normaliser is the same for all classes, so leads are linear and logits say who leads.
        rival = int(logits[row].index_fill(0, torch.tensor(goal), -torch.inf).argmax())
        expected = weights[:, rival] - weights[:, goal]
        assert float(torch.cosine_similarity(found[row], expected, dim=0)) > 0.98


def test_what_a_generation_has_in_common_does_not_matter() -> None:
    weights = torch.randn(6, 4, generator=GENERATOR)
    points = torch.zeros(1, 6)
    GENERATOR.manual_seed(1)
    plain = learn(weights, [2], 8).slopes(torch.arange(1)).uphill(points)
    GENERATOR.manual_seed(1)
    shifted = learn(weights, [2], 8, offset=7.0).slopes(torch.arange(1)).uphill(points)
    torch.testing.assert_close(plain, shifted, atol=1e-3, rtol=1e-3)


def test_searches_that_ended_learn_no_more() -> None:
    weights = torch.randn(6, 4, generator=GENERATOR)
    regression = learn(weights, [2, 1], 3)
    before = regression.slopes(torch.arange(2)).uphill(torch.zeros(2, 6))
    points = torch.randn(1, 10, 6, generator=GENERATOR)
    regression.add(torch.tensor([1]), points, (points @ -weights).log_softmax(dim=2))
    after = regression.slopes(torch.arange(2)).uphill(torch.zeros(2, 6))
    torch.testing.assert_close(before[0], after[0])
    assert not torch.allclose(before[1], after[1])


def test_what_a_search_learns_does_not_hang_on_others() -> None:
    weights, goals = torch.randn(6, 5, generator=GENERATOR), torch.tensor([0, 1, 2])
    # One of them looks about ten times as far.
    points = torch.randn(3, 4, 6, generator=GENERATOR) * torch.tensor([1.0, 1.0, 10.0]).view(
        3, 1, 1
    )
    logs = (points @ weights).log_softmax(dim=2)
    together, apart = LogScoreRegression(goals, 6), LogScoreRegression(goals[:2], 6)
    together.add(torch.arange(3), points, logs)
    apart.add(torch.arange(2), points[:2], logs[:2])
    here = torch.randn(2, 6, generator=GENERATOR)
    found = [one.slopes(torch.arange(2)).uphill(here) for one in (together, apart)]
    torch.testing.assert_close(*found, rtol=1e-5, atol=1e-6)


def test_of_many_classes_the_strongest_are_followed() -> None:
    weights = 0.1 * torch.randn(4, RIVALS + 30, generator=GENERATOR)
    regression = LogScoreRegression(torch.tensor([5]), 4)
    points = torch.randn(1, 8, 4, generator=GENERATOR)
    bias = torch.arange(RIVALS + 30, 0, -1).float()
    regression.add(torch.tensor([0]), points, (points @ weights + bias).log_softmax(dim=2))
    found = regression.slopes(torch.tensor([0])).uphill(torch.zeros(1, 4))
    assert found.shape == (1, 4)


def test_rounded_scores_of_a_linear_softmax_are_learned_by_the_logistic_model() -> None:
    weights = 3 * torch.randn(12, 5, generator=GENERATOR)
    goals = torch.tensor([3, 0])
    logistic = LogisticRegression(goals, 12, floor=0.005)
    straight = LogScoreRegression(goals, 12)
    everyone = torch.arange(2)
    for _ in range(40):
        points = torch.randn(2, 10, 12, generator=GENERATOR)
        logs = ((points @ weights).softmax(dim=2).mul(100).round() / 100 + 0.005).log()
        for regression in (logistic, straight):
            regression.add(everyone, points, logs)
            regression.slopes(everyone)
    here = torch.randn(200, 2, 12, generator=GENERATOR)
    logits = (here @ weights).scatter(2, goals.expand(200, 2)[:, :, None], -torch.inf)
    expected = weights.T[logits.argmax(dim=2)] - weights.T[goals]
    alike = [
        torch.cosine_similarity(
            torch.stack([regression.slopes(everyone).uphill(points) for points in here]),
            expected,
            dim=2,
        ).mean()
        for regression in (logistic, straight)
    ]
    assert alike[0] > 0.8
    assert alike[0] > alike[1] + 0.05
