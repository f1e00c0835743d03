"""What noise costs the attacker: the queries until a score is known, fresh and sticking to inputs.

Each of some images, blends of two people in which the model wavers, is asked again and again, or
in its place near-duplicates; the attacker averages the answers, takes out the bias that cutting off
at zero and dividing by the sum leave, and has an estimate of the goal's score. By theory,
independent answers of deviation ``s`` take ``(s / e)**2`` until the root mean square error is
``e``; what ``s`` is after the division is worked out from the noise's moments.
"""

from __future__ import annotations

from bisect import bisect
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from benchmarks.claims import Claim, Outcome, Table, tell
from darkroom.defenses.base import OutputDefense
from darkroom.defenses.noise import Noise
from darkroom.defenses.pipeline import Pipeline
from darkroom.defenses.stealthy_shield import KeyedStealthyShield, StealthyShield
from darkroom.defenses.sticky_noise import StickyNoise
from darkroom.images.attacks.search.denoising import without_bias
from darkroom.images.targets.torch import TorchTarget

Images = NDArray[np.float32]
Rows = NDArray[np.float64]

DEVIATION, ERROR = 0.05, 0.01
MOST = 2048
CORNER = 8
"""The side of the squares in which an attacker draws that changes an image where least is seen."""

NUDGES = (("all", 1e-5), ("all", 0.01), ("all", 0.03), ("all", 0.1))
CORNERS = (("corners", 0.05), ("corners", 0.1), ("corners", 0.3))
"""Where near-duplicates differ and by how much of the range: the attacker takes what is best."""

QUICK_NUDGES = (("", 0.0), ("all", 1e-5), ("all", 0.03), ("corners", 0.1))

Nudge = tuple[str, float]


class Tried(NamedTuple):
    """One way of asking.

    Attributes:
        defense: What answers.
        where: Whether near-duplicates differ in all pixels or in the corners; "" for repeats.
        by: By how much they differ.
        queries: Until the error is at most :data:`ERROR`; ``None`` if it never is.
        error: After :data:`MOST` answers.
        draws: How often noise was drawn anew for an image, on average.
    """

    defense: str
    where: str
    by: float
    queries: int | None
    error: float
    draws: float


class Asked(NamedTuple):
    """What each of some images, or its near-duplicates, was answered by one defence.

    Attributes:
        answers: For each image, ``(MOST, classes)``.
        draws: For each image, how often was drawn anew.
    """

    answers: list[Rows]
    draws: list[int]


def averaging_claims(inputs: Path, *, quick: bool, seed: int) -> Outcome:
    """Measures the queries that noise costs, and what repeats and near-duplicates tell of SSD."""
    from benchmarks.images.employees import SECRET, employees_target

    tell("averaging noise away")
    target = employees_target(inputs)
    faces = np.load(inputs / "employees.npz")["images"]
    images, goals = wavering(target, faces, 8 if quick else 30, seed)
    truth = target.scores(images)
    key = (inputs / SECRET).read_bytes()
    seen = target.scores(faces[:, :8].reshape(-1, *faces.shape[2:]))
    people = np.repeat(np.arange(len(faces)), 8)
    noises: dict[str, OutputDefense] = {
        "fresh": Noise(DEVIATION),
        "exact": StickyNoise(DEVIATION, exact=True, key=key),
        "sticky": StickyNoise(DEVIATION, key=key),
    }
    shields: dict[str, OutputDefense] = {
        "stealthy-shield": StealthyShield(0.8),
        "keyed-stealthy-shield": KeyedStealthyShield(0.8, key=key),
    }
    defenses = {
        name: Pipeline((one,)).fitted(seen, people) for name, one in {**noises, **shields}.items()
    }
    tried: dict[str, list[Tried]] = {name: [] for name in noises}
    pulled = []
    for nudge in QUICK_NUDGES if quick else (("", 0.0), *NUDGES, *CORNERS):
        found = _ask(target, images, nudge, defenses, seed)
        for name in noises:
            tried[name].append(_averaged(name, nudge, found[name], goals, truth))
        pulled += [_shielded(name, nudge, found[name], truth) for name in shields]
    # One after another of each nudge, so that what repeats and what near-duplicates do is together.
    pulled.sort(key=lambda row: str(row[0]), reverse=True)
    return Outcome(_claims(tried, theory(truth, goals)), _tables(tried, pulled))


def _tables(tried: dict[str, list[Tried]], pulled: list[list[object]]) -> list[Table]:
    """Shows what averaging took off noise, and off Stealthy Shield."""
    return [
        Table(
            f"Queries until a score is known to {ERROR}, of {MOST} at most",
            ("noise of deviation 0.05", "where", "by", "queries to error 0.01", "error", "draws"),
            [list(one) for several in tried.values() for one in several],
        ),
        Table(
            f"Stealthy Shield against {MOST} repeats or near-duplicates",
            ("defence", "where", "by", "error, once", "error, averaged", "draws"),
            pulled,
        ),
    ]


def theory(truth: Rows, goals: NDArray[np.int64]) -> float:
    """Returns the answers that independent noise takes, on average over images.

    A score with noise, cut off at zero, has mean ``g`` and variance ``v``; the goal's is divided by
    the sum of all, so that the estimate varies as ``a - s * (sum of all) / E[sum]`` does.

    Args:
        truth: Scores without noise, ``(images, classes)``.
        goals: The class of each, ``(images,)``.
    """
    units = truth / DEVIATION
    density = np.exp(-(units**2) / 2) / np.sqrt(2 * np.pi)
    mean = truth * ndtr(units) + DEVIATION * density
    square = (truth**2 + DEVIATION**2) * ndtr(units) + truth * DEVIATION * density
    spread = square - mean**2
    rows = np.arange(len(goals))
    total, own = mean.sum(axis=1), spread[rows, goals]
    share = mean[rows, goals] / total
    variance = own * (1 - 2 * share) + share**2 * spread.sum(axis=1)
    return float(variance.mean()) / ERROR**2


