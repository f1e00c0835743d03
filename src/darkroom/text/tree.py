"""The search for one secret as a tree, with every character that tells it from others hidden."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from darkroom.text.asking import attacker_view, unwatched
from darkroom.text.attacks.base import SecretGoal
from darkroom.text.attacks.best_first import BestFirst
from darkroom.text.attacks.frontier import Search
from darkroom.text.canaries import Canary
from darkroom.text.exposure.measure import Exposure
from darkroom.text.formats.secrets import HIDDEN
from darkroom.text.record import Tree, TreeNode
from darkroom.text.subject import TextSubject

if TYPE_CHECKING:
    from darkroom.text.cell_plan import TextCellPlan

MOST_NODES = 60
"""A larger tree cannot be read; what leads to the secret is always kept."""


def search_tree(
    plan: TextCellPlan,
    subject: TextSubject,
    hits: np.ndarray[tuple[int], np.dtype[np.bool_]],
    exposures: Sequence[Exposure] | None,
) -> Tree | None:
    """Searches once more for the secret that shows the search best.

    That is the least exposed of those extracted, since its tree branches most; without one, the
    most exposed.

    Returns:
        ``None`` for attacks that do not search.
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
    goal = SecretGoal(canary.before, canary.after, canary.format)
    # The plan's rows, but one question at a time, so that nothing is asked that is not needed.
    attack = BestFirst(rows=plan.attack.rows, batch=1, repeats=plan.attack.repeats)
    view = attacker_view(plan, subject.target, 1, unwatched)
    search = attack.explore(view, goal)
    return Tree(
        owner=canary.owner,
        masked=canary.masked,
        candidates=canary.format.bits,
        repetitions=canary.repetitions,
        found=bool(search.found) and search.found[0].secret == canary.secret,
        asked=len(search.nodes),
        nodes=tuple(tree_nodes(search, canary)),
    )


def tree_nodes(search: Search, canary: Canary, *, reveal: bool = False) -> Iterator[TreeNode]:
    """Yields the first partial secrets asked about, and all that lead to the secret.

    Args:
        search: The search, which may still go on in another thread.
        canary: What it looks for.
        reveal: Whether characters that tell secrets apart are shown.
    """
    fixed = canary.format.fixed
    tail = len(search.tokens.tail)
    whole = search.tokens.tail + canary.secret.encode()
    nodes = list(search.nodes)
    spelled = [search.trace(node)[1] for node in nodes]
    # Parents come before their children, so both parts hold the parents of all that they hold.
    chosen = [
        number
        for number, text in enumerate(spelled)
        if number < MOST_NODES or whole.startswith(text)
    ]
    places = {number: place for place, number in enumerate(chosen)}
    for number in chosen:
        node = nodes[number]
        start = len(spelled[node.parent]) if node.parent >= 0 else 0
        inside = range(max(0, start - tail), len(spelled[number]) - tail)
        told = spelled[number][start:].decode(errors="replace")
        yield TreeNode(
            parent=places.get(node.parent, -1),
            right=whole.startswith(spelled[number]),
            text=told if reveal else "".join(_shown(fixed, place) for place in inside),
        )


def _shown(fixed: tuple[str | None, ...] | None, place: int) -> str:
    """Returns the character that all secrets have at a place, or a stand-in."""
    kept = fixed[place] if fixed is not None and place < len(fixed) else None
    return HIDDEN if kept is None else kept
