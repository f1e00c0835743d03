"""The distillation attack against models that are linear, that are not, and that know nothing."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch
from tests.support.latent_people import (
    DIMENSIONS,
    PEOPLE,
    SIDE,
    SPEC,
    latents,
    make_prior,
    people,
)
from torch import Tensor, nn

from darkroom.access import Access
from darkroom.defenses.base import OutputDefense
from darkroom.defenses.noise import Noise
from darkroom.defenses.pipeline import Pipeline
from darkroom.defenses.rounding import Rounding
from darkroom.defenses.top_k import TopK
from darkroom.errors import PlanError
from darkroom.images.attacks.base import Attack, Progress
from darkroom.images.attacks.distillation import DistillationAttack
from darkroom.images.attacks.evolution import EvolutionAttack
from darkroom.images.attacks.gradient import GradientAttack
from darkroom.images.attacks.registry import ATTACKS
from darkroom.images.attacks.search.copies import Copy
from darkroom.images.attacks.search.surrogate_models import Features
from darkroom.images.targets.torch import TorchTarget
from darkroom.images.targets.view import View
from darkroom.ledger import Limit, QueryLedger

SMALL = DistillationAttack(rows=20, shared=60, units=8, epochs=1, least_steps=20, steps=40)


class Softmax(nn.Module):
    """A softmax regression: each person's logit is how far an image goes toward them."""

    def forward(self, images: Tensor) -> Tensor:
        return latents(images) @ people().T


class Folded(nn.Module):
    """Answers an image as it does the one opposite, which no linear model does."""

    def forward(self, images: Tensor) -> Tensor:
        found: Tensor = Softmax()(images).abs()
        return found


class Lottery(nn.Module):
    """Scores that hang on the exact image, and on nobody."""

    def forward(self, images: Tensor) -> Tensor:
        keys = images.flatten(1).double() @ torch.linspace(1, 7, SIDE * SIDE).double()
        ways = torch.arange(1, PEOPLE + 1).double()
        return (3 * torch.sin(1e6 * keys[:, None] * ways)).float()


def make_view(
    model: nn.Module | None = None,
    access: Access = Access.SCORES,
    limit: Limit | None = None,
    defense: OutputDefense | None = None,
) -> View:
    target = TorchTarget(model or Softmax(), SPEC.shape)
    behind = Pipeline((defense,)) if defense else None
    return View(target, access, QueryLedger(PEOPLE, limit), defense=behind)


def run(
    attack: Attack = SMALL, view: View | None = None, seed: int = 0
) -> tuple[list[Progress], View]:
    view = view or make_view()
    rng = np.random.default_rng(seed)
    return list(attack.run(view, make_prior(), np.arange(PEOPLE), rng=rng)), view


def likeness(progress: Progress) -> float:
    """The mean cosine of what was found and of who is meant."""
    found = latents(progress.reconstructions)
    return float(torch.cosine_similarity(found, people()).mean())


def taught(
    model: nn.Module, rows: int, *, exact: bool = True, units: int = 16, steps: int = 200
) -> tuple[Copy, Tensor, Tensor]:
    """A copy, and images that it never saw with the target's log-scores."""
    generator = torch.Generator().manual_seed(3)
    prior = make_prior()
    images, unseen = (prior.decode(prior.draw(n, generator)) for n in (rows, 50))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        copy = Copy(Features(images), PEOPLE, units)
    logs = model(images).log_softmax(dim=1)
    copy.learn(
        copy.features(images), logs, exact=exact, epochs=5, least_steps=steps, generator=generator
    )
    copy.requires_grad_(False)
    return copy, unseen, model(unseen).log_softmax(dim=1)


def test_a_softmax_regression_is_known_exactly_from_few_more_rows_than_coordinates() -> None:
    copy, unseen, answers = taught(Softmax(), 3 * DIMENSIONS)
    assert (copy(unseen).log_softmax(dim=1) - answers).abs().max() < 1e-3
    assert copy.weights[0] > 0.999
    assert float(copy.weights.sum()) == pytest.approx(1)


@pytest.mark.medium
def test_what_is_not_linear_is_left_to_the_other_networks() -> None:
    copy, unseen, answers = taught(Folded(), 1000, units=64, steps=400)
    linear = copy.members[0](copy.features(unseen)) * copy.unit + copy.middle
    errors = [
        float((one.log_softmax(dim=1) - answers).square().mean()) for one in (copy(unseen), linear)
    ]
    assert errors[0] < 0.5 * errors[1]
    assert copy.weights[1:].sum() > 0.5


def test_shares_are_learned_where_small_scores_are_hidden() -> None:
    copy, unseen, answers = taught(Softmax(), 200, exact=False)
    assert (copy(unseen).argmax(dim=1) == answers.argmax(dim=1)).float().mean() > 0.7


