"""The surrogate attack against people who are points of a prior's latent space."""

from __future__ import annotations

import dataclasses
import itertools
from typing import Any

import numpy as np
import pytest
import torch
from tests.support.latent_people import PEOPLE, SIDE, SPEC, latents, make_prior
from tests.support.latent_people import people as centroids
from torch import Tensor, nn

from darkroom.access import Access
from darkroom.defenses.noise import Noise
from darkroom.defenses.pipeline import Pipeline
from darkroom.errors import PlanError
from darkroom.images.attacks.base import Progress
from darkroom.images.attacks.gradient import GradientAttack
from darkroom.images.attacks.registry import ATTACKS
from darkroom.images.attacks.search.surrogate_models import Ensemble, Features, train
from darkroom.images.attacks.surrogate import SurrogateAttack, _blend, _Search
from darkroom.images.targets.torch import TorchTarget
from darkroom.images.targets.view import View
from darkroom.ledger import Limit, QueryLedger

SMALL = SurrogateAttack(rows=100, units=16, members=2, least_steps=60, epochs=3, steps=30)


class NearestCentroid(nn.Module):
    """Answers minus the squared distance of an image's latents to each person's."""

    def forward(self, images: Tensor) -> Tensor:
        return -torch.cdist(latents(images), centroids()).square()


def make_view(access: Access = Access.LABEL, limit: Limit | None = None, **defense: Any) -> View:
    target = TorchTarget(NearestCentroid(), SPEC.shape)
    return View(target, access, QueryLedger(PEOPLE, limit), **defense)


def run(
    attack: SurrogateAttack = SMALL, view: View | None = None, seed: int = 0
) -> tuple[list[Progress], View]:
    view = view or make_view()
    rng = np.random.default_rng(seed)
    return list(attack.run(view, make_prior(), np.arange(PEOPLE), rng=rng)), view


def likeness(progress: Progress) -> Tensor:
    """The cosine of what was found and of who is meant, ``(people,)``."""
    return torch.cosine_similarity(latents(progress.reconstructions), centroids())


def margin(progress: Progress) -> Tensor:
    """How much farther than who is meant the nearest other person is, squared, ``(people,)``."""
    nearness = NearestCentroid()(torch.from_numpy(progress.reconstructions))
    others = nearness.masked_fill(torch.eye(PEOPLE, dtype=torch.bool), -torch.inf)
    lead: Tensor = nearness.diagonal() - others.amax(dim=1)
    return lead


@pytest.mark.medium
def test_it_comes_near_to_what_the_target_s_own_gradients_find() -> None:
    attack = dataclasses.replace(SMALL, rows=300, first=100, least_steps=300, steps=60)
    answers, view = run(attack)
    end, few = answers[-1], answers[1]
    owner = GradientAttack(steps=60, settle=60)
    white = View(view._target, Access.WEIGHTS, QueryLedger(PEOPLE))
    *_, best = owner.run(white, make_prior(), np.arange(PEOPLE), rng=np.random.default_rng(0))
    assert margin(end).min() > 0.7 * margin(best).min() > 0
    assert margin(end).mean() > 0.8 * margin(best).mean()
    assert few.queries.max() == 10
    assert margin(end).min() > 1.2 * margin(few).min()
    assert likeness(end).mean() > likeness(few).mean() + 0.05


@pytest.mark.medium
def test_progress_at_milestones_with_rows_shared_evenly_and_no_confidence() -> None:
    answers, view = run()
    assert [int(answer.queries.max()) for answer in answers] == [0, 10, 30, 100, 100]
    for answer in answers:
        assert len(set(answer.queries.tolist())) == 1
        assert np.isnan(answer.confidence).all()
    assert view.ledger.total == SMALL.rows * PEOPLE


@pytest.mark.medium
def test_a_seed_decides_everything_and_the_global_state_is_left_alone() -> None:
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    ends = [run(seed=seed)[0][-1].reconstructions for seed in (0, 0, 1)]
    assert torch.equal(torch.rand(3), expected)
    np.testing.assert_array_equal(ends[0], ends[1])
    assert not np.array_equal(ends[0], ends[2])


