"""How an attack meets a model: what a plan lets it see, and its course over queries."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from darkroom.access import LanguageAccess
from darkroom.auditing.record import CurvePoint
from darkroom.defenses.logprobs import TopLogprobs
from darkroom.ledger import Limit, QueryLedger
from darkroom.statistics.intervals import clopper_pearson
from darkroom.text.cell_plan import TextCellPlan
from darkroom.text.targets.base import LanguageTarget
from darkroom.text.targets.view import LanguageView

Advance = Callable[[int, int], None]


def attacker_view(
    plan: TextCellPlan, target: LanguageTarget, goals: int, advance: Advance, *, sharing: int = 1
) -> LanguageView:
    """Returns what an attack sees of a model.

    Args:
        plan: What to run.
        target: The model.
        goals: How many goals the attack has.
        advance: Told how many of the expected queries are spent.
        sharing: How many goals share the plan's budget, such as the prompts of a secret.
    """
    expected = plan.attack.expected_queries() * goals
    limit = None if plan.budget is None else max(1, plan.budget // sharing)
    ledger = QueryLedger(goals, Limit(per_goal=limit), lambda spent: advance(spent, expected))
    defense = plan.defense.one
    if defense is None and plan.access is LanguageAccess.TOP_K:
        defense = TopLogprobs()
    # What an endpoint's top_k leaves is no defence of which somebody could be ignorant.
    told = not plan.naive or plan.defense.one is None
    noise = np.random.default_rng([plan.seed, 3])
    return LanguageView(target, plan.access, ledger, defense=defense, noise=noise, told=told)


def adaptation(plan: TextCellPlan, view: LanguageView, filtered: int) -> tuple[str, ...]:
    """Says in sentences what an attack did about what was withheld from it.

    Args:
        plan: What was run.
        view: What it saw.
        filtered: Answers that the server's content filter withheld.
    """
    said = plan.attack.adaptation(view)
    if not filtered:
        return said
    return (
        *said,
        f"The server's content filter withheld {filtered} answers: what they would have shown is "
        "not known, and counts as nothing.",
    )


def course(since: NDArray[np.float64], most: int) -> tuple[CurvePoint, ...]:
    """Returns the share of goals found within so many queries each, at powers of two.

    Args:
        since: After how many queries each was found, and stayed so; infinite for never.
        most: Queries of the goal that took the most.
    """
    steps = sorted({min(2**power, most) for power in range(most.bit_length() + 1)} - {0})
    return tuple(
        CurvePoint.at(step, clopper_pearson(int((since <= step).sum()), len(since)))
        for step in steps
    )


def unwatched(done: int, total: int) -> None:
    """Shows no progress."""
