"""What a cell of verifiers says in sentences."""

from __future__ import annotations

import numpy as np

from darkroom.access import VerifierAccess
from darkroom.auditing.record import Difference, Share
from darkroom.verifiers.cell_plan import VerifierCellPlan
from darkroom.verifiers.subject import VerifierSubject

MANY = 0.5
"""A share that counts as most."""


def threat_model(plan: VerifierCellPlan, subject: VerifierSubject) -> tuple[str, ...]:
    """Says in sentences what the attacker has."""
    public = subject.public
    strangers = len(np.unique(public.people))
    return (
        _asks(plan, subject.target.name),
        "The attacker knows who is enrolled, and has no photo of anyone of them.",
        f"The attacker has {len(public.people)} photos of {strangers} other people, and the prior "
        f"made from them ({plan.prior.name}).",
        *(() if plan.naive else plan.defense.effect.caveats),
    )


def _asks(plan: VerifierCellPlan, name: str) -> str:
    often = "without limit" if plan.budget is None else f"{plan.budget} times a person at most"
    match plan.access:
        case VerifierAccess.WEIGHTS:
            return (
                f"The attacker holds the weights of {name} and its stored templates{_kept(plan)}, "
                "and follows "
                f"gradients {often}; a gradient counts as one query."
            )
        case VerifierAccess.TEMPLATE:
            return (
                f"The stored templates of {name}{_kept(plan)} have leaked, and the attacker asks "
                "the encoder "
                f"for those of other photos {often}; a row counts as one query."
            )
        case VerifierAccess.SCORE:
            seen = "how alike a picture and an enrolled person are"
        case _:
            seen = "whether a picture is accepted for an enrolled person"
    behind = f", behind the defence {plan.defense.name}," if plan.defense.defenses else ""
    if plan.guarded is not None:
        behind = ", behind its guard, until that refuses,"
    told = ", which it takes for the verifier's own score" if plan.naive else ""
    return (
        f"The attacker asks {name}{behind} {often} and sees {seen}{told}; a row counts as one "
        "query, and photos of strangers that are submitted first count too."
    )


def _kept(plan: VerifierCellPlan) -> str:
    """Says how stored templates are protected."""
    if not plan.defense.defenses:
        return ""
    told = ", which the attacker takes for plain ones" if plan.naive else ""
    return f", protected by {plan.defense.name}{told},"


def happened(accepted: Share, gained: Difference, shown: Share, more: Difference) -> str:
    """Says which of impersonation and likeness came about.

    Args:
        accepted: The share of people for whom pictures are accepted.
        gained: That above the share of as many strangers.
        shown: The share of people whom pictures show.
        more: That above the share of guesses and of photos of strangers.
    """
    opens, shows = gained.low > 0, more.low > 0
    if opens and shows:
        if shown.estimate >= MANY * accepted.estimate:
            return "Impersonation and likeness: the pictures are accepted, and show the people."
        return (
            "Impersonation, and likeness of some: the pictures are accepted, and fewer of them "
            "show the person to judges that are not the verifier."
        )
    if opens:
        return (
            "Impersonation without likeness: the pictures are accepted, and do not surely show "
            "anybody to judges that are not the verifier."
        )
    if shows:
        return (
            "Likeness: the pictures show people to judges that are not the verifier. They are "
            "accepted no more surely than one of as many strangers."
        )
    return (
        "Neither: the pictures are accepted no more surely than one of as many strangers, and show "
        "nobody more surely than a guess or a stranger's photo."
    )
