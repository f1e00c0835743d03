"""One cell of a run on tables: an attack with a prior on members and on others, judged."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from darkroom.access import Access
from darkroom.auditing.cell_plan import GUARD
from darkroom.auditing.record import Component, CurvePoint, GuardRecord, Queries, Utility
from darkroom.defenses.pipeline import Pipeline
from darkroom.ledger import Limit, QueryLedger
from darkroom.named import parameters_of
from darkroom.statistics.chance import dead_classifier, dead_regressor
from darkroom.tables.attacks.base import Errors
from darkroom.tables.candidates import Belief
from darkroom.tables.cell_plan import TableCellPlan, expected_queries
from darkroom.tables.judging import (
    TableBench,
    bits_of,
    difference,
    judge_members,
    judge_others,
    worst_off,
)
from darkroom.tables.priors.counts import TablePrior
from darkroom.tables.record import TableCell, TableDetails
from darkroom.tables.schema import Rows
from darkroom.tables.subject import TableSubject, Who
from darkroom.tables.targets.base import Predictions, TableTarget
from darkroom.tables.targets.view import TableView
from darkroom.tables.words import threat_model

if TYPE_CHECKING:
    from darkroom.remote.guarded import Endpoint
    from darkroom.tables.targets.http import HttpTableTarget


class _Found(NamedTuple):
    """What the attack got of some rows: before it asked, in the end, how much it asked, and how."""

    before: Belief
    after: Belief
    queries: NDArray[np.int64]
    adaptation: tuple[str, ...] = ()


# long: a record has many fields, and each is named once
def run_table_cell(
    key: str,
    plan: TableCellPlan,
    subject: TableSubject,
    prior: TablePrior,
    bench: TableBench,
    advance: Callable[[int, int], None],
    endpoint: Endpoint[HttpTableTarget] | None = None,
) -> tuple[TableCell, dict[str, NDArray[Any]]]:
    """Attacks members and others, and judges what comes out.

    Args:
        key: The cell's.
        plan: What to run.
        subject: The target and the truth.
        prior: The fitted prior.
        bench: The baselines.
        advance: Told how many of the expected queries are spent.
        endpoint: Where the attacker asks, in a cell behind a guard; the audit itself asks the
            subject's target.

    Returns:
        The cell, and the arrays for ``reconstructions.npz``.
    """
    began = time.monotonic()
    errors = subject.errors()
    parts: tuple[Who, ...] = ("members", "others")
    asks = subject.target if endpoint is None else endpoint.target
    if endpoint is not None:
        endpoint.begin()
    found = {who: _attack(plan, subject, asks, prior, errors, who, advance) for who in parts}
    seconds = time.monotonic() - began
    total = int(sum(one.queries.sum() for one in found.values()))
    guard = None if endpoint is None else GuardRecord.of(endpoint.held(total))
    details = _details(plan, subject, bench, found, guard)
    members = details.members
    asked = int(np.median(found["members"].queries))
    success = members.success.attack
    bits = bits_of(subject, bench, found["members"].after, calibrated=plan.attack.calibrated)
    ends = (success.estimate, success.low, success.high)
    cell = TableCell(
        key=key,
        target=subject.target.name,
        defense=plan.defense.name if endpoint is None else GUARD,
        attack=plan.attack.name,
        attacker="naive" if plan.naive else "adaptive",
        access=plan.access,
        prior=plan.prior.name,
        goals=members.n,
        queries=Queries(per_goal_median=asked, total=total),
        success=success,
        baseline=members.success.imputation,
        advantage=members.advantage,
        bits=bits,
        curve=(CurvePoint.at(asked, ends, bits.estimate),) if asked else (),
        utility=_utility(subject, plan.defense) if endpoint is None else Utility(),
        seconds=seconds,
        details=details,
    )
    arrays: dict[str, NDArray[Any]] = {}
    for who, one in found.items():
        arrays[f"{who}_rows"] = subject.part(who).numbers
        arrays[f"{who}_posterior"] = one.after.chances
        arrays[f"{who}_truth"] = subject.truth(who)
    return cell, arrays


def _attack(
    plan: TableCellPlan,
    subject: TableSubject,
    target: TableTarget,
    prior: TablePrior,
    errors: Errors,
    who: Who,
    advance: Callable[[int, int], None],
) -> _Found:
    records = subject.records(who)
    if subject.knows == "prediction" and plan.defense.defenses:
        # What the attacker knows of each record left the model behind the same defences.
        said = _defended(subject.target, subject.part(who).rows, plan.defense)
        records = records._replace(response=said)
        errors = errors if plan.naive else errors.noisier(plan.defense.effect.deviation)
    if plan.attack.weighs_scores:
        errors = errors._replace(told=_told(plan, subject))
    if not len(records.known):
        nothing = Belief(np.empty((0, len(subject.candidates))))
        return _Found(nothing, nothing, np.empty(0, np.int64))
    expected = expected_queries(plan, subject) * len(records.known)
    ledger = QueryLedger(
        len(records.known), Limit(per_goal=plan.budget), lambda spent: advance(spent, expected)
    )
    view = TableView(
        target,
        plan.access,
        ledger,
        defense=plan.defense,
        noise=np.random.default_rng([plan.seed, 6]),
        told=not plan.naive,
    )
    rng = np.random.default_rng([plan.seed, 1])
    first, last = plan.attack.run(view, prior, records, errors, rng=rng)
    adaptation = plan.attack.adaptation(view)
    # What the model says moves belief between candidates; within one, the prior's stays.
    spread = prior.spread(records.known)
    before, after = (Belief(one.posterior, spread) for one in (first, last))
    return _Found(before, after, last.queries, adaptation)


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


def _utility(subject: TableSubject, defense: Pipeline) -> Utility:
    """Returns what the model is worth behind a defence on rows that it was not trained on."""
    others, target = subject.data.others, subject.target
    if not len(others.rows):
        return Utility()
    plain = target.predict(others.rows)
    predictions = plain
    if defense.defenses:
        predictions = _defended(target, others.rows, defense)
    if target.classes is None:
        return Utility(
            mean_absolute_error=float(np.abs(predictions - others.response).mean()),
            dead=dead_regressor(predictions, others.response, "row"),
        )
    changed = float((predictions != plain).mean())
    return Utility(
        accuracy=float((predictions == others.response).mean()),
        label_changes=changed if defense.defenses else None,
        dead=dead_classifier(predictions, others.response, "row"),
    )


def _defended(target: TableTarget, rows: Rows, defense: Pipeline) -> Predictions:
    """Returns what the model says of rows behind defences, once."""
    view = TableView(target, Access.LABEL, QueryLedger(1), defense=defense)
    return view.predict(rows, np.zeros(len(rows), np.int64))


def _details(
    plan: TableCellPlan,
    subject: TableSubject,
    bench: TableBench,
    found: Mapping[Who, _Found],
    guard: GuardRecord | None,
) -> TableDetails:
    """Judges what was found, and returns what the report shows beside the rates."""
    schema = subject.data.schema
    inside, outside = found["members"], found["others"]
    members = judge_members(subject, bench, inside.after, inside.before)
    others = judge_others(subject, bench, outside.after, outside.before)
    return TableDetails(
        threat_model=(*threat_model(plan, subject), *inside.adaptation),
        attack=Component(
            name=plan.attack.name, parameters=parameters_of(plan.attack), paper=plan.attack.paper
        ),
        prior=Component(name=plan.prior.name, parameters=parameters_of(plan.prior)),
        worst_off=worst_off(members.groups),
        guard=guard,
        imputer=bench.imputer,
        sensitive=schema.sensitive,
        values=subject.candidates.labels if subject.tolerance is None else (),
        positive=subject.candidates.labels[subject.positive],
        members=members,
        others=others,
        difference=difference(members, others),
    )
