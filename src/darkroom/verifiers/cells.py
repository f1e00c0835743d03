"""One cell of a run: an attack with a prior, measured at every milestone."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from darkroom.auditing.cell_plan import GUARD
from darkroom.auditing.record import (
    Component,
    CurvePoint,
    Difference,
    GuardRecord,
    Queries,
    Share,
    Utility,
)
from darkroom.ledger import Limit, QueryLedger
from darkroom.named import parameters_of
from darkroom.verifiers.acceptance import Point, Read, places_read, read_acceptance, share_of
from darkroom.verifiers.attacks.base import Knowledge, Progress
from darkroom.verifiers.cell_plan import VerifierCellPlan
from darkroom.verifiers.judging import VerifierBench
from darkroom.verifiers.record import (
    EnrolledPerson,
    Likeness,
    Milestone,
    Reading,
    Threshold,
    VerifierCell,
    VerifierDetails,
)
from darkroom.verifiers.subject import VerifierSubject
from darkroom.verifiers.targets.base import Verifier
from darkroom.verifiers.targets.view import View
from darkroom.verifiers.words import happened, threat_model
from darkroom.vision.guesses import Guesses, advantage
from darkroom.vision.judges.accuracy import Rate
from darkroom.vision.judging import measured
from darkroom.vision.pixels import snapshots, to_bytes
from darkroom.vision.priors.base import ImagePrior
from darkroom.vision.ranking import Ranked, bits_of, rank_people
from darkroom.vision.record import GateMeasures
from darkroom.vision.words import worst_off

if TYPE_CHECKING:
    from darkroom.remote.guarded import Endpoint
    from darkroom.verifiers.targets.http import HttpVerifier

MARKS = 24
"""Milestones that are measured, evenly over the logarithm of queries."""

Arrays = dict[str, NDArray[Any]]


class _Attacked(NamedTuple):
    """What came of an attack: its course, and what it cost."""

    points: list[Point]
    total: int
    seconds: float
    adaptation: tuple[str, ...]
    guard: GuardRecord | None

    @property
    def last(self) -> Point:
        """Its answer."""
        return self.points[-1]

    @property
    def kept(self) -> list[Point]:
        """The points that have their frame in ``reconstructions.npz``."""
        return snapshots(self.points)


# long: a record has many fields, and each is named once
def run_cell(
    key: str,
    plan: VerifierCellPlan,
    subject: VerifierSubject,
    prior: ImagePrior,
    bench: VerifierBench,
    advance: Callable[[int, int], None],
    endpoint: Endpoint[HttpVerifier] | None = None,
) -> tuple[VerifierCell, Arrays]:
    """Attacks all people, and measures impersonation and likeness.

    Args:
        key: The cell's.
        plan: What to run.
        subject: The verifier and the truth.
        prior: The fitted prior.
        bench: The judges and their errors.
        advance: Told how many of the expected queries are spent.
        endpoint: Where the attacker asks, in a cell behind a guard; the audit itself asks the
            subject's target.

    Returns:
        The cell, and the arrays for ``reconstructions.npz``.
    """
    guessed = bench.guessed(plan.prior, prior, subject, plan.seed)
    attacked = _attack(plan, subject, prior, bench, guessed, advance, endpoint)
    last = attacked.last
    ranked = rank_people(
        bench.gallery,
        subject.unit(last.progress.reconstructions),
        bench.by_heart.likeness,
        guessed.log_ranks,
        plan.seed,
    )
    read = read_acceptance(attacked.points, subject)
    cell = VerifierCell(
        key=key,
        target=subject.target.name,
        defense=plan.defense.name if endpoint is None else GUARD,
        attack=plan.attack.name,
        attacker="naive" if plan.naive else "adaptive",
        access=plan.access,
        prior=plan.prior.name,
        goals=len(subject.goals),
        queries=Queries(
            per_goal_median=float(np.median(last.progress.queries)), total=attacked.total
        ),
        success=Share.of(share_of(read.point.accepted(subject))),
        baseline=Share.of(subject.operating.dictionary(read.point.queries)),
        advantage=read.gained,
        bits=None if ranked is None else ranked.bits,
        curve=tuple(
            CurvePoint.at(point.queries, share_of(point.accepted(subject)), point.bits)
            for point in attacked.points
            if point.queries
        ),
        utility=Utility(accuracy=_utility(subject)),
        seconds=attacked.seconds,
        details=_details(plan, subject, bench, attacked, read, ranked, guessed),
    )
    seen = subject.seen
    arrays: Arrays = {
        "images": last.progress.reconstructions,
        "goals": subject.goals,
        "snapshots": np.stack(
            [to_bytes(subject.unit(point.progress.reconstructions)) for point in attacked.kept]
        ),
        "photos": to_bytes(subject.unit(seen.images[_photos(subject)])),
    }
    return cell, arrays


def _attack(
    plan: VerifierCellPlan,
    subject: VerifierSubject,
    prior: ImagePrior,
    bench: VerifierBench,
    guessed: Guesses,
    advance: Callable[[int, int], None],
    endpoint: Endpoint[HttpVerifier] | None,
) -> _Attacked:
    """Runs the attack and measures it at every milestone."""
    goals = len(subject.goals)
    attack = plan.attack if plan.budget is None else plan.attack.within(plan.budget)
    expected = attack.expected_queries()
    ledger = QueryLedger(
        goals, Limit(per_goal=plan.budget), lambda spent: advance(spent, expected * goals)
    )
    view = _view(plan, subject.target if endpoint is None else endpoint.target, ledger)
    knowledge = Knowledge(prior, subject.public.images, subject.public.people)
    marks = _marks(min(expected, plan.budget or expected), places_read(subject))
    points: list[Point] = []
    latest: Progress | None = None
    if endpoint is not None:
        endpoint.begin()
    began = time.monotonic()
    for progress in attack.run(view, knowledge, rng=np.random.default_rng([plan.seed, 1])):
        spent = int(ledger.alone.max())
        latest = progress._replace(queries=ledger.alone)
        if not points or (marks and spent >= marks[0]):
            points.append(_point(spent, latest, subject, bench, guessed))
            latest = None
            marks = [mark for mark in marks if mark > spent]
    if latest is not None:
        points.append(_point(int(ledger.alone.max()), latest, subject, bench, guessed))
    seconds, adaptation = time.monotonic() - began, attack.adaptation(view)
    guard = None if endpoint is None else GuardRecord.of(endpoint.held(ledger.total))
    return _Attacked(points, ledger.total, seconds, adaptation, guard)


def _view(plan: VerifierCellPlan, verifier: Verifier, ledger: QueryLedger) -> View:
    """Returns what the attacker of a cell sees."""
    return View(
        verifier,
        plan.access,
        ledger,
        np.arange(verifier.people),
        defense=plan.defense,
        noise=np.random.default_rng([plan.seed, 6]),
        told=not plan.naive,
    )


def _marks(most: int, read: Sequence[int]) -> list[int]:
    """Returns numbers of queries at which progress is measured, those to read at too."""
    found = np.geomspace(1, max(most, 2), MARKS).round().astype(np.int64)
    round_ones = [n for n in (100, 300, 1000, *read) if n < most]
    return sorted({*found.tolist(), *round_ones})


def _point(
    queries: int,
    progress: Progress,
    subject: VerifierSubject,
    bench: VerifierBench,
    guessed: Guesses,
) -> Point:
    images = progress.reconstructions
    places = np.arange(len(images))
    other = bench.other_templates
    return Point(
        queries,
        progress,
        subject.target.scores(images, places),
        None if other is None else other.decisions(images, places),
        bench.panel.judge(images),
        bits_of(bench.gallery, subject.unit(images), guessed.log_ranks),
    )


def _details(
    plan: VerifierCellPlan,
    subject: VerifierSubject,
    bench: VerifierBench,
    attacked: _Attacked,
    read: Read,
    ranked: Ranked | None,
    guessed: Guesses,
) -> VerifierDetails:
    """Returns what the report shows beside the rates."""
    last, people = attacked.last, _people(attacked.last, subject, ranked)
    accepted = Share.of(share_of(read.point.accepted(subject)))
    likeness = _likeness(last, subject, bench, guessed)
    return VerifierDetails(
        threat_model=(*threat_model(plan, subject), *attacked.adaptation),
        attack=Component(
            name=plan.attack.name,
            parameters=parameters_of(plan.attack),
            paper=plan.attack.paper,
        ),
        prior=Component(name=plan.prior.name, parameters=parameters_of(plan.prior)),
        operating=threshold_record(subject),
        reading=Reading(queries=read.point.queries, looks=read.looks),
        likeness=likeness,
        other_template=None if last.other is None else Share.of(share_of(last.other)),
        happened=happened(accepted, read.gained, likeness.shown, likeness.advantage),
        course=tuple(_milestone(point, subject) for point in attacked.points if point.queries),
        judge_names=bench.panel.names,
        gate=GateMeasures.of(bench.panel.gate.limits),
        snapshots=tuple(point.queries for point in attacked.kept),
        people=tuple(people),
        worst_off=None
        if ranked is None
        else worst_off(people, ranked.record.strangers, ranked.alone, bench.by_heart.recognised),
        ranking=None if ranked is None else ranked.record,
        guard=attacked.guard,
    )


def threshold_record(subject: VerifierSubject) -> Threshold:
    """Returns the operating point as the report has it, in the owner's units."""
    point, metric = subject.operating, subject.target.metric
    refused = point.false_rejects
    return Threshold(
        unit=metric.unit,
        threshold=metric.of_score(point.threshold),
        wanted=point.wanted,
        false_accepts=Share.of(point.false_accepts),
        false_rejects=measured(Rate(0, point.genuine, point.genuine, refused)),
        strangers=point.strangers,
        pairs=point.pairs,
    )


