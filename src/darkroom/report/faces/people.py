"""One person on a page: pictures, named votes, and what the gate made of the picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from darkroom.report.faces.gate import gate_measures, gate_refusals
from darkroom.report.faces.pictures import Development, Pictures
from darkroom.vision.record import GateMeasures


class PersonRecord(Protocol):
    """What records of people have in common."""

    @property
    def goal(self) -> int:
        """The person's number."""

    @property
    def votes(self) -> tuple[bool, ...]:
        """What each judge says."""

    @property
    def measures(self) -> GateMeasures:
        """What the gate measured."""

    @property
    def plausible(self) -> bool:
        """Whether the picture passes."""


R = TypeVar("R", bound=PersonRecord)


@dataclass(frozen=True)
class PersonView(Generic[R]):
    """A person with pictures and named votes.

    Attributes:
        record: The person.
        development: The pictures.
        votes: What each judge says.
        measures: What the gate measured, with its limits, in words.
        refusals: Those of them for which it refused the picture.
    """

    record: R
    development: Development
    votes: tuple[tuple[str, bool], ...]
    measures: tuple[str, ...]
    refusals: tuple[str, ...]

    @classmethod
    def of(
        cls,
        person: R,
        pictures: Pictures,
        *,
        snapshots: tuple[int, ...],
        judges: Sequence[str],
        gate: GateMeasures,
    ) -> PersonView[R]:
        """Works it out.

        Args:
            person: The person.
            pictures: Of everybody.
            snapshots: The queries spent at each snapshot.
            judges: Their names; those beyond have numbers.
            gate: Its limits.
        """
        names = [*judges]
        names += [f"judge {place + 1}" for place in range(len(names), len(person.votes))]
        return cls(
            record=person,
            development=pictures.develop(person.goal, snapshots),
            votes=tuple(zip(names, person.votes, strict=False)),
            measures=gate_measures(person.measures, gate),
            refusals=() if person.plausible else gate_refusals(person.measures, gate),
        )
