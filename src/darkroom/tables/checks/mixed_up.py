"""Whether rows and sensitive values are those that the model learned, or were mixed up."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from darkroom.auditing.record import Check
from darkroom.tables.checks.answers import MOST_ASKED
from darkroom.tables.checks.fitting import refitted, said, some
from darkroom.tables.checks.knowledge import FAR_MORE, SURE, VARIED
from darkroom.tables.data import Encoded
from darkroom.tables.subject import TableSubject
from darkroom.tables.targets.base import TableTarget

Values = NDArray[np.float64]

MOST_VALUES, MOST_PERMUTED = 12, 4
"""Values up to which pairs are exchanged, and up to which every order is tried."""

HALF = 0.5
"""What errors must come to, of what they are, where rows or values are the right ones."""

ROWS, VALUES = "trained on", "sensitive values"


class Losses(NamedTuple):
    """How far off answers are.

    Attributes:
        each: Squared errors, or what is missing to certainty of the true class, ``(n,)``.
        chance: The mean of who knows how usual each response is, and nothing else.
    """

    each: Values
    chance: float

    @property
    def explains(self) -> bool:
        """Whether answers say more than that."""
        return bool(self.each.mean() < (1 - FAR_MORE) * self.chance)

    def surely_above(self, other: Losses, error: float) -> bool:
        """Tells whether these are surely more than twice as far off."""
        gained = float(self.each.mean() - other.each.mean())
        return gained > SURE * error and bool(other.each.mean() < HALF * self.each.mean())


def check_trained_on(subject: TableSubject) -> Check:
    """Asks whether the model explains the rows held out far better than its own."""
    data, target = subject.data, subject.target
    own, held = some(data.members), some(data.others)
    if target.served:
        return _not_asked(ROWS, "it would cost a server's quota")
    if min(_varied(own, target), _varied(held, target)) < VARIED:
        return _not_asked(ROWS, "too few rows, or too few responses but the commonest, to compare")
    truth = np.concatenate([own.response, held.response])
    known, other = (
        losses_of(said(target, one.rows), one.response, truth, target) for one in (own, held)
    )
    error = np.sqrt(sum(one.each.var(ddof=1) / len(one.each) for one in (known, other)))
    told = [max(0.0, 1 - float(one.each.mean()) / one.chance) for one in (known, other)]
    found = (
        f"The model explains {told[0]:.0%} of its own rows, and {told[1]:.0%} of those held out."
    )
    wrong = other.explains and known.surely_above(other, float(error))
    if wrong and not _as_good(subject, own, known, truth):
        return Check(
            name=ROWS,
            outcome="failed",
            found=found,
            cause="trained_on",
            remedy="Name in [private] trained_on the rows that the model was trained on.",
        )
    return Check(name=ROWS, outcome="passed", found=found)


def check_values(subject: TableSubject) -> Check:
    """Asks whether the model explains its rows far better with sensitive values exchanged."""
    candidates, target = subject.candidates, subject.target
    if target.served:
        return _not_asked(VALUES, "it would cost a server's quota")
    if subject.tolerance is not None or len(candidates) > MOST_VALUES:
        return _not_asked(VALUES, f"it is a number, or has more than {MOST_VALUES} values")
    members = some(subject.data.members, max(2, MOST_ASKED // len(candidates)))
    n = len(members.rows)
    truth = candidates.place(members.rows)
    answers = said(target, candidates.fill(members.rows)).reshape(n, len(candidates), -1)
    usual = losses_of(answers[np.arange(n), truth], members.response, members.response, target)
    tried = {
        tuple(order.tolist()): losses_of(
            answers[np.arange(n), order[truth]], members.response, members.response, target
        )
        for order in _orders(len(candidates))
    }
    best = min(tried, key=lambda order: float(tried[order].each.sum()))
    error = float((usual.each - tried[best].each).std(ddof=1) / np.sqrt(n))
    wrong = tried[best].explains and usual.surely_above(tried[best], error)
    if wrong and not _as_good(subject, members, usual, members.response):
        given = ", ".join(
            f"{candidates.labels[place]!r} as {candidates.labels[to]!r}"
            for place, to in enumerate(best)
            if place != to
        )
        return Check(
            name=VALUES,
            outcome="failed",
            found=f"The model explains its own rows far better where they are given {given}.",
            cause="value order",
            remedy="Give the audit the sensitive values, or their codes, that the model learned.",
        )
    found = "No other order of the sensitive values explains the model's own rows far better."
    return Check(name=VALUES, outcome="passed", found=found)


def _not_asked(name: str, why: str) -> Check:
    return Check(name=name, outcome="passed", found=f"Not asked: {why}.")


def _as_good(subject: TableSubject, rows: Encoded, known: Losses, truth: Values) -> bool:
    """Tells whether the same estimator, fitted to these rows as they are, is no better."""
    again = refitted(subject.target, rows)
    if again is None:
        return False
    fitted = losses_of(said(again, rows.rows), rows.response, truth, again)
    return bool(fitted.each.mean() > HALF * known.each.mean())


def _varied(rows: Encoded, target: TableTarget) -> int:
    """Returns how many rows have another response than the commonest."""
    if not len(rows.rows):
        return 0
    if target.classes is None:
        return len(rows.rows) if np.ptp(rows.response) else 0
    return len(rows.rows) - int(np.bincount(rows.response.astype(int)).max())


def losses_of(answers: Values, response: Values, truth: Values, target: TableTarget) -> Losses:
    """Returns how far off answers ``(n, outputs)`` are; chance is that of all of ``truth``."""
    if target.classes is None:
        return Losses((answers[:, 0] - response) ** 2, float(truth.var()))
    shares = np.bincount(truth.astype(int)) / len(truth)
    if not target.has_scores:
        return Losses((answers[:, 0] != response).astype(np.float64), 1 - float(shares.max()))
    certain = answers[np.arange(len(response)), response.astype(int)]
    return Losses(1 - certain, 1 - float((shares**2).sum()))


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