def _likeness(
    last: Point, subject: VerifierSubject, bench: VerifierBench, guessed: Guesses
) -> Likeness:
    shown = share_of(last.judged.names(subject.goals))
    mistakes = [guessed.baseline.share]
    if bench.others.interval is not None:
        mistakes.append(bench.others.interval)
    mistaken = max(mistakes)
    return Likeness(
        shown=Share.of(shown),
        mistaken=Share.of(mistaken),
        advantage=Difference.of(advantage(shown, mistaken)),
        guessed=Share.of(guessed.baseline.share),
        plausible=Share.of(share_of(last.judged.plausible)),
        draws=guessed.baseline.draws,
        accuracy=measured(bench.accuracy.panel),
        others=measured(bench.others),
        likest=measured(bench.likest),
        held_out=bench.held_out,
    )


def _milestone(point: Point, subject: VerifierSubject) -> Milestone:
    return Milestone(
        queries=point.queries,
        accepted=float(point.accepted(subject).mean()),
        dictionary=subject.operating.dictionary(point.queries).estimate,
        shown=float(point.judged.names(subject.goals).mean()),
        other_template=None if point.other is None else float(point.other.mean()),
    )


def _people(last: Point, subject: VerifierSubject, ranked: Ranked | None) -> list[EnrolledPerson]:
    """Returns what the report says of each person."""
    goals, judged = subject.goals, last.judged
    votes, shown = judged.votes(goals), judged.names(goals)
    accepted, ranks = last.accepted(subject), None if ranked is None else ranked.ranks
    photos = _photos(subject)
    return [
        EnrolledPerson(
            goal=int(goal),
            name=subject.private.names[goal],
            queries=int(last.progress.queries[row]),
            score=_score(float(last.scores[row]), subject),
            accepted=bool(accepted[row]),
            other_template=None if last.other is None else bool(last.other[row]),
            measures=GateMeasures.of(
                type(judged.measures)(*(values[row] for values in judged.measures))
            ),
            plausible=bool(judged.plausible[row]),
            votes=tuple(bool(vote) for vote in votes[row]),
            shown=bool(shown[row]),
            photo=int(subject.seen.numbers[photos[row]]),
            rank=1 if ranks is None else int(ranks.rank[row]),
            p_value=1.0 if ranks is None else float(ranks.p_value[row]),
            p_adjusted=1.0 if ranks is None else float(ranks.p_adjusted[row]),
        )
        for row, goal in enumerate(goals)
    ]


def _score(found: float, subject: VerifierSubject) -> float | None:
    """Returns a score in the owner's units, or nothing where no face was found."""
    return subject.target.metric.of_score(found) if np.isfinite(found) else None


def _photos(subject: VerifierSubject) -> NDArray[np.int64]:
    """Returns the place of the first enrolled photo of everybody among those enrolled."""
    return np.searchsorted(subject.seen.people, subject.goals)


def _utility(subject: VerifierSubject) -> float | None:
    """Returns the share of other photos of the people that are accepted."""
    refused = subject.operating.false_rejects
    return None if refused is None else 1 - refused.estimate
