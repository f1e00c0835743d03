"""The course of an attack on a table: on all records, or on blocks that are asked about apart."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from darkroom.access import Access
from darkroom.auditing.blocks import Arrays, Blocks
from darkroom.defenses.pipeline import Pipeline
from darkroom.ledger import Limit, QueryLedger
from darkroom.tables.attacks.base import Records
from darkroom.tables.attacks.errors import Errors
from darkroom.tables.candidates import Belief
from darkroom.tables.cell_plan import TableCellPlan, expected_queries
from darkroom.tables.priors.counts import TablePrior
from darkroom.tables.schema import Rows
from darkroom.tables.subject import TableSubject, Who
from darkroom.tables.targets.base import Predictions, TableTarget
from darkroom.tables.targets.view import TableView

if TYPE_CHECKING:
    from darkroom.remote.guarded import Endpoint
    from darkroom.tables.targets.http import HttpTableTarget

Advance = Callable[[int, int], None]

PARTS: tuple[Who, ...] = ("members", "others")
"""Who is attacked, in this order: what is cut into blocks are the rows of both."""


class Found(NamedTuple):
    """What the attacker got of some rows.

    Attributes:
        before: What it believed before it asked.
        after: What it believes in the end.
        queries: How much it asked, ``(n,)``.
        adaptation: How, in sentences.
        seconds: What the blocks took, wherever they were asked about; 0 where nothing was cut.
    """

    before: Belief
    after: Belief
    queries: NDArray[np.int64]
    adaptation: tuple[str, ...] = ()
    seconds: float = 0.0


def together(
    plan: TableCellPlan,
    subject: TableSubject,
    prior: TablePrior,
    advance: Advance,
    endpoint: Endpoint[HttpTableTarget] | None = None,
) -> Mapping[Who, Found]:
    """Attacks all records.

    Args:
        plan: The cell, with its defence fitted.
        subject: The target and the truth.
        prior: What the attacker knows beforehand.
        advance: Told how many of the expected queries are spent.
        endpoint: Where the attacker asks, in a cell behind a guard.
    """
    asks = subject.target if endpoint is None else endpoint.target
    if endpoint is not None:
        endpoint.begin()
    return {who: _attack(plan, subject, asks, prior, who, advance) for who in PARTS}


def is_cut(plan: TableCellPlan, subject: TableSubject, size: int) -> bool:
    """Tells whether a cell is cut into blocks: it is large, and no answer hangs on another.

    Args:
        plan: The cell.
        subject: The target and the truth.
        size: The most records of a block.
    """
    if plan.guarded is not None or records_of(subject) <= size:
        return False
    if plan.access is Access.WEIGHTS:
        return True
    return plan.defense.effect.reads_alone and not plan.defense.learns


def records_of(subject: TableSubject) -> int:
    """Returns how many records are attacked, members and others."""
    return sum(len(subject.part(who).rows) for who in PARTS)


def block(
    plan: TableCellPlan,
    subject: TableSubject,
    prior: TablePrior,
    records: range,
    advance: Advance,
) -> Iterator[Arrays]:
    """Asks about a block of records; yields what is kept of its members, and then of its others.

    Args:
        plan: The cell, with its defence fitted.
        subject: The target and the truth.
        prior: What the attacker knows beforehand.
        records: Their positions among members and others.
        advance: Told how many of the expected queries are spent.
    """
    first = 0
    for who in PARTS:
        end = first + len(subject.part(who).rows)
        start, stop = (
            min(max(place, first), end) - first for place in (records.start, records.stop)
        )
        yield _asked(plan, subject, prior, who, slice(start, stop), advance)
        first = end


def _asked(
    plan: TableCellPlan,
    subject: TableSubject,
    prior: TablePrior,
    who: Who,
    chosen: slice,
    advance: Advance,
) -> Arrays:
    """Asks about some members, or some others."""
    began = time.monotonic()
    if chosen.start == chosen.stop:
        nothing = np.empty((0, len(subject.candidates)))
        return _kept(nothing, nothing, np.empty(0), np.empty(0, np.int64), began)
    records, errors = _known(plan, subject, who, chosen)
    ledger = _counted(plan, subject, len(records.known), advance)
    view = _viewed(plan, subject.target, ledger)
    before = plan.attack.before(view, prior, records)
    asked = plan.attack.ask(view, prior, records, errors, rng=_randomness(plan))
    found = np.concatenate([one.found for one in asked])
    return _kept(before, found, records.response, ledger.spent, began)


def _kept(
    before: NDArray[np.float64],
    found: NDArray[np.float64],
    response: NDArray[np.float64],
    queries: NDArray[np.int64],
    began: float,
) -> Arrays:
    """Returns what a block keeps: the response too, which a model may have been asked for."""
    seconds = np.array(time.monotonic() - began)
    kept = {"before": before, "found": found, "response": response, "queries": queries}
    return {**kept, "seconds": seconds}


def joined(
    plan: TableCellPlan, subject: TableSubject, prior: TablePrior, blocks: Blocks
) -> Mapping[Who, Found]:
    """Concludes from blocks that were asked about apart, as if it had been one attack.

    Args:
        plan: The cell, with its defence fitted.
        subject: The target and the truth.
        prior: What the attacker knows beforehand.
        blocks: All of them made.
    """
    kept = [list(blocks.read(number)) for number in range(len(blocks.ranges))]
    return {
        who: _concluded(plan, subject, prior, who, [one[place] for one in kept])
        for place, who in enumerate(PARTS)
    }


def _concluded(
    plan: TableCellPlan, subject: TableSubject, prior: TablePrior, who: Who, kept: list[Arrays]
) -> Found:
    before, found, response, queries = (
        np.concatenate([one[name] for one in kept])
        for name in ("before", "found", "response", "queries")
    )
    if not len(found):
        return _nothing(subject)
    records = Records(subject.known(who), response)
    view = _viewed(plan, subject.target, QueryLedger(len(found)))
    errors = _weighing(plan, subject, _erring(plan, subject))
    rng = _randomness(plan).spawn(1)[0]
    after = plan.attack.conclude(view, prior, records, errors, found, rng=rng)
    seconds = sum(float(one["seconds"]) for one in kept)
    return _believed(plan, prior, records, view, (before, after), queries, seconds)


def _attack(
    plan: TableCellPlan,
    subject: TableSubject,
    target: TableTarget,
    prior: TablePrior,
    who: Who,
    advance: Advance,
) -> Found:
    """Attacks all members, or all others."""
    records, errors = _known(plan, subject, who)
    if not len(records.known):
        return _nothing(subject)
    view = _viewed(plan, target, _counted(plan, subject, len(records.known), advance))
    errors = _weighing(plan, subject, errors)
    first, last = plan.attack.run(view, prior, records, errors, rng=_randomness(plan))
    beliefs = first.posterior, last.posterior
    return _believed(plan, prior, records, view, beliefs, last.queries)


def _known(
    plan: TableCellPlan, subject: TableSubject, who: Who, chosen: slice = slice(None)
) -> tuple[Records, Errors]:
    """Returns what the attacker knows of rows, and of the model's errors."""
    if subject.knows == "response" or not plan.defense.defenses:
        return subject.records(who, chosen), _erring(plan, subject)
    # What the attacker knows of each record left the model behind the same defences.
    said = defended(subject.target, subject.part(who).rows[chosen], plan.defense)
    return Records(subject.known(who, chosen), said), _erring(plan, subject)


