"""What a cell of images says in sentences."""

from __future__ import annotations

import numpy as np

from darkroom.access import Access
from darkroom.images.cell_plan import ImageCellPlan
from darkroom.images.subject import Subject


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
