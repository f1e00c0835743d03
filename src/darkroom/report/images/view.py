"""What a page shows of a cell of images."""

from __future__ import annotations

from dataclasses import dataclass

from darkroom.images.record import ImageCell, ImageDetails, Person
from darkroom.report.faces.accuracy import knows_too_few
from darkroom.report.faces.people import PersonView
from darkroom.report.faces.pictures import Pictures, read_pictures
from darkroom.report.images.soundness import explains
from darkroom.report.kind_page import Part, Place
from darkroom.vision.record import MeasuredRate

_MOST_PEOPLE = 60
_FEWEST_PEOPLE = 6
_MOST_BYTES = 24_000_000


@dataclass(frozen=True)
class JudgeRow:
    """A line of the table of the judges' errors; ``alone`` marks a single judge."""

    name: str
    rate: MeasuredRate
    bad: bool
    alone: bool = False


@dataclass(frozen=True)
class ImageView(Part):
    """The part of a cell that only images have.

    Attributes:
        judge_rows: How often the judges err.
        people: With pictures, the worst-off first, as many as there is room for.
        worst_off: The person whom the model exposes most.
        passed_gate: How many reconstructions pass the plausibility gate.
        left_out: How many people the page does not show.
    """

    judge_rows: tuple[JudgeRow, ...]
    people: tuple[PersonView[Person], ...]
    worst_off: PersonView[Person] | None
    passed_gate: int
    left_out: int


def image_view(cell: ImageCell, place: Place) -> ImageView:
    """Works out what a page shows of a cell.

    Args:
        cell: The cell.
        place: Where it stands.

    Raises:
        RunError: If pictures are missing or damaged.
    """
    details = cell.details
    path = place.run / "cells" / cell.key / "reconstructions.npz"
    pictures = read_pictures(path, place.target.range or (0.0, 1.0))
    people = sorted(details.people, key=_exposure)
    room = int(_MOST_BYTES / place.cells / pictures.weight)
    shown = people[: max(_FEWEST_PEOPLE, min(_MOST_PEOPLE, room))]
    views = tuple(_person_view(person, details, pictures) for person in shown)
    worst = None
    if details.worst_off is not None:
        goal = details.worst_off.goal
        left = [person for person in people if person.goal == goal]
        worst = _person_view(left[0], details, pictures) if left else None
    return ImageView(
        judge_rows=_judge_rows(cell),
        people=views,
        worst_off=worst,
        passed_gate=sum(person.plausible for person in people),
        left_out=len(people) - len(views),
        personal="reconstructed faces beside the real photos of the people they belong to",
    )


def _exposure(person: Person) -> tuple[float, float, int]:
    return person.p_value, -(person.confidence or 0.0), person.goal


def _person_view(person: Person, details: ImageDetails, pictures: Pictures) -> PersonView[Person]:
    return PersonView.of(
        person,
        pictures,
        snapshots=details.snapshots,
        judges=details.judge_names,
        gate=details.gate,
    )


def _judge_rows(cell: ImageCell) -> tuple[JudgeRow, ...]:
    judges = cell.details.judges
    right = judges.accuracy
    rows = [JudgeRow("Right on real photos, by majority", right, bad=knows_too_few(right))]
    for name, rate in zip(cell.details.judge_names, judges.each, strict=False):
        rows.append(JudgeRow(f"{name} alone", rate, bad=False, alone=True))
    rows.append(JudgeRow("Real photos that pass the gate", judges.gate, bad=False))
    wrong = (
        ("Fooled by noise that fools the model", judges.false_positive_noise),
        ("Fooled by slightly changed photos of others", judges.false_positive_adversarial),
        ("Fooled by unchanged photos of others", judges.false_positive_others),
    )
    # Without a success there is nothing for errors to explain.
    rows += [
        JudgeRow(name, rate, bad=cell.hits > 0 and explains(cell, rate)) for name, rate in wrong
    ]
    return tuple(rows)
