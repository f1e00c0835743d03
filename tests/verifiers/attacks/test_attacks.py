"""Attacks on verifiers against known truths: one that leaks, and one that cannot."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from darkroom.access import VerifierAccess
from darkroom.defenses.match_scores import DecisionOnly, MatchNoise, MatchRounding
from darkroom.defenses.pipeline import Pipeline
from darkroom.errors import PlanError, TargetError
from darkroom.ledger import Limit, QueryLedger
from darkroom.verifiers.attacks.base import Attack, Knowledge, Progress
from darkroom.verifiers.attacks.decision import DecisionAttack
from darkroom.verifiers.attacks.evolution import EvolutionAttack
from darkroom.verifiers.attacks.fixed import FixedAttack
from darkroom.verifiers.attacks.gradient import GradientAttack
from darkroom.verifiers.attacks.registry import VERIFIER_ATTACKS
from darkroom.verifiers.attacks.template import TemplateAttack
from darkroom.verifiers.subject import VerifierSubject
from darkroom.verifiers.targets.view import View

ATTACKS: dict[str, Attack] = {
    "evolution": EvolutionAttack(rows=300, strangers=10),
    "gradient": GradientAttack(steps=60, restarts=2),
    "template": TemplateAttack(steps=80),
    "decision": DecisionAttack(rows=300, dictionary=120),
    "fixed": FixedAttack(photos=30),
}


def ran(
    attack: Attack,
    subject: VerifierSubject,
    knowledge: Knowledge,
    *,
    limit: Limit | None = None,
    defense: Pipeline | None = None,
    access: VerifierAccess | None = None,
) -> tuple[list[Progress], QueryLedger]:
    people = np.arange(len(subject.goals))
    ledger = QueryLedger(len(people), limit)
    view = View(subject.target, access or attack.access, ledger, people, defense=defense)
    return list(attack.run(view, knowledge, rng=np.random.default_rng(3))), ledger


def accepted(progress: Progress, subject: VerifierSubject) -> float:
    people = np.arange(len(subject.goals))
    return float(subject.target.decisions(progress.reconstructions, people).mean())


def test_every_attack_is_tried() -> None:
    assert ATTACKS.keys() == VERIFIER_ATTACKS.own.keys()


@pytest.mark.parametrize("name", ["evolution", "gradient", "template"])
def test_it_is_accepted_where_scores_tell(
    name: str, leaky: VerifierSubject, knowledge: Knowledge
) -> None:
    steps, _ = ran(ATTACKS[name], leaky, knowledge)
    assert accepted(steps[0], leaky) == 0
    assert accepted(steps[-1], leaky) >= 5 / 6


def test_decisions_lead_from_the_accepted_stranger_to_the_middle(
    leaky: VerifierSubject, knowledge: Knowledge
) -> None:
    steps, _ = ran(ATTACKS["decision"], leaky, knowledge)
    people = np.arange(6)
    first = next(one for one in steps if accepted(one, leaky) > 0)
    entered = leaky.target.decisions(first.reconstructions, people)
    before, after = (
        leaky.target.scores(one.reconstructions, people)[entered] for one in (first, steps[-1])
    )
    assert after.mean() > before.mean() + 0.03


def test_nothing_is_found_where_templates_say_nothing(
    silent: VerifierSubject, knowledge: Knowledge
) -> None:
    steps, _ = ran(EvolutionAttack(rows=40, strangers=10), silent, knowledge)
    # A third of them by luck, as one of forty strangers would be: five of six are once in sixty.
    assert 0.3 < silent.operating.dictionary(40).estimate < 0.35
    assert accepted(steps[-1], silent) <= 4 / 6


@pytest.mark.parametrize("name", list(ATTACKS))
@pytest.mark.parametrize("rows", [1, 14, 45])
def test_a_budget_is_kept_to_the_row(
    name: str, rows: int, leaky: VerifierSubject, knowledge: Knowledge
) -> None:
    steps, ledger = ran(ATTACKS[name], leaky, knowledge, limit=Limit(per_goal=rows))
    assert ledger.alone.max() <= rows
    assert steps[-1].reconstructions.shape == (6, *leaky.spec.shape)
    assert all(
        (later.queries >= earlier.queries).all() for earlier, later in itertools.pairwise(steps)
    )


@pytest.mark.parametrize("name", list(ATTACKS))
def test_a_budget_below_its_first_batch_is_spent_all_the_same(
    name: str, leaky: VerifierSubject, knowledge: Knowledge
) -> None:
    attack = ATTACKS[name].within(14)
    assert attack.expected_queries() <= 14
    _, ledger = ran(attack, leaky, knowledge, limit=Limit(per_goal=14))
    assert 10 <= ledger.alone.max() <= 14


@pytest.mark.medium
@pytest.mark.parametrize("name", list(ATTACKS))
def test_the_same_seed_gives_the_same_pictures(
    name: str, leaky: VerifierSubject, knowledge: Knowledge
) -> None:
    limit = Limit(per_goal=130)
    one, other = (ran(ATTACKS[name], leaky, knowledge, limit=limit)[0][-1] for _ in range(2))
    assert np.array_equal(one.reconstructions, other.reconstructions)


def test_strangers_are_charged_before_anything_is_learned(
    leaky: VerifierSubject, knowledge: Knowledge
) -> None:
    _, ledger = ran(EvolutionAttack(rows=10, strangers=10), leaky, knowledge)
    assert ledger.alone.tolist() == [10] * 6


def test_photos_that_serve_everybody_are_charged_to_each_alone(
    leaky: VerifierSubject, knowledge: Knowledge
) -> None:
    _, ledger = ran(TemplateAttack(photos=60, steps=5), leaky, knowledge)
    assert ledger.alone.tolist() == [62] * 6
    assert ledger.total == 60 + 2 * 6


@pytest.mark.parametrize("defense", [MatchRounding(2), MatchNoise(0.02)])
def test_it_adapts_to_rounding_and_noise(
    defense: Any, leaky: VerifierSubject, knowledge: Knowledge
) -> None:
    steps, _ = ran(ATTACKS["evolution"], leaky, knowledge, defense=Pipeline((defense,)))
    assert accepted(steps[-1], leaky) >= 5 / 6


def test_less_is_seen_behind_decisions(leaky: VerifierSubject, knowledge: Knowledge) -> None:
    hidden = Pipeline((DecisionOnly(),))
    with pytest.raises(PlanError, match="needs score but the view allows decision"):
        ran(ATTACKS["evolution"], leaky, knowledge, defense=hidden)
    view = View(leaky.target, VerifierAccess.SCORE, QueryLedger(6), np.arange(6), defense=hidden)
    with pytest.raises(TargetError, match="allows decision"):
        view.scores(leaky.public.images[:1], np.zeros(1, np.int64))


@pytest.mark.parametrize(
    ("attack", "parameters"),
    [
        ("evolution", {"population": 3}),
        ("gradient", {"steps": 0}),
        ("template", {"photos": 2}),
        ("decision", {"rows": 0}),
        ("fixed", {"photos": 0}),
        ("evolution", {"row": 3}),
    ],
)
def test_what_makes_no_attack_is_refused(attack: str, parameters: dict[str, int]) -> None:
    with pytest.raises(PlanError, match=attack):
        VERIFIER_ATTACKS.make(attack, parameters)
