"""One cell of a run: an attack with a prior, judged at every milestone."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from darkroom.access import Access
from darkroom.auditing.blocks import Blocks
from darkroom.auditing.cell_plan import GUARD
from darkroom.auditing.record import (
    Component,
    Confidence,
    CurvePoint,
    Difference,
    GuardRecord,
    Queries,
    Share,
    Utility,
)
from darkroom.images.attacks.base import Progress
from darkroom.images.cell_plan import ImageCellPlan
from darkroom.images.course import Step, counted, joined, together, viewed
from darkroom.images.judging import Bench
from darkroom.images.record import ImageCell, ImageDetails, NearestPhoto, Person
from darkroom.images.subject import Subject
from darkroom.images.targets.view import View
from darkroom.images.utility import cost, utility
from darkroom.images.words import threat_model
from darkroom.named import parameters_of
from darkroom.statistics.intervals import Interval, clopper_pearson
from darkroom.vision.guesses import Guesses, advantage
from darkroom.vision.judges.images import nearest_photo
from darkroom.vision.judges.plausibility import Measures
from darkroom.vision.pixels import snapshots, to_bytes
from darkroom.vision.priors.base import ImagePrior
from darkroom.vision.ranking import Ranked, bits_of, rank_people
from darkroom.vision.record import GateMeasures
from darkroom.vision.words import worst_off

if TYPE_CHECKING:
    from darkroom.images.targets.http import HttpTarget
    from darkroom.remote.guarded import Endpoint


Arrays = dict[str, NDArray[Any]]


class Point(NamedTuple):
    """What the attack had at one milestone.

    Attributes:
        queries: The rows spent on the goal that cost most: a budget a goal at which every goal is
            this far.
        success: The judges' verdict on the best so far.
        confidence: The median over goals of the target's confidence; ``None`` where it shows none.
        bits: How far it narrows down the people, where that is measured.
        frame: The best so far as bytes, ``(goals, channels, height, width)``.
    """

    queries: int
    success: Interval
    confidence: float | None
    bits: float | None
    frame: NDArray[np.uint8]


class _Attacked(NamedTuple):
    """What came of an attack.

    Attributes:
        view: What it asked.
        points: Its course.
        last: Its answer.
        total: Rows spent in all.
        seconds: How long it took.
    """

    view: View
    points: list[Point]
    last: Progress
    total: int
    seconds: float

    def images(self, subject: Subject) -> NDArray[np.float32]:
        """Returns its answer in [0, 1], ``(goals, channels, height, width)``."""
        return subject.unit(self.last.reconstructions)

    @property
    def kept(self) -> list[Point]:
        """The points that have their frame in ``reconstructions.npz``."""
        return snapshots(self.points)


# long: a record has many fields, and each is named once
def run_cell(
    key: str,
    plan: ImageCellPlan,
    subject: Subject,
    prior: ImagePrior,
    bench: Bench,
    advance: Callable[[int, int], None],
    endpoint: Endpoint[HttpTarget] | None = None,
    blocks: Blocks | None = None,
) -> tuple[ImageCell, Arrays]:
    """Attacks all people and judges what comes out.

    Args:
        key: The cell's.
        plan: What to run, with its defence fitted.
        subject: The target and the truth.
        prior: The fitted prior.
        bench: The judges and their errors.
        advance: Told how many of the expected queries are spent.
        endpoint: Where the attacker asks, in a cell behind a guard; the audit itself asks the
            subject's target.
        blocks: All of them made, where the people were attacked apart.

    Returns:
        The cell, and the arrays for ``reconstructions.npz``.
    """
    guessed = bench.guessed(plan.prior, prior, subject, plan.seed)
    view = viewed(plan, subject, counted(plan, len(subject.goals), advance), endpoint)
    if blocks is None:
        steps = together(plan, subject.goals, prior, view, endpoint)
    else:
        steps = joined(blocks)
    attacked = _follow(steps, view, subject, bench, guessed)
    ranked = rank_people(
        bench.gallery,
        attacked.images(subject),
        bench.by_heart.likeness,
        guessed.log_ranks,
        plan.seed,
    )
    people, photos = _people(attacked.last, subject, bench, ranked)
    guard = None if endpoint is None else GuardRecord.of(endpoint.held(attacked.total))
    success = clopper_pearson(sum(person.success for person in people), len(people))
    without = guessed.baseline.share
    cell = ImageCell(
        key=key,
        target=subject.target.name,
        defense=plan.defense.name if endpoint is None else GUARD,
        attack=plan.attack.name,
        attacker="naive" if plan.naive else "adaptive",
        access=attacked.view.access,
        prior=plan.prior.name,
        goals=len(people),
        queries=Queries(
            per_goal_median=float(np.median(attacked.last.queries)), total=attacked.total
        ),
        success=Share.of(success),
        baseline=Share.of(without),
        advantage=Difference.of(advantage(success, without)),
        bits=None if ranked is None else ranked.bits,
        curve=tuple(
            CurvePoint.at(point.queries, point.success, point.bits)
            for point in _asked(attacked.points)
        ),
        confidence=_confidence(attacked, plan.attack.confidence),
        judges=bench.rates(),
        # What a guard costs and leaves is for benchmarks: asking it would spend its budget.
        utility=utility(subject, plan.defense) if endpoint is None else Utility(),
        cost=cost(subject, plan.defense) if endpoint is None else None,
        seconds=attacked.seconds,
        details=_details(plan, subject, bench, attacked, people, ranked, guessed, guard),
    )
    arrays: Arrays = {
        "images": attacked.last.reconstructions,
        "goals": subject.goals,
        "snapshots": np.stack([point.frame for point in attacked.kept]),
        "photos": to_bytes(subject.unit(photos)),
    }
    return cell, arrays


def _follow(
    steps: Iterator[Step], view: View, subject: Subject, bench: Bench, guessed: Guesses
) -> _Attacked:
    """Judges an attack at every milestone."""
    began = time.monotonic()
    points = []
    for step in steps:
        progress = _with_confidence(step.progress, subject)
        success = _rate(bench.panel.judge(progress.reconstructions).names(subject.goals))
        median = _known(progress.confidence)
        images = subject.unit(progress.reconstructions)
        bits = bits_of(bench.gallery, images, guessed.log_ranks)
        points.append(Point(int(progress.queries.max()), success, median, bits, to_bytes(images)))
    return _Attacked(view, points, progress, step.total, step.seconds + time.monotonic() - began)


def _confidence(attacked: _Attacked, wanted: float) -> Confidence:
    found = attacked.last.confidence
    reached = None if np.isnan(found).any() else float((found >= wanted).mean())
    return Confidence(median=attacked.points[-1].confidence, reached=reached)


def _with_confidence(progress: Progress, subject: Subject) -> Progress:
    """Fills in confidences that the attacker could not see or pay for; the audit itself may ask.

    Those of a target that shows no scores stay unknown.
    """
    unknown = np.isnan(progress.confidence)
    if not unknown.any() or not subject.target.access.includes(Access.SCORES):
        return progress
    scores = subject.target.scores(progress.reconstructions[unknown])
    confidence = progress.confidence.copy()
    confidence[unknown] = scores[np.arange(len(scores)), subject.goals[unknown]]
    return progress._replace(confidence=confidence)


def _known(confidence: NDArray[np.float64]) -> float | None:
    """Returns the median of the confidences that are known, or ``None`` without any."""
    known = confidence[~np.isnan(confidence)]
    return float(np.median(known)) if len(known) else None


def _asked(points: list[Point]) -> list[Point]:
    """Returns the last point at each number of queries, without the start, which asks nothing."""
    latest = {point.queries: point for point in points if point.queries > 0}
    return list(latest.values())


def _rate(hits: NDArray[np.bool_]) -> Interval:
    return clopper_pearson(int(hits.sum()), len(hits))


def _people(
    progress: Progress, subject: Subject, bench: Bench, ranked: Ranked | None
) -> tuple[list[Person], NDArray[np.float32]]:
    """Returns what the report says of each person, and the nearest real photo of each."""
    goals, images = subject.goals, progress.reconstructions
    judged = bench.panel.judge(images)
    success, votes = judged.names(goals), judged.votes(goals)
    seen = subject.seen
    near = nearest_photo(
        subject.unit(images), goals, subject.unit(seen.images), seen.people, bench.space
    )
    people = [
        Person(
            goal=int(goal),
            name=subject.private.names[goal],
            queries=int(progress.queries[row]),
            confidence=_known(progress.confidence[row : row + 1]),
            measures=_measures(judged.measures, row),
            plausible=bool(judged.plausible[row]),
            votes=tuple(bool(vote) for vote in votes[row]),
            success=bool(success[row]),
            photo=NearestPhoto(
                index=int(seen.numbers[near.photo[row]]),
                ssim=float(near.ssim[row]),
                distance=float(near.distance[row]),
            ),
            rank=1 if ranked is None else int(ranked.ranks.rank[row]),
            p_value=1.0 if ranked is None else float(ranked.ranks.p_value[row]),
            p_adjusted=1.0 if ranked is None else float(ranked.ranks.p_adjusted[row]),
        )
        for row, goal in enumerate(goals)
    ]
    return people, seen.images[near.photo]


def _measures(measures: Measures, row: int) -> GateMeasures:
    """Returns what the gate measured of one image."""
    return GateMeasures.of(Measures(*(values[row] for values in measures)))


def _details(
    plan: ImageCellPlan,
    subject: Subject,
    bench: Bench,
    attacked: _Attacked,
    people: list[Person],
    ranked: Ranked | None,
    guessed: Guesses,
    guard: GuardRecord | None,
) -> ImageDetails:
    """Returns what the report shows beside the rates."""
    adaptation = plan.attack.adaptation(attacked.view)
    return ImageDetails(
        threat_model=(*threat_model(plan, subject), *adaptation),
        attack=Component(name=plan.attack.name, parameters=parameters_of(plan.attack)),
        prior=Component(name=plan.prior.name, parameters=parameters_of(plan.prior)),
        judge_names=bench.panel.names,
        judges=bench.errors(),
        gate=GateMeasures.of(bench.panel.gate.limits),
        snapshots=tuple(point.queries for point in attacked.kept),
        people=tuple(people),
        worst_off=None
        if ranked is None
        else worst_off(people, ranked.record.strangers, ranked.alone, bench.by_heart.recognised),
        ranking=None if ranked is None else ranked.record,
        draws=guessed.baseline.draws,
        guard=guard,
    )
