"""What a page shows of a cell of verifiers."""

from __future__ import annotations

from dataclasses import dataclass

from darkroom.report.faces.people import PersonView
from darkroom.report.faces.pictures import Pictures, read_pictures
from darkroom.report.kind_page import Part, Place
from darkroom.verifiers.record import EnrolledPerson, VerifierCell, VerifierDetails
from darkroom.vision.record import MeasuredRate

_MOST_PEOPLE = 60
_FEWEST_PEOPLE = 6
_MOST_BYTES = 24_000_000


@dataclass(frozen=True)
class VerifierView(Part):
    """The part of a cell that only verifiers have.

    Attributes:
        judge_rows: How good the judges are, and how often they err: a name and a rate.
        people: With pictures, those shown first, as many as there is room for.
        worst_off: The person whom pictures give away most.
        both: People who are accepted and shown.
        accepted_alone: People who are accepted and not shown.
        shown_alone: People who are shown and not accepted.
        neither: The others.
        left_out: How many people the page does not show.
    """

    judge_rows: tuple[tuple[str, MeasuredRate], ...]
    people: tuple[PersonView[EnrolledPerson], ...]
    worst_off: PersonView[EnrolledPerson] | None
    both: int
    accepted_alone: int
    shown_alone: int
    neither: int
    left_out: int


def verifier_view(cell: VerifierCell, place: Place) -> VerifierView:
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
    chosen = people[: max(_FEWEST_PEOPLE, min(_MOST_PEOPLE, room))]
    worst = None
    if details.worst_off is not None:
        goal = details.worst_off.goal
        left = [person for person in people if person.goal == goal]
        worst = _person_view(left[0], details, pictures) if left else None
    found = [(person.accepted, person.shown) for person in people]
    return VerifierView(
        judge_rows=_judge_rows(cell),
        people=tuple(_person_view(person, details, pictures) for person in chosen),
        worst_off=worst,
        both=found.count((True, True)),
        accepted_alone=found.count((True, False)),
        shown_alone=found.count((False, True)),
        neither=found.count((False, False)),
        left_out=len(people) - len(chosen),
        personal="pictures made of enrolled people beside their real photos",
    )


def _exposure(person: EnrolledPerson) -> tuple[bool, bool, float, int]:
    return not person.shown, not person.accepted, person.p_value, person.goal


def _person_view(
    person: EnrolledPerson, details: VerifierDetails, pictures: Pictures
) -> PersonView[EnrolledPerson]:
    return PersonView.of(
        person,
        pictures,
        snapshots=details.snapshots,
        judges=details.judge_names,
        gate=details.gate,
    )


def _judge_rows(cell: VerifierCell) -> tuple[tuple[str, MeasuredRate], ...]:
    likeness = cell.details.likeness
    return (
        ("Right on real photos, by majority behind the gate", likeness.accuracy),
        ("Photos of strangers taken for the person", likeness.others),
        ("The likest of these strangers, as a dictionary finds them", likeness.likest),
    )
