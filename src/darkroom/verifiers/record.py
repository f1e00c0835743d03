"""What a cell of verifiers says beside what all cells say."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from darkroom.access import VerifierAccess
from darkroom.auditing.record import (
    Bits,
    Cell,
    Count,
    Details,
    Difference,
    Rate,
    Record,
    Share,
    Words,
)
from darkroom.vision.record import GateMeasures, MeasuredRate, Ranking, WorstPerson


class Threshold(Record):
    """The operating point.

    Attributes:
        unit: What a score is: a ``similarity``, or a ``distance``.
        threshold: From which similarity on, or up to which distance, the verifier accepts.
        wanted: The false-accept rate that it was chosen for; ``None`` where it was given.
        false_accepts: How often strangers are accepted.
        false_rejects: How often other photos of the people enrolled are refused.
        strangers: How many strangers that is known from.
        pairs: How many pairs of a stranger's photo and a person.
    """

    unit: Words
    threshold: float
    wanted: Rate | None
    false_accepts: Share
    false_rejects: MeasuredRate
    strangers: Count
    pairs: Count


class Milestone(Record):
    """What an attack has after so many queries a person.

    Attributes:
        queries: The rows that the person who cost most has cost.
        accepted: The share of people for whom its pictures are accepted.
        dictionary: That of as many strangers.
        shown: The share of people whom its pictures show, to the judges.
        other_template: The share accepted against a template of other photos of the person;
            ``None`` where there are none.
    """

    queries: Count
    accepted: Rate
    dictionary: Rate
    shown: Rate
    other_template: Rate | None


class Reading(Record):
    """After which rows acceptance is read: success, baseline and advantage are of then.

    A dictionary of strangers opens everything in the end. So acceptance is read where as many
    strangers would open a quarter and half of the people, if the attack asks so much, and at its
    end, and what shows most counts. These places are known before the attack, and the advantage's
    interval is wide enough for all of them.

    Attributes:
        queries: The rows that the person who cost most had cost by then.
        looks: At how many places it was read.
    """

    queries: Count
    looks: Count


class Likeness(Record):
    """Whether pictures show the people, to judges that are not the verifier.

    Attributes:
        shown: The share of people whom they show: past the gate, by most judges.
        guessed: The same for draws from the prior, without the verifier.
        mistaken: The same without likeness: for the draws, or for photos of strangers, whichever is
            more.
        advantage: The share shown above that.
        plausible: The share of pictures that pass the gate.
        draws: How many draws that is known from.
        accuracy: How often the judges name real photos rightly.
        others: How often they take photos of strangers for the person; unknown where no strangers
            were held apart from the judges.
        likest: How often they take for the person the stranger whom the verifier finds most alike.
            That is no mistake: the likest of many does look like the person, and a dictionary of as
            many strangers finds them too.
        held_out: Whether the judges learned from photos that were not enrolled.
    """

    shown: Share
    guessed: Share
    mistaken: Share
    advantage: Difference
    plausible: Share
    draws: Count
    accuracy: MeasuredRate
    others: MeasuredRate
    likest: MeasuredRate
    held_out: bool


class EnrolledPerson(Record):
    """What one attack got of one person.

    ``score`` is what the verifier says of the picture, in its own units, or ``None`` where it finds
    no face in it, and ``accepted`` whether that is enough; ``other_template`` whether it is against
    a template of other photos.
    """

    goal: Count
    name: str
    queries: Count
    score: float | None
    accepted: bool
    other_template: bool | None
    measures: GateMeasures
    plausible: bool
    votes: tuple[bool, ...]
    shown: bool
    photo: Count
    rank: Annotated[int, Field(ge=1)]
    p_value: Rate
    p_adjusted: Rate
    confidence: None = None


class ToldAttribute(Record):
    """An attribute of people told from their stored templates.

    Attributes:
        name: The attribute.
        right: How often rightly.
        guessed: The same by the commonest value among public people.
        people: Of how many.
    """

    name: Words
    right: Share
    guessed: Share
    people: Count


class LeakedSoMany(Record):
    """What so many leaked templates of each person tell.

    Attributes:
        templates: Of each person.
        first: How often the right person comes first of the candidates.
        median_rank: Their median rank.
        bits: The bits gained over a rank by lot.
        accepted: The share of people for whom the picture made of them is accepted.
        shown: The share of people whom that picture shows, to the judges.
        picture_bits: The bits that it gains among strangers over a guess; ``None`` where nobody is
            ranked.
    """

    templates: Count
    first: Share
    median_rank: float
    bits: Bits
    accepted: Share
    shown: Share
    picture_bits: Bits | None


class ManyLeaked(Record):
    """One leaked template of each person against several.

    Attributes:
        renewed: Whether they are one template from several stores, each with keys of its own; else
            templates of several photos in one store.
        candidates: Among how many the right person is looked for.
        unlike: How many of all templates are unlike the others of their person.
        one: What the first of each person tells.
        together: What all of each person tell.
    """

    renewed: bool
    candidates: Count
    unlike: Count
    one: LeakedSoMany
    together: LeakedSoMany


class LeakedStore(Record):
    """What a leak of the stored templates tells, beside pictures.

    Attributes:
        first: How often the right person comes first for a leaked template, among candidates of
            whom another photo is known.
        candidates: How many these are.
        median_rank: The median rank of the right one.
        bits: The bits gained over a rank by lot.
        linkable: Whether two stores with different keys can be linked, from 0 for not at all to 1
            for fully: D-sys after Gomez-Barrero et al. 2018.
        renewed: How often what leaked is accepted by a store with new keys.
        attributes: What is told of the people.
        many: What several templates of each person tell, where the plan has them leak.
    """

    first: Share
    candidates: Count
    median_rank: float
    bits: Bits
    linkable: Rate
    renewed: Share
    attributes: tuple[ToldAttribute, ...]
    many: ManyLeaked | None = None


class VerifierDetails(Details):
    """What stands behind a cell of verifiers.

    Attributes:
        operating: The operating point.
        reading: After which rows acceptance is read.
        likeness: Whether pictures show the people.
        other_template: The share of people for whom pictures are accepted against a template of
            other photos (type II of ISO/IEC 30136); success is against the one enrolled (type I).
        happened: Which of impersonation and likeness came about, in a sentence.
        course: Both after so many queries.
        judge_names: The judges.
        gate: The limits of the plausibility gate.
        snapshots: The queries spent at each snapshot in ``reconstructions.npz``.
        people: Everybody.
        worst_off: Whom pictures give away most.
        ranking: How the right people rank among strangers.
        store: What else the leaked templates tell, to an attacker who has them.
    """

    operating: Threshold
    reading: Reading
    likeness: Likeness
    other_template: Share | None
    happened: Words
    course: tuple[Milestone, ...]
    judge_names: tuple[str, ...]
    gate: GateMeasures
    snapshots: tuple[Count, ...]
    people: tuple[EnrolledPerson, ...]
    worst_off: WorstPerson | None
    ranking: Ranking | None
    store: LeakedStore | None = None


class VerifierCell(Cell):
    """One attack on the people enrolled at a verifier."""

    kind: Literal["verifiers"] = "verifiers"
    access: VerifierAccess
    details: VerifierDetails
