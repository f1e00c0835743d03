"""The course of an attack: on all people together, or on blocks of them that are attacked apart."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from darkroom.access import Access
from darkroom.auditing.blocks import Arrays, Blocks
from darkroom.images.attacks.base import Progress
from darkroom.images.cell_plan import ImageCellPlan
from darkroom.images.guarded import until_refused
from darkroom.images.subject import Subject
from darkroom.images.targets.view import View
from darkroom.ledger import Limit, QueryLedger
from darkroom.vision.priors.base import ImagePrior

if TYPE_CHECKING:
    from darkroom.images.targets.http import HttpTarget
    from darkroom.remote.guarded import Endpoint

Advance = Callable[[int, int], None]


class Step(NamedTuple):
    """What an attack has at a milestone.

    Attributes:
        progress: The best so far; its queries are what each goal alone would have cost.
        total: Rows spent in all.
        seconds: What the blocks took, wherever they were attacked; 0 where nothing was cut.
    """

    progress: Progress
    total: int
    seconds: float = 0.0


def is_cut(plan: ImageCellPlan, subject: Subject, size: int) -> bool:
    """Tells whether a cell is cut into blocks: it is large, and people do not share anything.

    Args:
        plan: The cell.
        subject: The target and the truth.
        size: The most people of a block.
    """
    if plan.guarded is not None or len(subject.goals) <= size:
        return False
    effect = plan.defense.effect
    alone = plan.access is Access.WEIGHTS or effect.reads_alone
    return alone and plan.attack.apart(viewed(plan, subject, QueryLedger(len(subject.goals))))


def viewed(
    plan: ImageCellPlan,
    subject: Subject,
    ledger: QueryLedger,
    endpoint: Endpoint[HttpTarget] | None = None,
) -> View:
    """Returns the target as the attacker of a cell sees it.

    Args:
        plan: The cell, with its defence fitted.
        subject: The target and the truth.
        ledger: Counts goals by position.
        endpoint: Where the attacker asks, in a cell behind a guard.
    """
    return View(
        subject.target if endpoint is None else endpoint.target,
        plan.access,
        ledger,
        defense=plan.defense,
        noise=np.random.default_rng([plan.seed, 6]),
        k=plan.k,
        told=not plan.naive,
    )


def counted(plan: ImageCellPlan, goals: int, advance: Advance) -> QueryLedger:
    """Returns a ledger with the budget of a cell, that tells how far its attack is.

    Args:
        plan: The cell.
        goals: How many are attacked.
        advance: Told how many of the expected queries are spent.
    """
    expected = plan.attack.expected_queries() * goals
    return QueryLedger(goals, Limit(per_goal=plan.budget), lambda spent: advance(spent, expected))


def together(
    plan: ImageCellPlan,
    goals: NDArray[np.int64],
    prior: ImagePrior,
    view: View,
    endpoint: Endpoint[HttpTarget] | None = None,
) -> Iterator[Step]:
    """Attacks people in one search.

    Args:
        plan: The cell, with its defence fitted.
        goals: Whom, ``(goals,)``.
        prior: What the attacker knows beforehand.
        view: The target as the attacker sees it.
        endpoint: Where the attacker asks, in a cell behind a guard.
    """
    rng = np.random.default_rng([plan.seed, 1])
    steps = plan.attack.run(view, prior, goals, rng=rng)
    if endpoint is not None:
        endpoint.begin()
        steps = until_refused(steps, prior, view.ledger)
    for progress in steps:
        # What one goal alone costs: the attack itself counts what each goal pays for.
        yield Step(progress._replace(queries=view.ledger.alone), view.ledger.total)


def block(
    plan: ImageCellPlan, subject: Subject, prior: ImagePrior, people: range, advance: Advance
) -> Iterator[Arrays]:
    """Attacks a block of people, and yields what is kept of each milestone.

    Args:
        plan: The cell, with its defence fitted.
        subject: The target and the truth.
        prior: What the attacker knows beforehand.
        people: Their positions among the goals.
        advance: Told how many of the expected queries are spent.
    """
    goals = subject.goals[people.start : people.stop]
    view = viewed(plan, subject, counted(plan, len(goals), advance))
    began = time.monotonic()
    for step in together(plan, goals, prior, view):
        seconds = time.monotonic() - began
        kept = {"total": np.array(step.total), "seconds": np.array(seconds)}
        yield step.progress._asdict() | kept


def joined(blocks: Blocks) -> Iterator[Step]:
    """Yields the course of blocks that were attacked apart, as if it had been one search.

    Milestones are by number: a block whose people were all found earlier has its last for the rest.

    Args:
        blocks: All of them made.
    """
    courses = [blocks.read(number) for number in range(len(blocks.ranges))]
    latest: list[Arrays] = [next(one) for one in courses]
    while True:
        total, seconds = (sum(float(one[name]) for one in latest) for name in ("total", "seconds"))
        fields = (np.concatenate([one[name] for one in latest]) for name in Progress._fields)
        yield Step(Progress(*fields), int(total), seconds)
        following = [next(one, None) for one in courses]
        if all(one is None for one in following):
            return
        latest = [new or old for new, old in zip(following, latest, strict=True)]
