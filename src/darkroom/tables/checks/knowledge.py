"""Whether a model knows the rows that it is said to have been trained on, and if not, why."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from darkroom.auditing.record import Check
from darkroom.errors import TargetError
from darkroom.tables.checks.fitting import MOST_ROWS, refitted, some
from darkroom.tables.checks.readings import Reading, readings
from darkroom.tables.data import Encoded
from darkroom.tables.schema import Rows, Schema
from darkroom.tables.subject import TableSubject
from darkroom.tables.targets.base import TableTarget

Values = NDArray[np.float64]

NAME = "knowledge"
SHUFFLES = 200
FIT = 0.8
"""A model that explains this much of its rows is read rightly; nothing else is tried."""

SURELY_TOGETHER = 6.0
"""Standard deviations beyond which answers and a response of other rows belong together."""

FAR_LESS = 0.3
"""What a model explains less than one that was fitted to its rows is no trained model of them."""

NO_BETTER = 0.1
"""What a model may explain less than one that was fitted to its rows and is as good."""

SURELY_AGAINST = 3.0
"""Standard deviations by which answers disagree that are surely not those of these rows."""

PLAIN, PLAIN_ENOUGH = 0.8, 0.25
"""What another reading must explain of a model that cannot be fitted again; and of one that gives
all rows as they are the same number or confidences, which is rarer than the same label."""

VARIED = 10
LARGEST = 1e100

SURE = 4.0
FAR_MORE = 0.2
"""Standard errors, and share of its rows, by which another reading must be better."""

USUAL = (
    "Check that the response stands beside its own rows, that [private] trained_on names the rows "
    "that the model was trained on, and that it is the trained model that is loaded."
)


class Said(NamedTuple):
    """What a model says of rows, beside what is true of them.

    Attributes:
        answers: A number of each row, or of each class, ``(n, 1)`` or ``(n, classes)``.
        truth: The response, ``(n,)``.
        classes: How many; ``None`` for numbers.
    """

    answers: Values
    truth: Values
    classes: int | None

    @classmethod
    def of(cls, target: TableTarget, rows: Rows, truth: Values) -> Said:
        """Asks."""
        if target.classes is None:
            return cls(target.predict(rows)[:, None], truth, None)
        if target.has_scores:
            return cls(target.scores(rows), truth, target.classes)
        return cls(np.eye(target.classes)[target.predict(rows).astype(int)], truth, target.classes)

    @property
    def losses(self) -> Values:
        """The squared error of each row, or whether the class is wrong, ``(n,)``."""
        if self.classes is None:
            return np.asarray((self.answers[:, 0] - self.truth) ** 2)
        return np.asarray(self.answers.argmax(axis=1) != self.truth, dtype=np.float64)

    @property
    def chance(self) -> float:
        """The mean loss of who knows how usual each response is, and nothing else."""
        if self.classes is None:
            return float(self.truth.var())
        return 1 - float(np.bincount(self.truth.astype(int)).max()) / len(self.truth)

    @property
    def explained(self) -> float:
        """The share of that which the model spares; 1 is all."""
        return 1 - float(self.losses.mean()) / self.chance if self.chance else 1.0

    @property
    def constant(self) -> bool:
        """Whether the model says the same of all rows."""
        return bool(np.ptp(self.answers, axis=0).max() < 1e-12)

    @property
    def varied(self) -> bool:
        """Whether the model says other things of enough rows for agreement to be seen."""
        if self.classes is None:
            return not self.constant
        counts = np.bincount(self.answers.argmax(axis=1))
        return bool(counts.sum() - counts.max() >= VARIED)

    def agreement(self, truth: Values | None = None) -> float:
        """Returns by how many standard deviations answers agree more with truth than shuffled."""
        truth = self.truth if truth is None else truth
        found = self._together(truth)
        rng = np.random.default_rng(0)
        shuffled = np.array([self._together(rng.permutation(truth)) for _ in range(SHUFFLES)])
        return float((found - shuffled.mean()) / max(float(shuffled.std()), 1e-12))

    def _together(self, truth: Values) -> float:
        if self.classes is None:
            return float((self.answers[:, 0] * (truth - self.truth.mean())).mean())
        return float(self.answers[np.arange(len(truth)), truth.astype(int)].mean())


def check_knowledge(subject: TableSubject, advance: Callable[[int, int], None]) -> Check:
    """Asks whether a model explains its own rows, and finds by trying why it does not.

    Args:
        subject: The model and its rows.
        advance: Told how far it is.
    """
    members, target = some(subject.data.members), subject.target
    said = Said.of(target, members.rows, members.response)
    if said.explained >= FIT:
        return _passed(said)
    learned = _learned(target, members)
    unknown = _is_unknown(said, learned)
    # The same estimator, fitted to these very rows, is no better: they are read rightly.
    if _no_better(said, learned) and not said.constant and not unknown:
        return _passed(said)
    cause = _order_of(subject) or _cause_of(target, members, said, advance)
    # That the model was fitted otherwise is known of an estimator; else it must be plain.
    labels = target.classes is not None and not target.has_scores
    plain = PLAIN_ENOUGH if said.constant and not labels else PLAIN
    if cause is not None and (learned is not None or unknown or cause.explained >= plain):
        return _failed(said, cause)
    if said.constant:
        found = f"The model says the same of all {len(members.rows)} rows."
        return Check(name=NAME, outcome="noted", found=found)
    if unknown:
        words = "No other reading of the table was found to explain them."
        return _failed(said, Cause("unknown", words, USUAL, 0.0))
    if cause is not None:
        # A model that learned little may explain more of its rows in a reading that is not its own.
        found = f"{_words(said)} {cause.found}"
        remedy = f"If it was trained on such rows: {cause.remedy[0].lower()}{cause.remedy[1:]}"
        return Check(name=NAME, outcome="noted", found=found, remedy=remedy)
    return _passed(said)


def _no_better(said: Said, learned: float | None) -> bool:
    return learned is not None and learned < said.explained + NO_BETTER


def not_asked() -> Check:
    """Says nothing where rows or sensitive values were mixed up."""
    found = "Not asked: rows or sensitive values are not those that the model learned."
    return Check(name=NAME, outcome="noted", found=found)


def _is_unknown(said: Said, learned: float | None) -> bool:
    """Tells whether answers have so little to do with the rows that these are not the model's."""
    if said.constant:
        return False
    agrees = said.agreement()
    if learned is not None and agrees < 2 and learned > said.explained + FAR_LESS:
        return True
    # One that learned nothing from its rows may agree little; none that learned says the opposite.
    least = -SURELY_AGAINST if _no_better(said, learned) else 1
    return agrees < least and said.explained <= 0 and said.varied


