"""What a cell of tables says beside what all cells say."""

from __future__ import annotations

from typing import Generic, Literal, TypeVar

from darkroom.auditing.record import (
    Cell,
    Count,
    Details,
    Difference,
    Interval,
    Rate,
    Record,
    Share,
)

T = TypeVar("T")


class Guessers(Record, Generic[T]):
    """The same of everybody who guesses: the attack, and the three baselines."""

    attack: T
    imputation: T
    prior: T
    most_frequent: T


class Measures(Record):
    """What a guesser achieves; ``None`` where nothing could be measured."""

    accuracy: Interval | None
    surest: Interval | None
    precision: Interval | None
    recall: Interval | None
    mcc: Interval | None
    g_mean: Interval | None
    auc: Interval | None


class Group(Record):
    """Rows that agree in one column, beside the guess that is hardest to beat without the model."""

    column: str
    value: str
    n: Count
    success: Share
    baseline: Share
    advantage: Difference
    p_value: Rate
    p_adjusted: Rate


class Bin(Record):
    """How often the attacker is right where it is about equally sure."""

    claimed: Rate
    right: Share


class Numeric(Record):
    """How far off guesses at a number are.

    ``coverage`` is how often the attacker's interval of ``level`` holds the truth, ``width`` the
    interval's median width.
    """

    tolerance: float
    error: Interval
    imputation_error: Interval
    gain: Interval
    coverage: Share
    level: Rate
    width: float


class OverStrongest(Difference):
    """The advantage over the baseline that is right most often, with its name."""

    name: str


class Part(Record):
    """Guesses at rows that the model was, or was not, trained on; numbers or categories.

    ``lost`` counts the rows that the strongest baseline is right about and the attack is not.
    """

    n: Count
    lost: Count
    success: Guessers[Share]
    advantage: Difference
    over_strongest: OverStrongest
    measures: Guessers[Measures] | None
    numeric: Numeric | None


class Members(Part):
    """Guesses at rows that the model was trained on, by group and by how sure the attacker is."""

    groups: tuple[Group, ...]
    calibration: tuple[Bin, ...]
    confusion: tuple[tuple[Count, ...], ...] | None


class MoreOfMembers(Record):
    """How much more the attack gets of members than of others."""

    success: Difference
    advantage: Interval


class TableDetails(Details):
    """What stands behind a cell of tables.

    Attributes:
        imputer: The model that imputes.
        sensitive: The columns that are inferred.
        values: Their values; empty for numbers.
        positive: The value that precision, recall and AUC are about.
        members: Rows that the model was trained on.
        others: Rows that it was not, if there are any.
        difference: Between the two.
    """

    imputer: str
    sensitive: tuple[str, ...]
    values: tuple[str, ...]
    positive: str
    members: Members
    others: Part | None
    difference: MoreOfMembers | None


class TableCell(Cell):
    """One attack on the sensitive values of records."""

    kind: Literal["tables"] = "tables"
    details: TableDetails
