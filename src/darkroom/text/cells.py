"""One cell of a run on a language model: an attack on canaries and controls, judged."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from darkroom.access import LanguageAccess
from darkroom.auditing.cell_plan import GUARD
from darkroom.auditing.record import (
    Bits,
    Component,
    Confidence,
    CurvePoint,
    Difference,
    GuardRecord,
    Queries,
    Share,
    Utility,
)
from darkroom.ledger import BudgetExhausted, QueryLedger
from darkroom.named import parameters_of
from darkroom.statistics.intervals import clopper_pearson, newcombe
from darkroom.statistics.multiplicity import holm
from darkroom.statistics.one_run import epsilon_bounds
from darkroom.text.asking import adaptation, attacker_view, course, unwatched
from darkroom.text.attacks.base import NOTHING, SecretGoal, SecretProgress
from darkroom.text.canaries import Canaries, Canary
from darkroom.text.cell_plan import TextCellPlan
from darkroom.text.exposure.bits import gained, inserted_against_controls
from darkroom.text.exposure.measure import Exposure
from darkroom.text.record import (
    Before,
    CanaryExposure,
    CanaryRecord,
    Epsilon,
    Format,
    GroupExposure,
    Memory,
    Repetition,
    TextCell,
    TextDetails,
)
from darkroom.text.subject import TextSubject
from darkroom.text.targets.base import LanguageTarget
from darkroom.text.tree import search_tree
from darkroom.text.words import threat_model, worst_off

if TYPE_CHECKING:
    from darkroom.remote.guarded import Endpoint
    from darkroom.text.targets.openai import OpenAITarget

Hits = NDArray[np.bool_]

DELTA = 1e-5
"""At which epsilon is bounded: that of ``dp-sgd`` unless told otherwise."""


class Attacked(NamedTuple):
    """What came of an attack on all canaries.

    Attributes:
        points: Its course.
        last: Its answer.
        hits: Whether the first guess is the secret, for each canary.
        total: Rows spent in all.
        adaptation: What the attack did about what the view withholds, in sentences.
    """

    points: tuple[CurvePoint, ...]
    last: SecretProgress
    hits: Hits
    total: int
    adaptation: tuple[str, ...]


# long: a record has many fields, and each is named once
def run_text_cell(
    key: str,
    plan: TextCellPlan,
    subject: TextSubject,
    exposures: Sequence[Exposure] | None,
    exposures_before: Sequence[Exposure] | None,
    utility: Utility,
    advance: Callable[[int, int], None],
    endpoint: Endpoint[OpenAITarget] | None = None,
) -> tuple[TextCell, dict[str, NDArray[Any]]]:
    """Attacks canaries and controls alike, and judges what comes out.

    Args:
        key: The cell's.
        plan: What to run.
        subject: The model and the truth.
        exposures: Of each canary, if the model tells.
        exposures_before: The same, of the model before it was trained on them.
        utility: What the model is worth behind the defence.
        advance: Told how many of the expected queries are spent.
        endpoint: Where the attacker asks, in a cell behind a guard.

    Returns:
        The cell, and the arrays for ``reconstructions.npz``; no secret is in either, but as a
        keyed hash.
    """
    canaries = subject.canaries.canaries
    inserted = _inserted(canaries)
    began = time.monotonic()
    target: LanguageTarget = subject.target
    if endpoint is not None:
        target = endpoint.target
        endpoint.begin()
    attacked = _attack(plan, target, subject.canaries, advance)
    seconds = time.monotonic() - began
    guard = None if endpoint is None else GuardRecord.of(endpoint.held(attacked.total))
    hits, lucky = int(attacked.hits[inserted].sum()), int(attacked.hits[~inserted].sum())
    n, controls = int(inserted.sum()), int((~inserted).sum())
    found = [one for one, kept in zip(attacked.last.found, inserted, strict=True) if kept]
    cell = TextCell(
        key=key,
        target=subject.target.name,
        defense=plan.defense.name if endpoint is None else GUARD,
        attack=plan.attack.name,
        attacker="naive" if plan.naive else "adaptive",
        access=plan.access,
        prior="format",
        goals=n,
        queries=Queries(
            per_goal_median=int(np.median(attacked.last.queries[inserted])), total=attacked.total
        ),
        success=Share.of(clopper_pearson(hits, n)),
        baseline=Share.of(clopper_pearson(lucky, controls)),
        advantage=Difference.of(newcombe(hits, n, lucky, controls)),
        bits=_bits(plan, subject.canaries, exposures),
        curve=attacked.points,
        confidence=Confidence(reached=float(np.mean([one.certain for one in found]))),
        utility=utility,
        seconds=seconds,
        details=_details(plan, subject, attacked, exposures, exposures_before, guard),
    )
    return cell, _arrays(canaries, attacked, exposures)


def _attack(
    plan: TextCellPlan,
    target: LanguageTarget,
    canaries: Canaries,
    advance: Callable[[int, int], None],
) -> Attacked:
    every = canaries.canaries
    inserted = _inserted(every)
    goals = [SecretGoal(one.before, one.after, one.format) for one in every]
    view = attacker_view(plan, target, len(goals), advance)
    rng = np.random.default_rng([plan.seed, 1])
    filtered = target.filtered
    # From how many queries on each goal's first guess was right, and stayed so.
    since = np.full(len(goals), np.inf)
    for progress in until_refused(plan.attack.run(view, goals, rng=rng), view.ledger):
        hits = _hits(progress, every)
        since = np.where(hits, np.minimum(since, progress.queries), np.inf)
    points = course(since[inserted], int(progress.queries[inserted].max()))
    said = adaptation(plan, view, target.filtered - filtered)
    return Attacked(points, progress, hits, view.ledger.total, said)


def until_refused(steps: Iterator[SecretProgress], ledger: QueryLedger) -> Iterator[SecretProgress]:
    """Yields what an attack has until a guard ends it; that it has at the end in any case.

    Args:
        steps: The attack's.
        ledger: What every goal cost when the guard refused.
    """
    last = SecretProgress(ledger.spent, (NOTHING,) * len(ledger.spent))
    try:
        for progress in steps:
            last = progress
            yield progress
    except BudgetExhausted:
        yield last._replace(queries=ledger.spent)


def _inserted(canaries: Sequence[Canary]) -> Hits:
    """Tells canaries that are in the training data from controls."""
    return np.array([canary.repetitions > 0 for canary in canaries])


def _hits(progress: SecretProgress, canaries: Sequence[Canary]) -> Hits:
    pairs = zip(progress.found, canaries, strict=True)
    return np.array([found.first == canary.secret for found, canary in pairs])


def _details(
    plan: TextCellPlan,
    subject: TextSubject,
    attacked: Attacked,
    exposures: Sequence[Exposure] | None,
    exposures_before: Sequence[Exposure] | None,
    guard: GuardRecord | None,
) -> TextDetails:
    """Returns what the report shows beside the rates; no secret is in it."""
    canaries = subject.canaries
    formats = "; ".join(one.describe() for one in canaries.formats)
    rows = _canary_rows(canaries, attacked, exposures)
    return TextDetails(
        threat_model=(*threat_model(plan, subject), *attacked.adaptation),
        attack=Component(name=plan.attack.name, parameters=parameters_of(plan.attack)),
        prior=Component(name="format", parameters={"format": formats}),
        worst_off=worst_off(rows),
        guard=guard,
        formats=_formats(canaries, attacked.hits, exposures),
        commitment=canaries.commitment(),
        groups=_groups(canaries.canaries, attacked.hits, exposures),
        canaries=rows,
        memory=_memory(canaries.canaries, exposures),
        before=_before(plan, subject, exposures_before),
        epsilon=_epsilon(canaries, exposures),
        tree=None if guard else search_tree(plan, subject, attacked.hits, exposures),
    )


def _canary_rows(
    canaries: Canaries, attacked: Attacked, exposures: Sequence[Exposure] | None
) -> tuple[CanaryRecord, ...]:
    """Returns what is said of each canary, with its secret as a keyed hash and masked."""
    adjusted = None
    if exposures is not None:
        adjusted = holm(np.array([one.p_value for one in exposures]))
    rows = []
    for number, canary in enumerate(canaries.canaries):
        exposure = None if exposures is None else exposures[number]
        rows.append(
            CanaryRecord(
                owner=canary.owner,
                secret=canaries.hashed(canary.secret),
                masked=canary.masked,
                candidates=canary.format.bits,
                repetitions=canary.repetitions,
                extracted=bool(attacked.hits[number]),
                certain=attacked.last.found[number].certain,
                queries=int(attacked.last.queries[number]),
                exposure=None if exposure is None else CanaryExposure.of(exposure),
                p_value=None if exposure is None else exposure.p_value,
                p_adjusted=None if adjusted is None else float(adjusted[number]),
            )
        )
    return tuple(rows)


def _groups(
    canaries: Sequence[Canary], hits: Hits, exposures: Sequence[Exposure] | None
) -> tuple[Repetition, ...]:
    """Returns extraction and exposure by repetition; 0 repetitions are the controls."""
    repetitions = np.array([canary.repetitions for canary in canaries])
    groups = []
    for count in sorted(set(repetitions.tolist())):
        chosen = np.flatnonzero(repetitions == count).tolist()
        groups.append(
            Repetition(
                repetitions=count,
                n=len(chosen),
                extracted=Share.of(clopper_pearson(int(hits[chosen].sum()), len(chosen))),
                exposure=_group_exposure(exposures, chosen),
            )
        )
    return tuple(groups)


def _group_exposure(
    exposures: Sequence[Exposure] | None, chosen: Sequence[int]
) -> GroupExposure | None:
    if exposures is None or not chosen:
        return None
    bits = [exposures[row].bits for row in chosen]
    return GroupExposure(median=float(np.median(bits)), least=min(bits), most=max(bits))


def _formats(
    canaries: Canaries, hits: Hits, exposures: Sequence[Exposure] | None
) -> tuple[Format, ...]:
    """Returns extraction and exposure by format."""
    inserted = _inserted(canaries.canaries)
    found = []
    for one in canaries.formats:
        own = np.array([canary.format is one for canary in canaries.canaries])
        learned, controls = np.flatnonzero(own & inserted), np.flatnonzero(own & ~inserted)
        found.append(
            Format(
                description=one.describe(),
                candidates=str(one.size),
                bits=one.bits,
                n=len(learned),
                extracted=_share(hits, learned),
                controls=_share(hits, controls),
                exposure=_group_exposure(exposures, learned.tolist()),
            )
        )
    return tuple(found)


def _share(hits: Hits, chosen: NDArray[np.intp]) -> Share | None:
    if not len(chosen):
        return None
    return Share.of(clopper_pearson(int(hits[chosen].sum()), len(chosen)))


def _bits(
    plan: TextCellPlan, canaries: Canaries, exposures: Sequence[Exposure] | None
) -> Bits | None:
    """Returns how many bits an attacker gains who sees what exposures were measured with."""
    seen = plan.defense.one is None and plan.guarded is None
    if exposures is None or not seen or not plan.access.includes(LanguageAccess.LOGPROBS):
        return None
    told = np.array([one.bits for one in exposures])
    inserted = _inserted(canaries.canaries)
    most = float(np.mean([one.format.bits for one in canaries.inserted]))
    estimate, low, high = gained(told[inserted], told[~inserted], most)
    return Bits(estimate=estimate, low=low, high=high, most=most)


def _memory(canaries: Sequence[Canary], exposures: Sequence[Exposure] | None) -> Memory | None:
    """Tests whether inserted secrets are more exposed than controls."""
    if exposures is None:
        return None
    bits = np.array([one.bits for one in exposures])
    inserted = _inserted(canaries)
    controls = bits[~inserted]
    return Memory(
        p_value=inserted_against_controls(bits[inserted], controls),
        control_median=float(np.median(controls)),
        inserted_median=float(np.median(bits[inserted])),
    )


def _epsilon(canaries: Canaries, exposures: Sequence[Exposure] | None) -> Epsilon | None:
    """Bounds the epsilon of the training by the canaries that are least often in the data."""
    if exposures is None:
        return None
    bits = np.array([one.bits for one in exposures])
    repetitions = np.array([one.repetitions for one in canaries.canaries])
    fewest = int(repetitions[repetitions > 0].min())
    inside, outside = bits[repetitions == fewest], bits[repetitions == 0]
    bounds = epsilon_bounds(inside, outside, delta=DELTA)
    return Epsilon(
        repetitions=fewest,
        inserted=len(inside),
        controls=len(outside),
        delta=DELTA,
        pure=bounds.pure,
        gaussian=bounds.gaussian,
        coins=canaries.coins,
    )


def _before(
    plan: TextCellPlan, subject: TextSubject, exposures: Sequence[Exposure] | None
) -> Before | None:
    """Returns what the same attack gets from the model before training."""
    if subject.before is None:
        return None
    attacked = _attack(plan, subject.before, subject.canaries, unwatched)
    inserted = _inserted(subject.canaries.canaries)
    rate = clopper_pearson(int(attacked.hits[inserted].sum()), int(inserted.sum()))
    median = None
    if exposures is not None:
        bits = [one.bits for one, kept in zip(exposures, inserted, strict=True) if kept]
        median = float(np.median(bits))
    return Before(extracted=Share.of(rate), exposure_median=median)


def _arrays(
    canaries: Sequence[Canary], attacked: Attacked, exposures: Sequence[Exposure] | None
) -> dict[str, NDArray[Any]]:
    unknown = np.full(len(canaries), np.nan)
    return {
        "goals": np.arange(len(canaries)),
        "repetitions": np.array([canary.repetitions for canary in canaries]),
        "extracted": attacked.hits,
        "queries": attacked.last.queries,
        "exposure": unknown if exposures is None else np.array([one.bits for one in exposures]),
    }
