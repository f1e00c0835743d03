"""How the right person ranks among strangers, by how much a reconstruction resembles each."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from darkroom.statistics.intervals import Interval
from darkroom.statistics.means import mean_interval

Floats = NDArray[np.float64]

SHUFFLES = 4999
"""How often people are put in each other's place to learn what chance does."""

DIGITS = 6
"""Decimals of a likeness: what differs by less is rounding, and ties."""


def peculiar(likeness: Floats) -> Floats:
    """Returns how much more each row resembles each person than the other rows do.

    The average face resembles some people more than others, and what people under attack have in
    common, such as the same camera, shows in all reconstructions: neither says who one person is.

    Args:
        likeness: ``(rows, people)``.
    """
    if len(likeness) == 1:  # what is shown of everybody is peculiar to nobody
        return np.zeros_like(likeness)
    means = (likeness.sum(axis=0) - likeness) / (len(likeness) - 1)
    rounded: Floats = np.round(likeness - means, DIGITS)
    return rounded


class Ranks(NamedTuple):
    """Where the right person stands for each goal.

    Attributes:
        rank: Among the strangers and themselves, from 1, int64 ``(goals,)``; behind those who are
            no less alike.
        log_rank: The expected log2 of the rank, where equals are ranked by lot, ``(goals,)``.
        p_value: The chance of ranking so high for one who is like any stranger, ``(goals,)``.
        p_adjusted: The chance that anybody stands out so far where nothing is known of anyone,
            ``(goals,)``.
        p_together: The chance that reconstructions fit their people so well if they were dealt out
            among them by lot.
    """

    rank: NDArray[np.int64]
    log_rank: Floats
    p_value: Floats
    p_adjusted: Floats
    p_together: float


def rank_right(likeness: Floats, rng: np.random.Generator) -> Ranks:
    """Ranks the right person of each reconstruction.

    The right person and the strangers are exchangeable to whoever knows nothing of the right one:
    the rank is uniform then. One person in many is tested by the largest deviation that people put
    in each other's place at random come to (Westfall & Young 1993), which asks for fewer strangers
    than a correction of single ranks does; all together by shuffling the people under attack alone.

    Args:
        likeness: How much each reconstruction resembles each of the people, ``(goals, goals +
            strangers)``, the right ones first and in order.
        rng: Shuffles.
    """
    goals, people = likeness.shape
    found = peculiar(likeness)
    above, ties = _ahead(found)
    rank = 1 + above + ties
    return Ranks(
        rank=rank,
        log_rank=_log_rank(above, ties),
        p_value=rank / (1 + people - goals),
        p_adjusted=_adjusted(found, rng),
        p_together=_together(found[:, :goals], rng),
    )


def alone(
    likeness: Floats, known: Floats, exposed: NDArray[np.bool_], rng: np.random.Generator
) -> Floats:
    """Returns the adjusted p-value that each goal would have if it alone were known by heart.

    In the place of its reconstruction stands what is known; all others stay as they are. Those who
    stand out as it is are left out: something is known of them.

    Args:
        likeness: As in :func:`rank_right`.
        known: How much what is known of each goal resembles each of the people, of the same shape.
        exposed: Who stands out as it is, ``(goals,)``.
        rng: Shuffles.

    Returns:
        ``(goals,)``.
    """
    goals, people = likeness.shape
    rows = np.arange(goals)
    others = (likeness.sum(axis=0) - likeness) / max(goals - 1, 1)
    scores, photos = _scores(peculiar(likeness)), _scores(known - others)
    own = photos[rows, rows] - 10.0**-DIGITS
    scores[exposed] = -np.inf
    reached = np.zeros(goals, np.int64)
    for dealt in _dealt(goals, people, rng):
        drawn = scores[rows, dealt]
        first = drawn.argmax(axis=1)
        largest = np.repeat(drawn.max(axis=1)[:, None], goals, axis=1)
        drawn[np.arange(len(drawn)), first] = -np.inf
        # Without its own reconstruction, a goal that has the largest leaves the second.
        largest[np.arange(len(drawn)), first] = drawn.max(axis=1)
        reached += (np.maximum(largest, photos[rows, dealt]) >= own).sum(axis=0)
    adjusted: Floats = (1 + reached) / (1 + SHUFFLES)
    return adjusted