class Cause(NamedTuple):
    """Why a model does not explain its rows.

    Attributes:
        name: In words that stay the same.
        found: What was tried, and what came of it.
        remedy: How to mend it.
        explained: What the model explains where it is mended.
    """

    name: str
    found: str
    remedy: str
    explained: float


def _cause_of(
    target: TableTarget, members: Encoded, said: Said, advance: Callable[[int, int], None]
) -> Cause | None:
    """Tries what may be wrong, and returns what explains most."""
    response = None if said.constant else _response_of(said)
    reading = None if target.served else _reading_of(target, members, said, advance)
    # Answers on another scale are one number more to fit, so they must explain more.
    if response and (reading is None or response.explained > reading.explained + 0.02):
        return response
    return reading


def _reading_of(
    target: TableTarget, members: Encoded, said: Said, advance: Callable[[int, int], None]
) -> Cause | None:
    """Returns the reading of the table that explains most, if that is surely and far more."""
    tried = list(readings(target.schema, members.rows))
    best: tuple[float, Reading] | None = None
    for number, reading in enumerate(tried):
        advance(number, len(tried))
        found = _gain(target, reading, members, said)
        if found is not None and (best is None or found > best[0] + 1e-9):
            best = found, reading
    if best is None:
        return None
    explained, reading = best
    return Cause(
        reading.cause,
        f"With {reading.said}, it spares {explained:.0%}.",
        f"Give the audit the rows as the model gets them in use: with {reading.said}.",
        explained,
    )


def _gain(target: TableTarget, reading: Reading, members: Encoded, said: Said) -> float | None:
    """Returns what another reading explains, if that is surely and far more."""
    try:
        other = Said.of(read_as(target, reading.schema), reading.rows, members.response)
    except (TargetError, ValueError, TypeError):
        return None
    return other.explained if surely_better(other, said) else None


