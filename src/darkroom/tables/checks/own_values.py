"""Whether each column holds what the model learned of these rows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from darkroom.auditing.record import Check
from darkroom.tables.checks.answers import said
from darkroom.tables.checks.knowledge import SURE, some
from darkroom.tables.checks.mixed_up import HALF, losses_of
from darkroom.tables.data import Encoded
from darkroom.tables.schema import Schema
from darkroom.tables.subject import TableSubject
from darkroom.tables.targets.base import TableTarget

NAME = "own values"

SHUFFLES = 4
"""How often every row gets the value of another."""

MOST_COLUMNS = 20
"""Known columns that are tried, the first ones; the sensitive ones always are."""

LEAST = 20
"""So many rows can be compared."""

MAYBE, FAR_LESS = 2.0, 0.25
"""Standard errors below which a model may gain nothing; and what it must gain less than this share
of, where the same estimator gains."""

Values = NDArray[np.float64]


class Part(NamedTuple):
    """Columns that are exchanged together.

    Attributes:
        name: In messages.
        places: Of the columns.
    """

    name: str
    places: list[int]


class Gains(NamedTuple):
    """How much less far off answers are with a row's own value than with that of another.

    Attributes:
        each: Of each row, ``(n,)``.
    """

    each: Values

    @property
    def mean(self) -> float:
        """Of all rows."""
        return float(self.each.mean())

    @property
    def error(self) -> float:
        """The standard error of the mean."""
        return float(self.each.std(ddof=1) / np.sqrt(len(self.each)))

    @property
    def sure(self) -> bool:
        """Whether there are gains."""
        return self.mean > SURE * self.error

    @property
    def doubtful(self) -> bool:
        """Whether there may be none."""
        return self.mean <= MAYBE * self.error

    @property
    def size(self) -> float:
        """How much a value matters, for better or worse."""
        return float(np.abs(self.each).mean())

    def surely_fewer(self, other: Gains, *, paired: bool) -> bool:
        """Tells whether there may be none of them, and surely far fewer than others have.

        Args:
            other: Of another model with the same rows, or of the same model with other rows.
            paired: Whether the rows are the same.
        """
        if not (self.doubtful and other.sure):
            return False
        expected = other.each
        if not paired:
            # The same share of how much values matter, which may be less for these rows.
            expected = np.full(len(self.each), other.mean / other.size * self.size)
        far = self.mean < FAR_LESS * float(expected.mean())
        return far and Gains(expected - self.each).sure


def check_own_values(subject: TableSubject, again: TableTarget | None) -> Check:
    """Asks of each column whether its own values tell the model more than those of other rows.

    What a model learned of a row by heart it knows by every column that it looks at. A column that
    was shuffled against its rows, or written otherwise, tells it nothing about them. It is a
    mistake where the model does gain by the column in public rows, or where the same estimator,
    fitted to the rows as they are, gains by it and the model knows the rows by heart otherwise.
    Else the model may have learned from many more rows, which is noted.

    Args:
        subject: The model and its rows.
        again: The same estimator, fitted to these rows; ``None`` where it cannot be.
    """
    target, data = subject.target, subject.data
    own, public = some(data.members), some(data.public)
    if target.served:
        return _passed("Not asked: it would cost a server's quota.")
    if len(own.rows) < LEAST:
        return _passed("Not asked: too few rows to compare.")
    compared = _can_compare(public)
    there, here, kept = [], [], []
    for part in _parts(data.schema):
        gained = _gains(target, own, part)
        if compared and gained.surely_fewer(_gains(target, public, part), paired=False):
            there.append(part.name)
        elif again and gained.surely_fewer(_gains(again, own, part), paired=True):
            here.append(part.name)
        elif gained.sure:
            kept.append(part.name)
    by_heart = here and kept and again and _by_heart(target, again, own, some(data.others))
    if there or by_heart:
        names = [*there, *(here if by_heart else [])]
        told = "It does so with public rows." if there else "It knows them by heart otherwise."
        return Check(
            name=NAME,
            outcome="failed",
            found=f"{_no_better(names)} {told}",
            cause="other values",
            remedy=f"Give each row the {' and '.join(names)} that the model learned of it: beside "
            "its own row, in the units and spelling of training. If it learned other values on "
            "purpose, name this check in [check] ignore.",
        )
    if here:
        found = f"{_no_better(here)} It may have learned from many more rows, or from other values."
        return Check(name=NAME, outcome="noted", found=found)
    return _passed("Each column tells the model as much of its own rows as it should.")


def _no_better(names: list[str]) -> str:
    which = " or ".join(names)
    return f"The model explains its rows no better with their own {which} than with that of others."


def _passed(found: str) -> Check:
    return Check(name=NAME, outcome="passed", found=found)


def _can_compare(rows: Encoded) -> bool:
    """Tells whether there are enough other rows whose response is known."""
    return len(rows.rows) >= LEAST and bool(np.isfinite(rows.response).all())


def _parts(schema: Schema) -> Iterator[Part]:
    """Yields the sensitive columns, with what follows from them, and then known ones."""
    hidden = schema.positions((*schema.sensitive, *schema.derived))
    yield Part(", ".join(schema.sensitive), hidden.tolist())
    known = [place for place in range(len(schema.columns)) if place not in hidden]
    for place in known[:MOST_COLUMNS]:
        yield Part(schema.columns[place].name, [place])


def _gains(target: TableTarget, rows: Encoded, part: Part) -> Gains:
    """Asks rows as they are, and with the values of other rows."""
    count, rng = len(rows.rows), np.random.default_rng(0)
    asked = np.tile(rows.rows, (1 + SHUFFLES, 1, 1))
    for one in asked[1:]:
        one[:, part.places] = rows.rows[rng.permutation(count)][:, part.places]
    truth = np.tile(rows.response, 1 + SHUFFLES)
    answers = said(target, asked.reshape(len(truth), -1))
    lost = losses_of(answers, truth, rows.response, target).each.reshape(1 + SHUFFLES, count)
    return Gains(lost[1:].mean(axis=0) - lost[0])


def _by_heart(target: TableTarget, again: TableTarget, own: Encoded, held: Encoded) -> bool:
    """Tells whether a model knows its own rows better than others, about as one fitted to them."""
    if not _can_compare(held):
        return False
    truth = np.concatenate([own.response, held.response])

    def far_off(model: TableTarget, rows: Encoded) -> Values:
        return losses_of(said(model, rows.rows), rows.response, truth, model).each

    known, other = far_off(target, own), far_off(target, held)
    gap = float(other.mean() - known.mean())
    fitted = float(far_off(again, held).mean() - far_off(again, own).mean())
    error = np.sqrt(known.var(ddof=1) / len(known) + other.var(ddof=1) / len(other))
    return bool(gap > SURE * error and gap > HALF * fitted)
