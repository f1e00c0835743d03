"""What a cell of images says beside what all cells say."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from darkroom.auditing.record import (
    Amount,
    Cell,
    Count,
    Details,
    Rate,
    Record,
)
from darkroom.vision.record import GateMeasures, MeasuredRate, Ranking, WorstPerson


class JudgeRates(Record):
    """The judges' accuracy and false-positive rates; ``None`` where nothing was measured."""

    accuracy: Rate | None
    false_positive_noise: Rate | None
    false_positive_adversarial: Rate | None
    false_positive_others: Rate | None


class Judges(Record):
    """How good the judges are, together and one by one, and the gate before them.

    ``held_out`` says whether all photos that they learned from were new to the target.
    """

    accuracy: MeasuredRate
    each: tuple[MeasuredRate, ...]
    gate: MeasuredRate
    held_out: bool
    false_positive_noise: MeasuredRate
    false_positive_adversarial: MeasuredRate
    false_positive_others: MeasuredRate


class NearestPhoto(Record):
    """The training photo nearest to a reconstruction: its number, and how near it is.

    ``ssim`` is the structural similarity of the two, ``distance`` that in the face space.
    """

    index: Count
    ssim: float
    distance: Amount


class Person(Record):
    """What one attack recovered of one person."""

    goal: Count
    name: str
    queries: Count
    confidence: Rate | None
    measures: GateMeasures
    plausible: bool
    votes: tuple[bool, ...]
    success: bool
    photo: NearestPhoto
    rank: Annotated[int, Field(ge=1)]
    p_value: Rate
    p_adjusted: Rate


class ImageDetails(Details):
    """What stands behind a cell of images.

    ``gate`` holds the limits of the plausibility gate, and ``snapshots`` are the queries spent at
    each snapshot in ``reconstructions.npz``. The baseline comes from so many ``draws`` of the
    prior. There is no ``ranking`` without other people to learn from how people differ.
    """

    judge_names: tuple[str, ...]
    judges: Judges
    gate: GateMeasures
    snapshots: tuple[Count, ...]
    people: tuple[Person, ...]
    worst_off: WorstPerson | None
    ranking: Ranking | None
    draws: Count


class ImageCell(Cell):
    """One attack on the people in a classifier of images."""

    kind: Literal["images"] = "images"
    judges: JudgeRates
    details: ImageDetails
