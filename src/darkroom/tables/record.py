"""What a cell of tables says of itself, as typed, frozen records."""

from __future__ import annotations

from darkroom.auditing.record import Component, Count, CurvePoint, Interval, Rate, Record


class Measures(Record):
    """What a guesser achieves; ``None`` where nothing could be measured."""

    accuracy: Interval | None
    precision: Interval | None
    recall: Interval | None
    mcc: Interval | None
    g_mean: Interval | None
    auc: Interval | None


class Group(Record):
    """Rows that agree in one column, attacked and imputed."""

    column: str
    value: str
    n: Count
    success: Interval
    baseline: Interval
    advantage: Interval
    p_value: Rate
    p_adjusted: Rate


class Bin(Record):
    """Rows about whose guess the attacker is about equally sure."""

    n: Count
    claimed: Rate
    right: Interval


class Numeric(Record):
    """How far off guesses at a number are."""

    tolerance: float
    error: Interval
    imputation_error: Interval
    gain: Interval
    coverage: Interval
    level: Rate
    width: float


class NamedInterval(Interval):
    """The advantage over a baseline, with its name."""

    name: str


class Part(Record):
    """Members or others."""

    n: Count
    success: dict[str, Interval]
    advantage: Interval
    over_strongest: NamedInterval
    groups: tuple[Group, ...]
    calibration: tuple[Bin, ...]
    measures: dict[str, Measures] | None
    confusion: tuple[tuple[Count, ...], ...] | None
    numeric: Numeric | None


class Difference(Record):
    """How much more the attack gets of members than of others."""

    success: Interval
    advantage: Interval


class WorstGroup(Record):
    """The group of members whom the model exposes most, with a corrected p-value."""

    name: str
    p_value: Rate | None
    p_adjusted: Rate | None
    groups: Count
    sentence: str


class TableAttackRecord(Component):
    """An attack with its parameters and its paper."""

    paper: str = ""


class TableDetails(Record):
    """``details`` of a cell of kind ``tables``."""

    threat_model: tuple[str, ...]
    attack: TableAttackRecord
    prior: Component
    imputer: str
    sensitive: tuple[str, ...]
    values: tuple[str, ...]
    positive: str
    members: Part
    others: Part | None
    difference: Difference | None
    worst_off: WorstGroup | None

    @property
    def curve(self) -> tuple[CurvePoint, ...]:
        """No curve of its own: a table attack asks everything at once."""
        return ()


class RevealedRow(Record):
    """One record, which only a report with ``--reveal`` shows."""

    row: int
    truth: str
    guess: str
    probability: Rate