def _response_of(said: Said) -> Cause | None:
    """Returns the other meaning of the model's answers that explains most, if there is one."""
    if said.classes is not None:
        truth = said.truth.astype(int)
        means = np.stack([said.answers[truth == one].sum(axis=0) for one in range(said.classes)])
        order = linear_sum_assignment(means, maximize=True)[1]
        other = said._replace(answers=said.answers[:, order])
        if not surely_better(other, said):
            return None
        words = f"With its classes in another order it spares {other.explained:.0%}."
        remedy = "Give classes in the order of the sorted values of the response."
        return Cause("class order", words, remedy, other.explained)
    answers = said.answers[:, 0]
    slope, middle = np.polyfit(answers, said.truth, 1)
    if said.explained > 0 or slope <= 0:
        return None
    with np.errstate(all="ignore"):
        ways = {
            "multiplied and moved": slope * answers + middle,
            "as logarithms": np.log(answers),
            "as exponentials": np.exp(answers),
            "squared": answers**2,
            "as square roots": np.sqrt(answers),
        }
    tried = {way: _as(said, found) for way, found in ways.items() if _sensible(found)}
    better = {way: other for way, other in tried.items() if surely_better(other, said)}
    if not better:
        return None
    way = max(better, key=lambda one: better[one].explained)
    words = f"With answers {way} it spares {better[way].explained:.0%}."
    remedy = "Let the model answer in the units of the response column."
    return Cause("response scale", words, remedy, better[way].explained)


def _sensible(values: Values) -> bool:
    return bool(np.isfinite(values).all() and np.abs(values).max() < LARGEST)


def _as(said: Said, answers: Values) -> Said:
    return said._replace(answers=answers[:, None])


def surely_better(other: Said, said: Said) -> bool:
    """Tells whether other answers explain surely and far more."""
    far = other.explained > max(said.explained, 0) + FAR_MORE
    return far and surely(said.losses - other.losses)


def surely(gains: Values, errors: float = SURE) -> bool:
    """Tells whether gains ``(n,)`` are above none by so many standard errors of their mean."""
    return bool(gains.mean() > errors * gains.std(ddof=1) / np.sqrt(len(gains)))


def _order_of(subject: TableSubject) -> Cause | None:
    """Returns the cause where the response is that of other rows, in order."""
    rows, truth, *_ = subject.data.members
    said = Said.of(subject.target, rows[:MOST_ROWS], truth[:MOST_ROWS])
    if said.constant or said.agreement() >= 3:
        return None
    shifts = [
        (f"rows {abs(step)} places away", np.roll(said.truth, step))
        for step in (*range(-5, 0), *range(1, 6))
    ]
    for where, truth in (*shifts, ("the rows in reverse order", said.truth[::-1])):
        if said.agreement(truth) > SURELY_TOGETHER:
            other = said._replace(truth=truth).explained
            words = f"It explains the response of {where}."
            return Cause("row order", words, "Put every response beside its own row.", other)
    return None


def _learned(target: TableTarget, members: Encoded) -> float | None:
    """Returns what the same estimator explains after it is fitted to these very rows."""
    again = refitted(target, members)
    return None if again is None else Said.of(again, members.rows, members.response).explained


def read_as(target: TableTarget, schema: Schema) -> TableTarget:
    """Returns a model that is given tables of another schema."""
    other = copy.copy(target)
    other.schema = schema
    return other


def _words(said: Said) -> str:
    what = "errors" if said.classes is not None else "squared error"
    guess = "the most frequent class" if said.classes is not None else "the mean"
    if said.explained < 0:
        return f"On its own rows the model is worse than {guess}."
    return f"On its own rows the model spares {said.explained:.0%} of the {what} of {guess}."


def _passed(said: Said) -> Check:
    return Check(name=NAME, outcome="passed", found=_words(said))


def _failed(said: Said, cause: Cause) -> Check:
    return Check(
        name=NAME,
        outcome="failed",
        found=f"{_words(said)} {cause.found}",
        cause=cause.name,
        remedy=cause.remedy,
    )
