"""What a cell of images says beside what all cells say."""

from __future__ import annotations

from typing import Literal

from darkroom.auditing.record import Amount, Cell, Count, Details, Rate, Record, WorstOff


class JudgeRates(Record):
    """The judges' accuracy and false-positive rates; ``None`` where nothing was measured."""

    accuracy: Rate | None
    false_positive_noise: Rate | None
    false_positive_adversarial: Rate | None
    false_positive_others: Rate | None


class MeasuredRate(Record):
    """A rate with its interval, over ``n`` trials of as many as were ``tried``.

    A try that never came to a trial says nothing; without any trial there is no rate. ``tried`` is
    ``None`` where every try is a trial.
    """

    estimate: Rate | None
    low: Rate | None
    high: Rate | None
    n: Count
    tried: Count | None = None


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


class GateMeasures(Record):
    """What the plausibility gate measures of an image, or the limits that it sets.

    The share outside the space of faces, the distance from the average face within it, the
    likeness to the most similar photo, which alone must not be small, and the noise.
    """

    residual: Amount
    mahalanobis: Amount
    likeness: float
    noise: Amount


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
    p_value: Rate
    p_adjusted: Rate


class WorstPerson(WorstOff):
    """The person whom the model exposes most, among so many ``draws`` made without the model."""

    goal: Count
    p_value: Rate
    draws: Count


class ImageDetails(Details):
    """What stands behind a cell of images.

    ``gate`` holds the limits of the plausibility gate, and ``snapshots`` are the queries spent at
    each snapshot in ``reconstructions.npz``.
    """

    judge_names: tuple[str, ...]
    judges: Judges
    gate: GateMeasures
    snapshots: tuple[Count, ...]
    people: tuple[Person, ...]
    worst_off: WorstPerson


class ImageCell(Cell):
    """One attack on the people in a classifier of images."""

    kind: Literal["images"] = "images"
    judges: JudgeRates
    details: ImageDetails
