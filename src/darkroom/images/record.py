"""What a cell of images says beside what all cells say."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from darkroom.auditing.record import Component, Count, CurvePoint, MeasuredRate, Rate, Record


class Judges(Record):
    """How good the judges are, together and one by one."""

    accuracy: MeasuredRate | None = None
    each: tuple[MeasuredRate | None, ...] = ()
    false_positive_noise: MeasuredRate | None = None
    false_positive_adversarial: MeasuredRate | None = None
    false_positive_others: MeasuredRate | None = None


class Gate(Record):
    """The plausibility gate: the largest distance from the face space that still passes."""

    limit: float


class NearestPhoto(Record):
    """The training photo nearest to a reconstruction."""

    index: Count
    ssim: float | None = None
    distance: float | None = None


class Person(Record):
    """What one attack recovered of one person."""

    goal: int
    name: str
    queries: Count
    confidence: Rate | None
    distance: float | None = None
    plausible: bool
    votes: tuple[bool, ...]
    success: bool
    photo: NearestPhoto | None = None
    p_value: Rate | None = None
    p_adjusted: Rate | None = None
    similarity: float | None = None


class WorstOff(Record):
    """The person whom the model exposes most, with a corrected p-value."""

    goal: int
    name: str
    p_value: Rate | None = None
    p_adjusted: Rate | None = None
    draws: Count = 0
    sentence: str


class GuardLimit(Record):
    """A limit that a guard told of: so many rows in so many seconds."""

    name: str
    rows: Annotated[int, Field(ge=1)]
    seconds: Annotated[int, Field(ge=1)]


class GuardRecord(Record):
    """What a guard did to an attack.

    ``rows`` were answered and charged, ``refusals`` requests were not; ``opened`` rows were asked
    before any attack, to find out about the server.
    """

    rows: Count
    refusals: Count
    opened: Count = 0
    limits: tuple[GuardLimit, ...] = ()

    @property
    def per_day(self) -> int | None:
        """Rows a day that its strictest limit lets through; ``None`` if it told of none."""
        rates = [limit.rows * 86_400 // limit.seconds for limit in self.limits]
        return max(1, min(rates)) if rates else None


class ImageDetails(Record):
    """``details`` of a cell of kind ``images``."""

    threat_model: tuple[str, ...]
    attack: Component
    prior: Component
    judge_names: tuple[str, ...]
    judges: Judges
    gate: Gate | None = None
    curve: tuple[CurvePoint, ...]
    snapshots: tuple[Count, ...]
    people: tuple[Person, ...]
    worst_off: WorstOff | None = None
    guard: GuardRecord | None = None
