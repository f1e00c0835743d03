"""One cell of a run: an attack with a prior, judged at every milestone."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from darkroom.access import Access
from darkroom.images.attacks.base import Progress
from darkroom.images.cell_plan import ImageCellPlan
from darkroom.images.guarded import GUARD, Endpoint, until_refused
from darkroom.images.judges.images import nearest_photo
from darkroom.images.judges.panel import Panel
from darkroom.images.judging import Bench, chance_of, guess
from darkroom.images.priors.base import ImagePrior
from darkroom.images.subject import Subject
from darkroom.images.targets.view import View
from darkroom.images.utility import cost, utility
from darkroom.images.words import threat_model, worst_off
from darkroom.ledger import Limit, QueryLedger
from darkroom.named import parameters_of
from darkroom.statistics.intervals import Interval, clopper_pearson, newcombe
from darkroom.statistics.multiplicity import holm

SNAPSHOTS = 5

Arrays = dict[str, NDArray[Any]]


class Point(NamedTuple):
    """What the attack had at one milestone.

    Attributes:
        queries: The rows spent on the goal that cost most: a budget a goal at which every goal is
            this far.
        success: The judges' verdict on the best so far.
        confidence: The median over goals of the target's confidence; ``None`` where it shows none.
        frame: The best so far as bytes, ``(goals, channels, height, width)``.
    """

    queries: int
    success: Interval
    confidence: float | None
    frame: NDArray[np.uint8]


def run_cell(
    key: str,
    plan: ImageCellPlan,
    subject: Subject,
    prior: ImagePrior,
    bench: Bench,
    advance: Callable[[int, int], None],
    endpoint: Endpoint | None = None,
) -> tuple[dict[str, Any], Arrays]:
    """Attacks all people and judges what comes out.

    Args:
        key: The cell's.
        plan: What to run.
        subject: The target and the truth.
        prior: The fitted prior.
        bench: The judges and their errors.
        advance: Told how many of the expected queries are spent.
        endpoint: Where the attacker asks, in a cell behind a guard; the audit itself asks the
            subject's target.

    Returns:
        The cell as ``results.json`` has it, and the arrays for ``reconstructions.npz``.
    """
    plan = replace(plan, defense=subject.fitted(plan.defense))
    goals = subject.goals
    expected = plan.attack.expected_queries() * len(goals)
    ledger = QueryLedger(
        len(goals), Limit(per_goal=plan.budget), lambda spent: advance(spent, expected)
    )
    view = View(
        subject.target if endpoint is None else endpoint.target,
        plan.access,
        ledger,
        defense=plan.defense,
        noise=np.random.default_rng([plan.seed, 6]),
        k=plan.k,
        told=not plan.naive,
    )
    rng = np.random.default_rng([plan.seed, 1])
    began = time.monotonic()
    points = []
    steps = plan.attack.run(view, prior, goals, rng=rng)
    if endpoint is not None:
        endpoint.begin()
        steps = until_refused(steps, prior, ledger)
    for progress in steps:
        progress = _with_confidence(progress, subject)
        success = _rate(bench.panel.judge(progress.reconstructions).names(goals))
        median = _known(progress.confidence)
        frame = _bytes(subject.unit(progress.reconstructions))
        points.append(Point(int(progress.queries.max()), success, median, frame))
    seconds = time.monotonic() - began
    people, photos = _people(progress, subject, bench, prior, plan.seed)
    kept = sorted(
        {int(index) for index in np.linspace(0, len(points) - 1, SNAPSHOTS, endpoint=False)}
    )
    details = _details(plan, subject, bench, people, points, plan.attack.adaptation(view))
    details["snapshots"] = [points[index].queries for index in kept]
    if endpoint is not None:
        details["guard"] = endpoint.record(ledger.total)
    cell = {
        "key": key,
        "kind": "images",
        "target": subject.target.name,
        "defense": plan.defense.name if endpoint is None else GUARD,
        "attack": plan.attack.name,
        "attacker": "naive" if plan.naive else "adaptive",
        "access": str(view.access),
        "prior": plan.prior.name,
        "goals": len(goals),
        "queries": {
            "per_goal_median": float(np.median(progress.queries)),
            "total": ledger.total,
        },
        **_rates(people, bench, prior, goals, plan.seed),
        "curve": [
            {"queries": point.queries, "success": point.success.estimate}
            for point in _asked(points)
        ],
        "confidence": {
            "median": points[-1].confidence,
            "reached": None
            if np.isnan(progress.confidence).any()
            else float((progress.confidence >= plan.attack.confidence).mean()),
        },
        "judges": bench.rates(),
        # What a guard costs and leaves is for benchmarks: asking it would spend its budget.
        "utility": utility(subject, plan.defense) if endpoint is None else {},
        "cost": cost(subject, plan.defense) if endpoint is None else None,
        "seconds": seconds,
        "details": details,
    }
    arrays: Arrays = {
        "images": progress.reconstructions,
        "goals": goals,
        "snapshots": np.stack([points[index].frame for index in kept]),
        "photos": _bytes(subject.unit(photos)),
    }
    return cell, arrays


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


def _bytes(unit: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Turns images between zero and one into bytes."""
    return (unit * 255).round().astype(np.uint8)


