"""What a page shows of a cell of images."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from darkroom.images.record import ImageDetails, MeasuredRate, Person
from darkroom.report.images.pictures import Development, Pictures
from darkroom.report.verdict import (
    LARGEST_FALSE_POSITIVE_RATE,
    SMALLEST_ACCURACY,
)

_MOST_PEOPLE = 60
_FEWEST_PEOPLE = 6
_MOST_BYTES = 24_000_000


@dataclass(frozen=True)
class JudgeRow:
    """A line of the table of the judges' errors; ``alone`` marks a single judge."""

    name: str
    rate: MeasuredRate | None
    bad: bool
    alone: bool = False


@dataclass(frozen=True)
class PersonView:
    """A person with pictures and named votes."""

    record: Person
    development: Development
    votes: tuple[tuple[str, bool], ...]


@dataclass(frozen=True)
class ImageView:
    """The part of a cell that only images have."""

    details: ImageDetails
    judge_rows: tuple[JudgeRow, ...]
    people: tuple[PersonView, ...]
    worst_off: PersonView | None
    passed_gate: int
    own_threats: tuple[str, ...]

    @property
    def left_out(self) -> int:
        """How many people the page does not show."""
        return len(self.details.people) - len(self.people)


def image_view(
    details: ImageDetails, pictures: Pictures, threats: Sequence[str], cells: int
) -> ImageView:
    """Works out what a page shows of a cell.

    Args:
        details: The cell's.
        pictures: Of its people.
        threats: What the page says of every cell already.
        cells: How many the page shows; they share its size.
    """
    people = sorted(details.people, key=_exposure)
    room = int(_MOST_BYTES / cells / pictures.weight)
    shown = people[: max(_FEWEST_PEOPLE, min(_MOST_PEOPLE, room))]
    views = tuple(_person_view(person, details, pictures) for person in shown)
    goal = details.worst_off.goal if details.worst_off else None
    worst = next((view for view in views if view.record.goal == goal), None)
    if worst is None:
        left = [person for person in people if person.goal == goal]
        worst = _person_view(left[0], details, pictures) if left else None
    return ImageView(
        details=details,
        judge_rows=_judge_rows(details),
        people=views,
        worst_off=worst,
        passed_gate=sum(person.plausible for person in people),
        own_threats=tuple(line for line in details.threat_model if line not in threats),
    )


def _exposure(person: Person) -> tuple[Any, ...]:
    p_value = math.inf if person.p_value is None else person.p_value
    return p_value, -(person.confidence or 0.0), person.goal


def _person_view(person: Person, details: ImageDetails, pictures: Pictures) -> PersonView:
    names = [*details.judge_names]
    names += [f"judge {place + 1}" for place in range(len(names), len(person.votes))]
    return PersonView(
        record=person,
        development=pictures.develop(person.goal, details.snapshots),
        votes=tuple(zip(names, person.votes, strict=False)),
    )


def _judge_rows(details: ImageDetails) -> tuple[JudgeRow, ...]:
    judges = details.judges
    rows = [_judge_row("Right on real held-out photos, by majority", judges.accuracy, good=True)]
    for name, rate in zip(details.judge_names, judges.each, strict=False):
        rows.append(JudgeRow(f"{name} alone", rate, bad=False, alone=True))
    wrong = (
        ("Fooled by noise that fools the model", judges.false_positive_noise),
        ("Fooled by slightly changed photos of others", judges.false_positive_adversarial),
        ("Fooled by unchanged photos of others", judges.false_positive_others),
    )
    rows += [_judge_row(name, rate, good=False) for name, rate in wrong]
    return tuple(rows)


def _judge_row(name: str, rate: MeasuredRate | None, *, good: bool) -> JudgeRow:
    if rate is None or rate.estimate is None:
        return JudgeRow(name, rate, bad=False)
    low, high = rate.estimate < SMALLEST_ACCURACY, rate.estimate > LARGEST_FALSE_POSITIVE_RATE
    return JudgeRow(name, rate, bad=low if good else high)