def _claims(tried: dict[str, list[Tried]], expected: float) -> list[Claim]:
    fresh = tried["fresh"][0].queries
    exact = _best(tried["exact"])
    # What is never reached takes more than all that was asked.
    sticky = _best(tried["sticky"]) or MOST
    return [
        Claim(
            "fresh noise: queries to average it away over theory's, at least",
            0.5,
            None if fresh is None else fresh / expected,
        ),
        Claim(
            "fresh noise: queries to average it away over theory's, at most",
            2.0,
            None if fresh is None else fresh / expected,
            at_most=True,
        ),
        Claim(
            "sticky noise on exact bytes: queries by near-duplicates over fresh noise's",
            2.0,
            None if exact is None or fresh is None else exact / fresh,
            at_most=True,
        ),
        Claim(
            "sticky noise on quantised input: queries by near-duplicates over fresh noise's",
            10.0,
            None if fresh is None else sticky / fresh,
        ),
    ]


def _best(tried: list[Tried]) -> int | None:
    return min((one.queries for one in tried if one.queries is not None), default=None)


def wavering(
    target: TorchTarget, faces: Images, n: int, seed: int
) -> tuple[Images, NDArray[np.int64]]:
    """Returns blends of two people to which the model gives the first 0.2 to 0.8, and who it is."""
    rng = np.random.default_rng(seed)
    first = rng.integers(0, len(faces), 40 * n)
    second = (first + rng.integers(1, len(faces), 40 * n)) % len(faces)
    share = rng.uniform(0.3, 0.7, (40 * n, 1, 1, 1)).astype(np.float32)
    photo = rng.integers(0, faces.shape[1], 40 * n)
    blends = share * faces[first, photo] + (1 - share) * faces[second, photo]
    scores = target.scores(blends.astype(np.float32))[np.arange(40 * n), first]
    chosen = np.flatnonzero((scores > 0.2) & (scores < 0.8))[:n]
    return blends[chosen].astype(np.float32), first[chosen]


def _ask(
    target: TorchTarget, images: Images, nudge: Nudge, defenses: dict[str, Pipeline], seed: int
) -> dict[str, Asked]:
    """Asks each defence :data:`MOST` times about each image, or its near-duplicates."""
    rng = np.random.default_rng(seed + 1)
    drawing = np.random.default_rng(seed + 2)
    found = {name: Asked([], []) for name in defenses}
    for image in images:
        near = near_duplicates(image, nudge, rng)
        scores = target.scores(near)
        for name, defense in defenses.items():
            answers = defense(scores, drawing, near)
            found[name].answers.append(answers)
            found[name].draws.append(_draws(defense.defenses[0], near, answers))
    return found


def near_duplicates(image: Images, nudge: Nudge, rng: np.random.Generator) -> Images:
    """Returns an image so often, with normal noise where the nudge says and as much, in [0, 1]."""
    where, by = nudge
    if not where:
        return np.repeat(image[None], MOST, axis=0)
    moved = by * rng.standard_normal((MOST, *image.shape), dtype=np.float32)
    if where == "corners":
        moved[:, :, CORNER:-CORNER] = 0
        moved[:, :, :, CORNER:-CORNER] = 0
    near: Images = (image + moved).clip(0, 1)
    return near


def _draws(defense: OutputDefense, images: Images, answers: Rows) -> int:
    """Returns how often was drawn anew; of a shield, how many classes its answers name."""
    if isinstance(defense, StealthyShield | KeyedStealthyShield):
        # Answers to near-duplicates differ anyway: there, what counts is the class that they name.
        return len(np.unique(answers.argmax(axis=1)))
    if isinstance(defense, StickyNoise):
        return len(set(defense.seeds(images.reshape(len(images), -1))))
    return len(images)


def _averaged(
    name: str, nudge: Nudge, asked: Asked, goals: NDArray[np.int64], truth: Rows
) -> Tried:
    """Finds how many answers the goal's score takes; more answers never leave a larger error."""

    def error(count: int) -> float:
        return _error(asked.answers, goals, truth, count)

    counts, last, queries = _counts(), error(MOST), None
    if last <= ERROR:
        queries = counts[bisect(counts, False, key=lambda count: error(count) <= ERROR)]
    return Tried(name, *nudge, queries, last, float(np.mean(asked.draws)))


def _counts() -> list[int]:
    return sorted({round(2 ** (step / 8)) for step in range(8 * 3, 8 * 11 + 1)})


def _error(answers: list[Rows], goals: NDArray[np.int64], truth: Rows, count: int) -> float:
    """Returns the root mean square error of estimates from ``count`` answers each."""
    groups = MOST // count
    means = np.concatenate(
        [one[: groups * count].reshape(groups, count, -1).mean(axis=1) for one in answers]
    )
    estimates = without_bias(means, DEVIATION, repeats=count)
    own, row = np.repeat(goals, groups), np.repeat(np.arange(len(goals)), groups)
    return float(np.sqrt(np.mean((estimates[np.arange(len(own)), own] - truth[row, own]) ** 2)))


def _shielded(name: str, nudge: Nudge, asked: Asked, truth: Rows) -> list[object]:
    """Compares what one answer and what many say of all scores, as mean L1 distance."""
    first = np.array([answers[0] for answers in asked.answers])
    means = np.array([answers.mean(axis=0) for answers in asked.answers])
    once, many = (np.abs(told - truth).sum(axis=1).mean() for told in (first, means))
    return [name, *nudge, float(once), float(many), float(np.mean(asked.draws))]
