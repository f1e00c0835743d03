"""The search for one secret as a tree, with every character that tells it from others hidden."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from darkroom.attacks.best_first import BestFirst, Search
from darkroom.attacks.secret_base import SecretGoal
from darkroom.audit.text_exposure import Exposure
from darkroom.audit.text_subject import TextSubject
from darkroom.ledger import QueryLedger
from darkroom.targets.language_view import LanguageView

if TYPE_CHECKING:
    from darkroom.audit.text_cells import TextCellPlan

MOST_NODES = 120
"""A larger tree cannot be read."""


def search_tree(
    plan: TextCellPlan,
    subject: TextSubject,
    hits: np.ndarray[tuple[int], np.dtype[np.bool_]],
    exposures: Sequence[Exposure] | None,
) -> dict[str, Any] | None:
    """Searches once more for the secret that shows the search best.

    That is the least exposed of those extracted, since its tree branches most; without one, the
    most exposed.

    Returns:
        The owner, and nodes with their depth, parent, surprise, whether they lead to the secret,
        and the characters that they add, masked; ``None`` for attacks that do not search.
    """
    if not isinstance(plan.attack, BestFirst) or not subject.target.knows_tokens:
        return None
    canaries = subject.canaries.canaries
    inserted = [number for number, one in enumerate(canaries) if one.repetitions]
    extracted = [number for number in inserted if hits[number]]
    bits = [0.0 if exposures is None else exposures[n].bits for n in range(len(canaries))]
    surprises = [0.0 if exposures is None else exposures[n].surprise for n in range(len(canaries))]
    chosen = (
        max(extracted, key=lambda number: surprises[number])
        if extracted
        else max(inserted, key=lambda number: bits[number])
    )
    canary = canaries[chosen]
    goal = SecretGoal(canary.before, canary.after, subject.canaries.secrets)
    # The plan's rows, but one question at a time, so that nothing is asked that is not needed.
    attack = BestFirst(rows=min(plan.attack.rows, 2 * MOST_NODES), batch=1)
    view = LanguageView(
        subject.target,
        plan.access,
        QueryLedger(1),
        defense=plan.defense,
        noise=np.random.default_rng([plan.seed, 3]),
    )
    search = attack.explore(view, goal)
    return {
        "owner": canary.owner,
        "masked": subject.canaries.secrets.mask(canary.secret),
        "repetitions": canary.repetitions,
        "found": bool(search.found) and search.found[0].secret == canary.secret,
        "asked": len(search.nodes),
        "nodes": _nodes(search, canary.secret, subject),
    }


def _nodes(search: Search, secret: str, subject: TextSubject) -> list[dict[str, Any]]:
    fixed = subject.canaries.secrets.fixed
    whole = search.tokens.tail + secret.encode()
    nodes: list[dict[str, Any]] = []
    lengths: list[int] = []
    for node in search.nodes[:MOST_NODES]:
        _, spelled = search.trace(node)
        start = lengths[node.parent] if node.parent >= 0 else 0
        lengths.append(len(spelled))
        inside = range(
            max(0, start - len(search.tokens.tail)), len(spelled) - len(search.tokens.tail)
        )
        shown = "".join(
            (fixed[place] or "•") if fixed is not None and place < len(fixed) else "•"
            for place in inside
        )
        nodes.append(
            {
                "parent": node.parent,
                "surprise": node.cost,
                "right": whole.startswith(spelled),
                "text": shown,
            }
        )
    return nodes