def log_rank_right(likeness: Floats) -> Floats:
    """Returns the expected log2 of the rank of each right person alone; see :func:`rank_right`."""
    return _log_rank(*_ahead(peculiar(likeness)))


def log_ranks_of_guesses(likeness: Floats, goals: int) -> Floats:
    """Returns the expected log2 of each goal's rank when guesses are made without the model.

    Args:
        likeness: How much each guess resembles each of the people, ``(guesses, people)``.
        goals: How many of them, the first, are under attack.

    Returns:
        ``(goals,)``.
    """
    found = peculiar(likeness)
    strangers = found[:, goals:]
    return np.array(
        [
            _log_rank(
                (strangers > found[:, goal, None]).sum(axis=1),
                (strangers == found[:, goal, None]).sum(axis=1),
            ).mean()
            for goal in range(goals)
        ]
    )


def bits_gained(log_rank: Floats, guessed: Floats) -> Interval:
    """Returns how many bits nearer to the right person attacks come than guesses, on average.

    Args:
        log_rank: Of each goal's reconstruction, ``(goals,)``.
        guessed: Of guesses made without the model, ``(goals,)``.
    """
    return mean_interval(guessed - log_rank, lowest=0.0, highest=float(guessed.mean()))


def _ahead(found: Floats) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Returns how many strangers are more alike than the right person, and how many equally."""
    goals = len(found)
    own, strangers = found[np.arange(goals), np.arange(goals), None], found[:, goals:]
    return (strangers > own).sum(axis=1), (strangers == own).sum(axis=1)


def _log_rank(above: NDArray[np.int64], ties: NDArray[np.int64]) -> Floats:
    """Returns the mean of log2 over the ranks that are as likely as each other."""
    most = int((above + ties).max(initial=0)) + 1
    sums = np.concatenate([[0.0], np.cumsum(np.log2(np.arange(1, most + 1)))])
    mean: Floats = (sums[above + ties + 1] - sums[above]) / (ties + 1)
    return mean


def _logs_of_all(row: Floats) -> Floats:
    """Returns the expected log2 of the rank of everybody in a row, ``(people,)``."""
    ordered = np.sort(row)
    right = np.searchsorted(ordered, row, side="right")
    ties = right - np.searchsorted(ordered, row, side="left") - 1
    return _log_rank(len(row) - right, ties)


def _adjusted(found: Floats, rng: np.random.Generator) -> Floats:
    """Tests each goal's deviation against the largest of people dealt out by lot."""
    goals, people = found.shape
    scores = _scores(found)
    largest = np.concatenate(
        [scores[np.arange(goals), dealt].max(axis=1) for dealt in _dealt(goals, people, rng)]
    )
    own = scores[np.arange(goals), np.arange(goals)]
    reached = (largest[:, None] >= own - 10.0**-DIGITS).sum(axis=0)
    adjusted: Floats = (1 + reached) / (1 + SHUFFLES)
    return adjusted


def _scores(found: Floats) -> Floats:
    """Returns rows of mean zero and deviation one; one that is the same throughout is zero."""
    spread = found.std(axis=1, keepdims=True)
    scores: Floats = (found - found.mean(axis=1, keepdims=True)) / np.where(spread > 0, spread, 1.0)
    return scores


def _together(found: Floats, rng: np.random.Generator) -> float:
    """Tests how well reconstructions fit their people against people dealt out by lot."""
    goals = len(found)
    logs = np.stack([_logs_of_all(row) for row in found])
    sums = np.concatenate(
        [logs[np.arange(goals), dealt].sum(axis=1) for dealt in _dealt(goals, goals, rng)]
    )
    return float((1 + (sums <= np.trace(logs) + 1e-9).sum()) / (1 + SHUFFLES))


def _dealt(goals: int, people: int, rng: np.random.Generator) -> list[NDArray[np.int64]]:
    """Deals people out to goals by lot, ``SHUFFLES`` times in chunks of ``(n, goals)``."""
    sizes = [500] * (SHUFFLES // 500) + [SHUFFLES % 500]
    everyone = np.arange(people)
    return [rng.permuted(np.tile(everyone, (n, 1)), axis=1)[:, :goals] for n in sizes]
