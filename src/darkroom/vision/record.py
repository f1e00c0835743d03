"""What cells of every kind that recovers pictures of people say of judges and ranks."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from darkroom.auditing.record import Amount, Count, Rate, Record, Words, WorstOff


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


class GateMeasures(Record):
    """What the plausibility gate measures of an image, or the limits that it sets.

    The share outside the space of faces, the distance from the average face within it, the
    likeness to the most similar photo, which alone must not be small, and the noise.
    """

    residual: Amount
    mahalanobis: Amount
    likeness: float
    noise: Amount


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