def _rates(
    people: list[dict[str, Any]],
    bench: Bench,
    prior: ImagePrior,
    goals: NDArray[np.int64],
    seed: int,
) -> dict[str, Any]:
    """Returns success, the same attacker's success without the model, and the difference."""
    hits = sum(person["success"] for person in people)
    guessed = bench.panel.judge(guess(prior, len(goals), seed)).names(goals)
    lucky = int(guessed.sum())
    return {
        "success": clopper_pearson(hits, len(people))._asdict(),
        "baseline": _rate(guessed)._asdict(),
        "advantage": newcombe(hits, len(people), lucky, len(guessed))._asdict(),
    }


def _people(
    progress: Progress, subject: Subject, bench: Bench, prior: ImagePrior, seed: int
) -> tuple[list[dict[str, Any]], NDArray[np.float32]]:
    """Returns what the report says of each person, and the nearest real photo of each."""
    goals, images = subject.goals, progress.reconstructions
    judged = bench.panel.judge(images)
    success, votes = judged.names(goals), judged.votes(goals)
    seen = subject.seen
    near = nearest_photo(
        subject.unit(images), goals, subject.unit(seen.images), seen.people, bench.space
    )
    p_values, made = chance_of(images, subject, bench, prior, seed)
    adjusted = holm(p_values)
    people = [
        {
            "goal": int(goal),
            "name": subject.private.names[goal],
            "queries": int(progress.queries[row]),
            "confidence": _known(progress.confidence[row : row + 1]),
            "distance": float(judged.distances[row]),
            "plausible": bool(judged.plausible[row]),
            "votes": [bool(vote) for vote in votes[row]],
            "success": bool(success[row]),
            "photo": {
                "index": int(seen.numbers[near.photo[row]]),
                "ssim": float(near.ssim[row]),
                "distance": float(near.distance[row]),
            },
            "p_value": float(p_values[row]),
            "p_adjusted": float(adjusted[row]),
            "images": made,
        }
        for row, goal in enumerate(goals)
    ]
    return people, seen.images[near.photo]


def _details(
    plan: ImageCellPlan,
    subject: Subject,
    bench: Bench,
    people: list[dict[str, Any]],
    points: list[Point],
    adaptation: Sequence[str],
) -> dict[str, Any]:
    """Returns what the report shows beside the rates."""
    return {
        "threat_model": [*threat_model(plan, subject), *adaptation],
        "attack": {"name": plan.attack.name, "parameters": parameters_of(plan.attack)},
        "prior": {"name": plan.prior.name, "parameters": parameters_of(plan.prior)},
        "judge_names": list(Panel.names),
        "judges": bench.errors(),
        "gate": {"limit": bench.panel.gate.limits.residual},
        "curve": [
            {
                "queries": point.queries,
                "success": point.success.estimate,
                "low": point.success.low,
                "high": point.success.high,
                "confidence_median": point.confidence,
            }
            for point in _asked(points)
        ],
        "people": people,
        "worst_off": worst_off(people),
    }
