"""What noise costs the attacker: the queries until a score is known, fresh and sticking to inputs.

Each of some images, blends of two people in which the model wavers, is asked again and again, or
in its place near-duplicates; the attacker averages the answers, takes out the bias that cutting off
at zero and dividing by the sum leave, and has an estimate of the goal's score. By theory,
independent answers of deviation ``s`` take ``(s / e)**2`` until the root mean square error is
``e``; what ``s`` is after the division is worked out from the noise's moments.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from benchmarks.claims import Claim, Outcome, Table, tell
from darkroom.attacks.feedback import without_bias
from darkroom.defenses.outputs import (
    KeyedStealthyShield,
    Noise,
    OutputDefense,
    Pipeline,
    StealthyShield,
    StickyNoise,
)
from darkroom.targets.torch import TorchTarget

Images = NDArray[np.float32]
Rows = NDArray[np.float64]

DEVIATION, ERROR = 0.05, 0.01
MOST = 1024
NUDGES = (1e-5, 0.01, 0.03, 0.1)
"""By how much of the range near-duplicates differ: the attacker takes what serves it best."""


class Tried(NamedTuple):
    """One way of asking.

    Attributes:
        defense: What answers.
        nudge: By how much near-duplicates differ; 0 for repeats.
        queries: Until the error is at most :data:`ERROR`; ``None`` if it never is.
        error: After :data:`MOST` answers.
        draws: How often noise was drawn anew for an image, on average.
    """

    defense: str
    nudge: float
    queries: int | None
    error: float
    draws: float


def averaging_claims(inputs: Path, *, quick: bool, seed: int) -> Outcome:
    """Measures the queries that noise costs, and what repeats and near-duplicates tell of SSD."""
    from benchmarks.defenses import SECRET, employees_target

    tell("averaging noise away")
    target = employees_target(inputs)
    faces = np.load(inputs / "employees.npz")["images"]
    images, goals = wavering(target, faces, 8 if quick else 30, seed)
    asked = [(nudge, _near(target, images, nudge, seed)) for nudge in (0.0, *NUDGES)]
    key = (inputs / SECRET).read_bytes()
    seen = target.scores(faces[:, :8].reshape(-1, *faces.shape[2:]))
    people = np.repeat(np.arange(len(faces)), 8)
    noises: dict[str, OutputDefense] = {
        "fresh": Noise(DEVIATION),
        "exact": StickyNoise(DEVIATION, exact=True, key=key),
        "sticky": StickyNoise(DEVIATION, key=key),
    }
    truth = asked[0][1][0][0]
    tried = {
        name: [_tried(name, defense, goals, truth, one, seed) for one in asked]
        for name, defense in noises.items()
    }
    shields = [
        _shielded(name, Pipeline((defense,)).fitted(seen, people), goals, truth, one, seed)
        for name, defense in (
            ("stealthy-shield", StealthyShield(0.8)),
            ("keyed-stealthy-shield", KeyedStealthyShield(0.8, key=key)),
        )
        for one in asked
    ]
    columns = ("noise of deviation 0.05", "nudge", "queries to error 0.01", "error", "draws")
    noise_rows = [list(one) for several in tried.values() for one in several]
    tables = [
        Table(f"Queries until a score is known to {ERROR}", columns, noise_rows),
        Table(
            f"Stealthy Shield against {MOST} repeats or near-duplicates",
            ("defence", "nudge", "error, once", "error, averaged", "draws"),
            shields,
        ),
    ]
    return Outcome(_claims(tried, theory(truth, goals)), tables)


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


def _near(
    target: TorchTarget, images: Images, nudge: float, seed: int
) -> list[tuple[Rows, Images]]:
    """Returns for each image the answers to its repeats or near-duplicates, and those."""
    rng = np.random.default_rng(seed + 1)
    found = []
    plain = target.scores(images)
    if not nudge:
        near = [np.repeat(image[None], MOST, axis=0) for image in images]
        return [(plain, images)] + [
            (np.repeat(plain[row : row + 1], MOST, axis=0), one) for row, one in enumerate(near)
        ]
    for image in images:
        moved = nudge * rng.standard_normal((MOST, *image.shape), dtype=np.float32)
        near_image = (image + moved).clip(0, 1).astype(np.float32)
        found.append((target.scores(near_image), near_image))
    return [(plain, images), *found]


def _answers(defense: Pipeline, one: tuple[Rows, Images], rng: np.random.Generator) -> Rows:
    return defense(one[0], rng, one[1])


def _tried(
    name: str,
    defense: OutputDefense,
    goals: NDArray[np.int64],
    truth: Rows,
    asked: tuple[float, list[tuple[Rows, Images]]],
    seed: int,
) -> Tried:
    """Averages what a noise answers, and finds how many answers the goal's score takes."""
    nudge, near = asked
    rng = np.random.default_rng(seed + 2)
    answers = [_answers(Pipeline((defense,)), one, rng) for one in near[1:]]
    draws = [MOST if isinstance(defense, Noise) else _cells(defense, one[1]) for one in near[1:]]
    queries, error = None, float("nan")
    for count in _counts():
        error = _error(answers, goals, truth, count)
        if error <= ERROR:
            queries = count
            break
    if queries is not None:
        error = _error(answers, goals, truth, MOST)
    return Tried(name, nudge, queries, error, float(np.mean(draws)))


def _cells(defense: OutputDefense, images: Images) -> int:
    assert isinstance(defense, StickyNoise)
    return len(set(defense.seeds(images.reshape(len(images), -1))))


def _counts() -> list[int]:
    return sorted({round(2 ** (step / 4)) for step in range(4 * 3, 4 * 10 + 1)})


def _error(answers: list[Rows], goals: NDArray[np.int64], truth: Rows, count: int) -> float:
    """Returns the root mean square error of estimates from ``count`` answers each."""
    squares = []
    for row, (one, goal) in enumerate(zip(answers, goals, strict=True)):
        groups = len(one) // count
        means = one[: groups * count].reshape(groups, count, -1).mean(axis=1)
        estimates = without_bias(means, DEVIATION, repeats=count)[:, goal]
        squares.append(np.mean((estimates - truth[row, goal]) ** 2))
    return float(np.sqrt(np.mean(squares)))


def _shielded(
    name: str,
    defense: Pipeline,
    goals: NDArray[np.int64],
    truth: Rows,
    asked: tuple[float, list[tuple[Rows, Images]]],
    seed: int,
) -> list[object]:
    """Compares what one answer and what many say of all scores, as mean L1 distance."""
    del goals
    nudge, near = asked
    rng = np.random.default_rng(seed + 3)
    answers = [_answers(defense, one, rng) for one in near[1:]]
    once = np.mean([np.abs(one[0] - truth[row]).sum() for row, one in enumerate(answers)])
    many = np.mean([np.abs(one.mean(axis=0) - truth[row]).sum() for row, one in enumerate(answers)])
    # Answers to near-duplicates differ anyway: there, what counts is the class that they name.
    draws = np.mean([len(np.unique(one.argmax(axis=1))) for one in answers])
    return [name, nudge, float(once), float(many), float(draws)]
