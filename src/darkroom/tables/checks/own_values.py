"""Whether each column holds what the model learned of these rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from darkroom.auditing.record import Check
from darkroom.errors import TargetError
from darkroom.tables.checks.fitting import Again, said, some
from darkroom.tables.checks.knowledge import SURE, surely
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
of, where more is expected."""

ABOUT = 0.7
"""The share of what the same estimator gains, fitted to these rows, that a model gains by the
other columns if it knows the rows."""

SAID = 4
"""So many columns are named."""

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
        implied: What they would be if answers with own values were right on average, ``(n,)``;
            zeros where answers are labels, which do not say how sure they are.
    """

    each: Values
    implied: Values

    @property
    def mean(self) -> float:
        """Of all rows."""
        return float(self.each.mean())

    @property
    def sure(self) -> bool:
        """Whether there are gains."""
        return surely(self.each)

    def fewer(self, expected: Values) -> bool:
        """Tells whether there may be none, where surely far more are expected, ``(n,)``."""
        doubtful = not surely(self.each, MAYBE)
        far = self.mean < FAR_LESS * float(expected.mean())
        return doubtful and far and surely(expected - self.each)


def check_own_values(
    subject: TableSubject, again: Again, advance: Callable[[int, int], None]
) -> Check:
    """Asks of each column whether its own values tell the model more than those of other rows.

    What a model learned of a row by heart it knows by every column that it looks at. A column that
    was shuffled against its rows, or written otherwise, tells it nothing about them, while the same
    estimator, fitted to the rows as they are, gains by it. It is a mistake where the model knows
    the rows by heart otherwise. Else the model may have learned from many more rows, or of other
    people, which is noted; so it is where its answers say that the column should tell something.

    Args:
        subject: The model and its rows.
        again: The same estimator, fitted to these rows.
        advance: Told how many columns were tried.
    """
    target, own = subject.target, again.rows
    if target.served:
        return _passed("Not asked: it would cost a server's quota.")
    if len(own.rows) < LEAST:
        return _passed("Not asked: too few rows to compare.")
    less: list[tuple[Part, Gains]] = []
    kept: list[tuple[Part, Gains]] = []
    tried, parts = 0, list(_parts(subject.data.schema))
    for number, part in enumerate(parts):
        advance(number, len(parts))
        gained = _gains(target, own, part)
        tried += gained is not None
        if gained is None:
            continue
        if gained.sure:
            kept.append((part, gained))
        elif gained.fewer(gained.implied) or gained.fewer(_expected(again.model, own, part)):
            less.append((part, gained))
    if not tried:
        return _passed("Not asked: the model refuses rows with the values of others.")
    if not less:
        told = f"None of {tried} columns tried tells the model less of its rows than it should."
        return _passed(told)
    wrong = _learned_otherwise(target, again, less) if _by_heart(subject, again, kept) else []
    if not wrong:
        found = f"{_no_better(less)} It may have learned from many more rows, or from other values."
        return Check(name=NAME, outcome="noted", found=found)
    return Check(
        name=NAME,
        outcome="failed",
        found=f"{_no_better(wrong)} It knows them by heart otherwise.",
        cause="other values",
        remedy=f"Give each row the {_named(wrong, ' and ')} that the model learned of it: beside "
        "its own row, in the units and spelling of training. If it learned other values on "
        "purpose, name this check in [check] ignore.",
    )


def _no_better(less: list[tuple[Part, Gains]]) -> str:
    which = _named(less, " or ")
    return f"The model explains rows no better with their own {which} than with that of others."


def _named(parts: list[tuple[Part, Gains]], between: str) -> str:
    more = len(parts) - SAID
    return between.join(
        [*(part.name for part, _ in parts[:SAID]), *[f"{more} others"] * (more > 0)]
    )


def _passed(found: str) -> Check:
    return Check(name=NAME, outcome="passed", found=found)


def _parts(schema: Schema) -> Iterator[Part]:
    """Yields the sensitive columns, with what follows from them; each alone; then known ones."""
    hidden = schema.positions((*schema.sensitive, *schema.derived)).tolist()
    yield Part(", ".join(schema.sensitive), hidden)
    if len(schema.sensitive) > 1 and not (schema.derived or schema.encoding):
        for name in schema.sensitive:
            yield Part(name, schema.positions([name]).tolist())
    known = [place for place in range(len(schema.columns)) if place not in hidden]
    for place in known[:MOST_COLUMNS]:
        yield Part(schema.columns[place].name, [place])


def _gains(target: TableTarget, rows: Encoded, part: Part) -> Gains | None:
    """Asks rows as they are, and with values of other rows; ``None`` where it refuses those."""
    count, rng = len(rows.rows), np.random.default_rng(0)
    asked = np.tile(rows.rows, (1 + SHUFFLES, 1, 1))
    for one in asked[1:]:
        one[:, part.places] = rows.rows[rng.permutation(count)][:, part.places]
    truth = np.tile(rows.response, 1 + SHUFFLES)
    try:
        answers = said(target, asked.reshape(len(truth), -1))
    except TargetError:
        return None
    lost = losses_of(answers, truth, rows.response, target).each.reshape(1 + SHUFFLES, count)
    answers = answers.reshape(1 + SHUFFLES, count, -1)
    implied = np.zeros(count)
    if target.classes is None:
        implied = ((answers[1:] - answers[0]) ** 2).sum(axis=2).mean(axis=0)
    elif target.has_scores:
        implied = (answers[0] * (answers[0] - answers[1:])).sum(axis=2).mean(axis=0)
    return Gains(lost[1:].mean(axis=0) - lost[0], implied)


def _expected(model: TableTarget | None, rows: Encoded, part: Part) -> Values:
    """Returns what another model gains, ``(n,)``; zeros where it is not sure."""
    found = None if model is None else _gains(model, rows, part)
    return found.each if found is not None and found.sure else np.zeros(len(rows.rows))


def _learned_otherwise(
    target: TableTarget, again: Again, less: list[tuple[Part, Gains]]
) -> list[tuple[Part, Gains]]:
    """Returns the columns by which the estimator gains, however many rows it learns beside."""
    more = again.beside_noise(target)
    return [
        (part, gained) for part, gained in less if gained.fewer(_expected(more, again.rows, part))
    ]


def _by_heart(subject: TableSubject, again: Again, kept: list[tuple[Part, Gains]]) -> bool:
    """Tells whether a model knows its own rows about as well as one that is fitted to them.

    Its other columns tell it about as much, and it knows other rows less well, as that does.
    """
    target, model, own, held = subject.target, again.model, again.rows, some(subject.data.others)
    if model is None or not kept or len(held.rows) < LEAST:
        return False
    if any(
        (found := _gains(model, own, part)) is not None and gained.mean < ABOUT * found.mean
        for part, gained in kept
    ):
        return False
    truth = np.concatenate([own.response, held.response])

    def far_off(model: TableTarget, rows: Encoded) -> Values:
        return losses_of(said(model, rows.rows), rows.response, truth, model).each

    try:
        known, other = far_off(target, own), far_off(target, held)
        fitted = float(far_off(model, held).mean() - far_off(model, own).mean())
    except TargetError:
        return False
    gap = float(other.mean() - known.mean())
    error = np.sqrt(known.var(ddof=1) / len(known) + other.var(ddof=1) / len(other))
    return bool(gap > SURE * error and gap > HALF * fitted)