def _erring(plan: TableCellPlan, subject: TableSubject) -> Errors:
    """Returns how the model errs, as far as the attacker of a cell knows."""
    behind = subject.knows == "prediction" and plan.defense.defenses and not plan.naive
    return subject.errors.noisier(plan.defense.effect.deviation) if behind else subject.errors


def _weighing(plan: TableCellPlan, subject: TableSubject, errors: Errors) -> Errors:
    """Returns errors with how sure the model is of true rows, for attacks that look at it."""
    return errors._replace(told=_told(plan, subject)) if plan.attack.weighs_scores else errors


def _nothing(subject: TableSubject) -> Found:
    nothing = Belief(np.empty((0, len(subject.candidates))))
    return Found(nothing, nothing, np.empty(0, np.int64))


def _counted(
    plan: TableCellPlan, subject: TableSubject, records: int, advance: Advance
) -> QueryLedger:
    """Returns a ledger with the budget of a cell, that tells how far its attack is."""
    expected = expected_queries(plan, subject) * records
    return QueryLedger(records, Limit(per_goal=plan.budget), lambda spent: advance(spent, expected))


def _viewed(plan: TableCellPlan, target: TableTarget, ledger: QueryLedger) -> TableView:
    """Returns the target as the attacker of a cell sees it."""
    return TableView(
        target,
        plan.access,
        ledger,
        defense=plan.defense,
        noise=np.random.default_rng([plan.seed, 6]),
        told=not plan.naive,
    )


def _randomness(plan: TableCellPlan) -> np.random.Generator:
    return np.random.default_rng([plan.seed, 1])


def _believed(
    plan: TableCellPlan,
    prior: TablePrior,
    records: Records,
    view: TableView,
    chances: tuple[NDArray[np.float64], NDArray[np.float64]],
    queries: NDArray[np.int64],
    seconds: float = 0.0,
) -> Found:
    # What the model says moves belief between candidates; within one, the prior's stays.
    spread = prior.spread(records.known)
    before, after = (Belief(one, spread) for one in chances)
    return Found(before, after, queries, plan.attack.adaptation(view), seconds)


def _told(plan: TableCellPlan, subject: TableSubject) -> NDArray[np.float64] | None:
    """Returns how sure the model is of true rows, as it is told: behind the cell's defences."""
    target, part = subject.target, subject.part(subject.errors_on)
    if not (target.has_scores and plan.access.includes(Access.SCORES)):
        return None
    defense = Pipeline() if plan.naive else plan.defense
    noise = np.random.default_rng([plan.seed, 8])
    view = TableView(target, plan.access, QueryLedger(1), defense=defense, noise=noise)
    if not view.access.includes(Access.SCORES):
        return None
    nobody = np.zeros(len(part.rows), np.int64)
    times = plan.attack.asks(view.effect)
    scores = np.mean([view.scores(part.rows, nobody) for _ in range(times)], axis=0)
    known = part.response if subject.knows == "response" else target.predict(part.rows)
    return np.asarray(scores[np.arange(len(scores)), known.astype(np.int64)])


def defended(target: TableTarget, rows: Rows, defense: Pipeline) -> Predictions:
    """Returns what a model says of rows behind defences, once.

    Args:
        target: The model.
        rows: ``(n, columns)``.
        defense: What changes its answers.
    """
    view = TableView(target, Access.LABEL, QueryLedger(1), defense=defense)
    return view.predict(rows, np.zeros(len(rows), np.int64))
