"""One cell of a run on tables: an attack with a prior on members and on others, judged."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from darkroom.auditing.blocks import Blocks
from darkroom.auditing.cell_plan import GUARD
from darkroom.auditing.record import (
    Component,
    CurvePoint,
    Difference,
    GuardRecord,
    Queries,
    Utility,
)
from darkroom.defenses.pipeline import Pipeline
from darkroom.named import parameters_of
from darkroom.statistics.chance import dead_classifier, dead_regressor
from darkroom.tables.cell_plan import TableCellPlan
from darkroom.tables.course import Found, defended, joined, together
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
from darkroom.tables.subject import TableSubject, Who
from darkroom.tables.words import threat_model

if TYPE_CHECKING:
    from darkroom.remote.guarded import Endpoint
    from darkroom.tables.targets.http import HttpTableTarget


# long: a record has many fields, and each is named once
def run_table_cell(
    key: str,
    plan: TableCellPlan,
    subject: TableSubject,
    prior: TablePrior,
    bench: TableBench,
    advance: Callable[[int, int], None],
    endpoint: Endpoint[HttpTableTarget] | None = None,
    blocks: Blocks | None = None,
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
        blocks: All of them made, where records were asked about apart.

    Returns:
        The cell, and the arrays for ``reconstructions.npz``.
    """
    began = time.monotonic()
    if blocks is None:
        found = together(plan, subject, prior, advance, endpoint)
    else:
        found = joined(plan, subject, prior, blocks)
    seconds = time.monotonic() - began + sum(one.seconds for one in found.values())
    total = int(sum(one.queries.sum() for one in found.values()))
    guard = None if endpoint is None else GuardRecord.of(endpoint.held(total))
    details = _details(plan, subject, bench, found, guard)
    members = details.members
    asked = int(np.median(found["members"].queries))
    success = members.success.attack
    inside, strongest = found["members"], members.over_strongest
    bits = bits_of(subject, bench, inside.after, inside.before, calibrated=plan.attack.calibrated)
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
        baseline=getattr(members.success, strongest.name),
        advantage=Difference(estimate=strongest.estimate, low=strongest.low, high=strongest.high),
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


def _utility(subject: TableSubject, defense: Pipeline) -> Utility:
    """Returns what the model is worth behind a defence on rows that it was not trained on."""
    others, target = subject.data.others, subject.target
    if not len(others.rows):
        return Utility()
    plain = target.predict(others.rows)
    predictions = plain
    if defense.defenses:
        predictions = defended(target, others.rows, defense)
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


def _details(
    plan: TableCellPlan,
    subject: TableSubject,
    bench: TableBench,
    found: Mapping[Who, Found],
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
