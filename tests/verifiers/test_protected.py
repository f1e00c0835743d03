"""Stores that protect templates: what an attacker gets without the keys, and with them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import pytest
from tests.verifiers.attacks.test_attacks import accepted

from darkroom.access import VerifierAccess
from darkroom.auditing.plan import validate
from darkroom.errors import PlanError
from darkroom.ledger import QueryLedger
from darkroom.verifiers.attacks.base import Attack, Knowledge
from darkroom.verifiers.attacks.gradient import GradientAttack
from darkroom.verifiers.attacks.template import TemplateAttack
from darkroom.verifiers.cell_plan import cell_plans
from darkroom.verifiers.plan import VerifierPlan
from darkroom.verifiers.protection.base import Protection
from darkroom.verifiers.protection.binarised import BinarisedHash
from darkroom.verifiers.protection.polyprotect import PolyProtect
from darkroom.verifiers.protection.rotation import Rotation
from darkroom.verifiers.subject import VerifierSubject, behind
from darkroom.verifiers.targets.view import View

Behind = Callable[[Protection], VerifierSubject]
TEMPLATE = TemplateAttack(steps=80)


@pytest.fixture(scope="module")
def behind_it(leaky: VerifierSubject) -> Behind:
    made: dict[Protection, VerifierSubject] = {}

    def found(protection: Protection) -> VerifierSubject:
        if protection not in made:
            made[protection] = behind(leaky, protection, 7)
        return made[protection]

    return found


def share(
    attack: Attack, subject: VerifierSubject, knowledge: Knowledge, *, told: bool = True
) -> float:
    view = View(subject.target, attack.access, QueryLedger(6), np.arange(6), told=told)
    *_, last = attack.run(view, knowledge, rng=np.random.default_rng(3))
    return accepted(last, subject)


def test_a_rotation_leaves_scores_and_the_operating_point(
    leaky: VerifierSubject, behind_it: Behind
) -> None:
    rotated, photos = behind_it(Rotation()), leaky.held_out
    assert rotated.target.matrix(photos.images) == pytest.approx(
        leaky.target.matrix(photos.images), abs=1e-9
    )
    assert rotated.operating.threshold == pytest.approx(leaky.operating.threshold)
    assert rotated.target.fingerprint() != leaky.target.fingerprint()


def test_the_people_are_still_recognised(behind_it: Behind) -> None:
    subject = behind_it(BinarisedHash())
    assert subject.operating.false_accepts.estimate == pytest.approx(0.01, abs=0.003)
    refused = subject.operating.false_rejects
    assert refused is not None
    assert refused.estimate < 0.5
    other = subject.other_templates
    assert other is not None
    assert other.decisions(subject.held_out.images, subject.held_out.people).mean() > 0.5


@pytest.mark.medium
@pytest.mark.parametrize("protection", [Rotation(), BinarisedHash(), PolyProtect(overlap=0)])
def test_a_template_leads_to_nobody_until_the_keys_are_known(
    protection: Protection, behind_it: Behind, knowledge: Knowledge
) -> None:
    assert share(TEMPLATE, behind_it(protection), knowledge) <= 2 / 6
    assert share(TEMPLATE, behind_it(protection), knowledge, told=False) <= 2 / 6
    known = behind_it(replace(protection, key_known=True))
    assert share(TEMPLATE, known, knowledge) >= 4 / 6


@pytest.mark.medium
def test_gradients_lead_there_too(behind_it: Behind, knowledge: Knowledge) -> None:
    attack = GradientAttack(steps=60)
    assert share(attack, behind_it(Rotation()), knowledge) <= 2 / 6
    assert share(attack, behind_it(Rotation(key_known=True)), knowledge) >= 5 / 6


@pytest.mark.medium
def test_accounts_of_the_attackers_own_undo_a_rotation(
    behind_it: Behind, knowledge: Knowledge
) -> None:
    few, many = (share(TEMPLATE, behind_it(Rotation(pairs=n)), knowledge) for n in (2, 40))
    assert few <= 2 / 6
    assert many >= 5 / 6
    # Everybody's own key is nobody else's.
    assert share(TEMPLATE, behind_it(PolyProtect(pairs=40)), knowledge) <= 2 / 6


def test_scores_are_asked_of_what_is_stored(behind_it: Behind, knowledge: Knowledge) -> None:
    subject = behind_it(BinarisedHash())
    view = View(subject.target, VerifierAccess.SCORE, QueryLedger(6), np.arange(6))
    scores = view.scores(subject.seen.images[:6], np.arange(6))
    # 256 signs: a cosine of them is a multiple of 1 / 128.
    assert scores * 128 == pytest.approx(np.round(scores * 128))


def plan(*defenses: Mapping[str, object], naive: bool = False) -> VerifierPlan:
    table = {
        "run": {"name": "gate", "naive": naive},
        "target": {"load": "a:b"},
        "private": {"enrolled": "x"},
        "public": {"images": "y"},
        "attack": [{"name": "template"}, {"name": "evolution", "rows": 77}],
        "defense": list(defenses),
    }
    return validate(VerifierPlan, table, "plan")


def test_each_protection_is_tried_without_the_keys_and_with_them() -> None:
    found = [
        (one.attack.name, one.defense.name, one.naive)
        for one in cell_plans(plan({"name": "rotation"}, naive=True))
    ]
    assert found == [
        ("template", "none", False),
        ("template", "rotation", False),
        ("template", "rotation(key_known)", False),
        ("template", "rotation", True),
        ("evolution", "none", False),
        ("evolution", "rotation", False),
    ]


def test_where_decisions_alone_are_left_another_attack_stands_in() -> None:
    cells = cell_plans(plan({"name": "decision-only"}, naive=True))
    found = [(one.attack.name, one.access, one.naive) for one in cells if one.defense.defenses]
    assert found == [("decision", "decision", False), ("evolution", "score", True)]
    assert cells[2].attack.expected_queries() == 77


def test_a_store_has_one_protection() -> None:
    chain = {"chain": [{"name": "rotation"}, {"name": "binarised"}]}
    with pytest.raises(PlanError, match="a store has one protection"):
        cell_plans(plan(chain))
