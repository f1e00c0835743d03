"""What a plan lets an attack see, and what is said of it."""

from __future__ import annotations

import numpy as np
import pytest
from tests.support.tiny_language import memoriser

from darkroom.access import LanguageAccess
from darkroom.auditing.cell_plan import CellPlan
from darkroom.text.asking import adaptation, attacker_view, course, unwatched
from darkroom.text.attacks.sampling import SamplingAttack
from darkroom.text.cell_plan import AnswersDefense, FormatPrior, TextCellPlan


def plan(budget: int | None) -> TextCellPlan:
    return CellPlan(
        attack=SamplingAttack(),
        access=LanguageAccess.SAMPLES,
        defense=AnswersDefense(),
        prior=FormatPrior(),
        budget=budget,
        seed=0,
    )


@pytest.mark.parametrize(
    ("budget", "sharing", "left"), [(None, 3, None), (12, 1, 12), (12, 5, 2), (2, 5, 1)]
)
def test_goals_share_a_budget(budget: int | None, sharing: int, left: int | None) -> None:
    target = memoriser().target
    view = attacker_view(plan(budget), target, 4, unwatched, sharing=sharing)
    assert view.ledger.remaining(0) == left


def test_what_a_content_filter_withholds_is_said() -> None:
    view = attacker_view(plan(None), memoriser().target, 1, unwatched)
    assert not any("filter" in line for line in adaptation(plan(None), view, 0))
    assert "withheld 3 answers" in adaptation(plan(None), view, 3)[-1]


def test_a_course_ends_with_the_goal_that_took_the_most() -> None:
    points = course(np.array([2.0, np.inf, 5.0]), 6)
    assert [one.queries for one in points] == [1, 2, 4, 6]
    assert [one.success for one in points] == pytest.approx([0, 1 / 3, 1 / 3, 2 / 3])
