"""Whether rows and sensitive values are those that the model learned, or were mixed up."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from darkroom.auditing.record import Check
from darkroom.tables.checks.answers import MOST_ASKED, said
from darkroom.tables.checks.knowledge import SURE, Said, some
from darkroom.tables.subject import TableSubject

FEWEST = 20
"""Rows on either side, below which nothing is compared."""

MOST_VALUES, MOST_PERMUTED = 12, 4
"""Values up to which pairs are exchanged, and up to which every order is tried."""

HALF = 0.5
"""What errors must come to, of what they are, where rows or values are the right ones."""


def check_trained_on(subject: TableSubject) -> Check | None:
    """Asks whether the model explains the rows held out far better than its own."""
    data, target = subject.data, subject.target
    if min(len(data.members.rows), len(data.others.rows)) < FEWEST:
        return None
    own, held = (
        Said.of(target, part.rows, part.response) for part in map(some, (data.members, data.others))
    )
    if not (own.chance and held.chance):
        return None
    shares = [one.losses / one.chance for one in (own, held)]
    left, less = (float(share.mean()) for share in shares)
    error = np.sqrt(sum(share.var(ddof=1) / len(share) for share in shares))
    found = (
        f"Of its own rows the model explains {max(0.0, own.explained):.0%}, of those held out "
        f"{max(0.0, held.explained):.0%}."
    )
    if left - less > SURE * error and less < HALF * left:
        return Check(
            name="trained on",
            outcome="failed",
            found=found,
            cause="trained_on",
            remedy="Name in [private] trained_on the rows that the model was trained on.",
        )
    return Check(name="trained on", outcome="passed", found=found)


def check_values(subject: TableSubject) -> Check | None:
    """Asks whether the model explains its rows far better with sensitive values exchanged."""
    candidates, members = subject.candidates, subject.data.members
    if subject.tolerance is not None or len(candidates) > MOST_VALUES:
        return None
    rows = members.rows[: max(2, MOST_ASKED // len(candidates))]
    truth, n = subject.truth("members")[: len(rows)], len(rows)
    answers = said(subject.target, candidates.fill(rows)).reshape(n, len(candidates), -1)
    losses = _losses(answers, members.response[:n], classes=subject.target.classes)
    usual = losses[np.arange(n), truth]
    best = min(_orders(len(candidates)), key=lambda order: losses[np.arange(n), order[truth]].sum())
    others = losses[np.arange(n), best[truth]]
    better = usual - others
    error = better.std(ddof=1) / np.sqrt(n)
    if better.mean() > SURE * error and others.mean() < HALF * usual.mean():
        given = ", ".join(
            f"{candidates.labels[place]!r} as {candidates.labels[to]!r}"
            for place, to in enumerate(best.tolist())
            if place != to
        )
        return Check(
            name="sensitive values",
            outcome="failed",
            found=f"The model explains its own rows far better where they are given {given}.",
            cause="value order",
            remedy="Give the audit the sensitive values, or their codes, that the model learned.",
        )
    found = "The model explains its own rows best with their own sensitive values, or nearly so."
    return Check(name="sensitive values", outcome="passed", found=found)


def _losses(
    answers: NDArray[np.float64], response: NDArray[np.float64], *, classes: int | None
) -> NDArray[np.float64]:
    """Returns how far off each answer is, ``(n, candidates)``."""
    if classes is None:
        return np.asarray((answers[:, :, 0] - response[:, None]) ** 2)
    places = response.astype(int)
    if answers.shape[2] == 1:  # labels
        return np.asarray(answers[:, :, 0] != places[:, None], dtype=np.float64)
    return np.asarray(1 - answers[np.arange(len(places)), :, places])


def _orders(count: int) -> Iterator[NDArray[np.int64]]:
    """Yields orders of so many values: all of few, else two exchanged, shifts and the reverse."""
    usual = np.arange(count)
    if count <= MOST_PERMUTED:
        yield from (np.array(order) for order in itertools.permutations(range(count)))
        return
    yield usual
    yield usual[::-1]
    yield from (np.roll(usual, step) for step in range(1, count))
    for one, other in itertools.combinations(range(count), 2):
        exchanged = usual.copy()
        exchanged[[one, other]] = other, one
        yield exchanged
