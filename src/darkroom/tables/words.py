"""What a cell of tables says in sentences."""

from __future__ import annotations

from darkroom.access import Access
from darkroom.tables.cell_plan import TableCellPlan, expected_queries
from darkroom.tables.subject import TableSubject

_MEANS = {
    Access.WEIGHTS: "holds the model itself, its structure and its weights, and asks it",
    Access.SCORES: "sees every confidence that the model gives, and asks it",
    Access.TOP_K: "sees the model's highest confidences, and asks it",
    Access.LABEL: "sees nothing but what the model predicts, and asks it",
}


def threat_model(plan: TableCellPlan, subject: TableSubject) -> tuple[str, ...]:
    """Says in sentences what the attacker has."""
    schema, data = subject.data.schema, subject.data
    hidden = ", ".join((*schema.sensitive, *schema.derived, *schema.unknown))
    most = expected_queries(plan, subject)
    budget = most if plan.budget is None else min(most, plan.budget)
    known = (
        f"what truly became of it ({schema.response.name})"
        if subject.knows == "response"
        else f"what the model says of it ({schema.response.name})"
    )
    knows = "is not told of, taking answers for the model's own" if plan.naive else "knows"
    errs = "how often the model errs"
    if plan.attack.weighs_scores and subject.target.has_scores:
        errs += ", and how sure it is of what is true,"
    behind = [f"Answers pass the defence {plan.defense.name}, which the attacker {knows}."]
    return (
        f"The attacker {_MEANS[plan.access]} at most {budget} times a record.",
        f"The attacker knows of each record every column but {hidden}, and {known}.",
        f"The attacker has {len(data.public.rows):,} other records with every column, knows the "
        f"prior made from them ({plan.prior.name}), and {errs} on "
        f"{'the rows it was trained on' if subject.errors_on == 'members' else 'other rows'}.",
        *(behind if plan.defense.defenses else []),
        *(() if plan.naive else plan.defense.effect.caveats),
    )
