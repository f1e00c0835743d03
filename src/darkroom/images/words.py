"""What a cell of images says in sentences."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from darkroom.access import Access
from darkroom.auditing.record import SIGNIFICANCE
from darkroom.images.cell_plan import ImageCellPlan
from darkroom.images.record import Person, WorstPerson
from darkroom.images.subject import Subject

PEOPLE_TO_STAND_OUT = 20
"""People and strangers, of whom one is the most alike by luck with a chance of 0.05."""

FEWEST_TO_DEAL = 4
"""People who can be dealt out in more than 20 ways."""


def _asks(plan: ImageCellPlan, name: str) -> str:
    """Says what the attacker asks, how often it may, and what it sees."""
    budget = "without limit" if plan.budget is None else f"{plan.budget} times a person at most"
    if plan.access is Access.WEIGHTS:
        return (
            f"The attacker holds the weights of {name} and follows its gradients {budget}; a "
            "gradient counts as one query."
        )
    seen = {
        Access.SCORES: "the confidence in every class",
        Access.TOP_K: "the highest confidences",
        Access.LABEL: "the winning class alone",
    }[min(plan.access, plan.defense.effect.leaves, key=lambda access: access.rank)]
    if plan.naive:
        seen = "what comes out, which it takes for the model's own confidences"
    behind = f", behind the defence {plan.defense.name}," if plan.defense.defenses else ""
    if plan.guarded is not None:
        behind = ", behind its guard, until that refuses,"
    return f"The attacker asks {name}{behind} {budget} and sees {seen}; a row counts as one query."


def threat_model(plan: ImageCellPlan, subject: Subject) -> tuple[str, ...]:
    """Says in sentences what the attacker has."""
    public = subject.public
    return (
        _asks(plan, subject.target.name),
        f"The attacker knows the names of its {subject.target.classes} classes, and no photo of "
        "anyone in them.",
        "The attacker has no photos at all."
        if public is None
        else f"The attacker has {len(public.people)} photos of "
        f"{len(np.unique(public.people))} other people, and the prior made from them "
        f"({plan.prior.name}).",
        *(() if plan.naive else plan.defense.effect.caveats),
    )


def worst_off(
    people: Sequence[Person], strangers: int, alone: Sequence[float], by_heart: float
) -> WorstPerson:
    """Returns the person of whom the reconstruction says most, corrected for having looked.

    Args:
        people: All that were looked at.
        strangers: How many took part in nothing.
        alone: The adjusted p-value that each would have who alone was known by heart.
        by_heart: How often the judges recognise what is known by heart.
    """
    worst = min(people, key=lambda one: (one.p_adjusted, one.rank, -(one.confidence or 0.0)))
    among = (
        f"none of {strangers:,} strangers is"
        if worst.rank == 1
        else (f"{worst.rank - 1:,} of {strangers:,} strangers are")
    )
    sentence = (
        f"{worst.name} is worst off: {among} as much like the reconstruction as this person "
        f"(p = {worst.p_value:.2g}). If nothing were known of anyone, one of {len(people)} people "
        f"would stand out so far with a chance of {worst.p_adjusted:.2g}."
    )
    needed = PEOPLE_TO_STAND_OUT - len(people)
    if strangers < needed:
        sentence += f" For one person to stand out takes {needed} strangers or more."
    return WorstPerson(
        name=worst.name,
        rank=worst.rank,
        p_value=worst.p_value,
        p_adjusted=worst.p_adjusted,
        sentence=sentence,
        goal=worst.goal,
        alone=tuple(alone),
        by_heart=by_heart,
    )


def ranked_together(goals: int, strangers: int, p_value: float) -> str:
    """Says what ranks say of all people together.

    Args:
        goals: How many people were attacked.
        strangers: How many took part in nothing.
        p_value: Of the reconstructions, dealt out among the people by lot.
    """
    fits = "fit" if p_value < SIGNIFICANCE else "do not surely fit"
    sentence = (
        f"Together the reconstructions {fits} the right people better than each other (p = "
        f"{p_value:.2g} of being dealt out among {goals} people by lot)."
    )
    if goals < FEWEST_TO_DEAL:
        sentence += f" Fewer than {FEWEST_TO_DEAL} people cannot show it."
    if not strangers:
        sentence += (
            " Nobody could be held apart to rank people among: name photos of others in [judges] "
            "strangers, or give more public people."
        )
    return sentence