@pytest.mark.medium
@pytest.mark.parametrize(
    "limit",
    [Limit(per_goal=0), Limit(per_goal=1), Limit(per_goal=47 * PEOPLE), Limit(total=100)],
    ids=str,
)
def test_a_budget_is_kept_and_the_best_so_far_returned(limit: Limit) -> None:
    answers, view = run(view=make_view(limit=limit))
    spent, alone = view.ledger.spent, view.ledger.alone
    assert limit.per_goal is None or alone.max() <= limit.per_goal
    assert limit.total is None or view.ledger.total <= limit.total
    assert answers[-1].queries.tolist() == spent.tolist()
    SPEC.check(answers[-1].reconstructions, "reconstructions")
    if limit.per_goal == 47 * PEOPLE:
        # The draws serve everybody, and count in full for each.
        assert 40 <= spent.max() < SMALL.rows
        assert alone.max() > 3 * spent.max()
        assert likeness(answers[-1]).mean() > 0.5


@pytest.mark.medium
def test_labels_are_all_that_it_asks_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """The surrogates' gradients come from a view of their own, and cost nothing."""
    view = make_view(Access.WEIGHTS)
    refused = ("scores", "top_k", "log_scores")
    for name in refused:
        monkeypatch.setattr(view, name, None)
    run(view=view)
    assert view.ledger.total == SMALL.rows * PEOPLE


def test_a_candidate_replaces_the_best_only_where_the_target_agrees() -> None:
    search = _Search(SMALL, make_view(), make_prior(), np.arange(PEOPLE), np.random.default_rng(0))
    everyone = np.arange(PEOPLE)
    search.candidates = centroids()
    search._verify(everyone, SMALL.probes)
    assert torch.equal(search.best, centroids())
    inside = search.inside.copy()
    # Every other person is somebody else's; one person is barely inside.
    wrong = centroids().roll(1, dims=0)
    wrong[0] = 0.55 * centroids()[0] + 0.45 * centroids()[1]
    search.candidates = wrong
    search._verify(everyone, SMALL.probes)
    assert torch.equal(search.best, centroids())
    assert (search.inside == inside).all()


@pytest.mark.medium
def test_labels_with_fresh_noise_are_asked_again() -> None:
    view = make_view(defense=Pipeline((Noise(deviation=0.3),)))
    answers, _ = run(view=view)
    assert view.ledger.spent.max() <= SMALL.rows
    assert (view.ledger.spent % SMALL.repeats == 0).all()
    assert likeness(answers[-1]).mean() > 0.3
    assert SMALL.adaptation(view) == (
        "Fresh noise can change labels: each image is asked 5 times.",
    )
    assert SMALL.adaptation(make_view()) == ()


def test_blends_keep_a_typical_length() -> None:
    points, noise = torch.ones(2, 500), torch.randn(2, 3, 500)
    shares = torch.tensor([0.0, 0.5, 1.0])[None, :, None]
    blends = _blend(points, noise, shares)
    assert torch.equal(blends[:, 0], noise[:, 0])
    assert torch.equal(blends[:, 2], points)
    assert blends.square().mean(dim=2).sub(1).abs().max() < 0.3


def test_surrogates_learn_labels() -> None:
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(400, 1, SIDE, SIDE, generator=generator)
    labels = (images[:, 0, :, :4].mean(dim=(1, 2)) > images[:, 0, :, 4:].mean(dim=(1, 2))).long()
    features = Features(images)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        ensemble = Ensemble(features, 2, members=3, width=16)
    before = float((ensemble(images).argmax(dim=1) == labels).float().mean())
    train(
        ensemble.members,
        features(images[:300]),
        labels[:300],
        epochs=5,
        least_steps=200,
        generator=generator,
    )
    unseen = float((ensemble(images[300:]).argmax(dim=1) == labels[300:]).float().mean())
    assert unseen > max(0.85, before)


def test_large_images_are_looked_at_small() -> None:
    images = torch.rand(20, 3, 96, 81, generator=torch.Generator().manual_seed(0))
    features = Features(images)
    assert features.square == 3
    assert features(images).shape == (20, features.size)
    # All in one unit: together they vary as much as so many standard normals would.
    assert float(features(images).square().mean()) == pytest.approx(1, rel=0.05)


@pytest.mark.parametrize(
    "wrong",
    [{"rows": 0}, {"near": 1.5}, {"width": 0.0}, {"probes": -1}, {"confidence": 0.0}],
    ids=str,
)
def test_values_that_make_no_search_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(PlanError, match=f"attack surrogate: .*{next(iter(wrong))}"):
        ATTACKS.make("surrogate", wrong)


@pytest.mark.medium
def test_queries_never_fall() -> None:
    answers, _ = run(dataclasses.replace(SMALL, rows=45, first=10, probes=0, near=1.0))
    for earlier, later in itertools.pairwise(answers):
        assert (later.queries >= earlier.queries).all()
    assert answers[-1].queries.max() <= 45
