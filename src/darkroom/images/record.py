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
    Words,
    WorstOff,
)


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
    rank: Annotated[int, Field(ge=1)]
    p_value: Rate
    p_adjusted: Rate


class WorstPerson(WorstOff):
    """The person whom the model exposes most, by their ``rank`` among strangers."""

    goal: Count
    rank: Annotated[int, Field(ge=1)]
    p_value: Rate


class Ranking(Record):
    """How the right people rank among strangers who took part in nothing.

    Attributes:
        strangers: How many there are.
        photos: How many photos of each, and of each person under attack, were used.
        first: The share of reconstructions that resemble the right person most.
        first_ten: The share in which the right person is among the ten most alike.
        guessed: The bits that a guess without the model has by luck: a rank drawn by lot.
        of_photos: The bits that real photos of the right people gain in place of reconstructions,
            or ``None`` where there were none to spare.
        p_together: The chance that reconstructions fit their people so well if they were dealt out
            among them by lot.
        sentence: What it comes to in words.
    """

    strangers: Count
    photos: Count
    first: Rate
    first_ten: Rate
    guessed: Amount
    of_photos: float | None
    p_together: Rate
    sentence: Words


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