@pytest.mark.medium
def test_sixty_rows_for_all_together_show_what_the_weights_show() -> None:
    answers, _ = run()
    *_, apart = run(EvolutionAttack(rows=SMALL.rows))[0]
    owner = GradientAttack(steps=SMALL.steps, settle=SMALL.steps)
    *_, white = run(owner, make_view(access=Access.WEIGHTS))[0]
    copied = next(answer for answer in answers if answer.queries.max() > 10)
    assert likeness(copied) > 0.95 * likeness(white) > 0.5
    assert likeness(answers[-1]) > likeness(apart) + 0.15
    assert answers[-1].confidence.min() > 0.5


@pytest.mark.medium
def test_a_pool_is_paid_for_by_all_and_counted_in_full_for_each() -> None:
    answers, view = run()
    spent, alone = view.ledger.spent, view.ledger.alone
    assert answers[-1].queries.tolist() == spent.tolist()
    assert (alone - spent == SMALL.shared - SMALL.shared // PEOPLE).all()
    assert spent.max() <= SMALL.rows
    rounds = [int(answer.queries.max()) for answer in answers]
    # Ten rows a person, one of which verifies; then the rest of the pool, and the search.
    assert rounds[:3] == [0, 10, 12]
    assert rounds[-1] == view.ledger.total // PEOPLE


@pytest.mark.parametrize(
    "limit", [Limit(per_goal=1), Limit(per_goal=60), Limit(total=100), Limit(total=39)], ids=str
)
def test_a_budget_is_kept_and_the_pool_takes_half_of_it_at_most(limit: Limit) -> None:
    answers, view = run(dataclasses.replace(SMALL, rows=100), make_view(limit=limit))
    spent, alone = view.ledger.spent, view.ledger.alone
    assert limit.per_goal is None or alone.max() <= limit.per_goal
    assert limit.total is None or view.ledger.total <= limit.total
    assert answers[-1].queries.tolist() == spent.tolist()
    pool = int((alone - spent).max()) * PEOPLE // (PEOPLE - 1)
    assert pool <= (limit.per_goal or limit.total or 0) / 2
    assert bool(pool) == (limit in (Limit(per_goal=60), Limit(total=100)))


@pytest.mark.medium
def test_one_goal_alone_pays_for_the_whole_pool() -> None:
    view = View(TorchTarget(Softmax(), SPEC.shape), Access.SCORES, QueryLedger(1))
    attack = dataclasses.replace(SMALL, rows=200)
    *_, end = attack.run(view, make_prior(), np.array([2]), rng=np.random.default_rng(0))
    assert view.ledger.spent.tolist() == view.ledger.alone.tolist() == end.queries.tolist()
    assert torch.cosine_similarity(latents(end.reconstructions), people()[2:3]) > 0.6


@pytest.mark.medium
def test_a_target_that_answers_by_lot_shows_nobody() -> None:
    """However confident it becomes of what is found."""
    found = [likeness(run(view=make_view(Lottery()), seed=seed)[0][-1]) for seed in range(4)]
    guesses = torch.randn(400, PEOPLE, DIMENSIONS, generator=torch.Generator().manual_seed(9))
    chance = torch.cosine_similarity(guesses, people(), dim=2).mean(dim=1)
    assert float(np.mean(found)) < float(chance.std()) * 2
    known = [likeness(run(seed=seed)[0][-1]) for seed in range(2)]
    assert min(known) > float(chance.max())


@pytest.mark.medium
@pytest.mark.parametrize(
    ("defense", "access"),
    [(Rounding(1), Access.SCORES), (Noise(0.05), Access.SCORES), (TopK(2), Access.TOP_K)],
    ids=str,
)
def test_it_works_behind_what_hides_scores(defense: OutputDefense, access: Access) -> None:
    view = make_view(access=access, defense=defense)
    attack = dataclasses.replace(SMALL, rows=80, shared=150, epochs=5, least_steps=100)
    answers, _ = run(attack, view)
    assert likeness(answers[-1]) > 0.7
    assert attack.adaptation(view) == EvolutionAttack().adaptation(view) != ()


@pytest.mark.medium
def test_a_seed_decides_everything_and_the_global_state_is_left_alone() -> None:
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    ends = [run(seed=seed)[0][-1].reconstructions for seed in (0, 0, 1)]
    assert torch.equal(torch.rand(3), expected)
    np.testing.assert_array_equal(ends[0], ends[1])
    assert not np.array_equal(ends[0], ends[2])


@pytest.mark.parametrize(
    "wrong", [{"shared": 0}, {"units": 0}, {"rows": 0}, {"population": 3}], ids=str
)
def test_values_that_make_no_search_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(PlanError, match=f"attack distillation: .*{next(iter(wrong))}"):
        ATTACKS.make("distillation", wrong)
