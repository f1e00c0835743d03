"""Attacks of the page on images, run to their end for an experiment of the lesson."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from darkroom.errors import DarkroomError
from darkroom.lab.develop.choices import Choice
from darkroom.lab.develop.events import Attacking, Ended, Milestone, Preparing, Shown
from darkroom.lab.live.gate import Gate
from darkroom.lab.studio.stages import Stage

if TYPE_CHECKING:
    from darkroom.lab.studio.loading import Studio

EVERY = 0.3
"""Seconds from one look at a running attack to the next; each costs it a little."""


class Watch(NamedTuple):
    """Who waits for an experiment.

    Attributes:
        gate: Raises where it was ended.
        tell: Told what is being done.
    """

    gate: Gate
    tell: Callable[[Stage], None]

    def say(self, what: str) -> None:
        """Tells what is being done, unless nobody waits any more.

        Raises:
            Stopped: If it was ended.
        """
        self.gate.check()
        self.tell(Stage(what))


class Course(NamedTuple):
    """What an attack came to.

    Attributes:
        marks: Its milestones.
        accuracy: Of the model behind the defence.
    """

    marks: tuple[Milestone, ...]
    accuracy: float | None

    @property
    def first(self) -> tuple[Shown, ...]:
        """The pictures that it began with, a person each."""
        return self.marks[0].people

    @property
    def last(self) -> tuple[Shown, ...]:
        """Its answers, a person each."""
        return self.marks[-1].people

    @property
    def recognised(self) -> int:
        """How many people the judges recognise at last."""
        return sum(bool(one.recovered) for one in self.last)

    @property
    def since(self) -> list[int]:
        """The queries after which people were recognised for good; of those who were."""
        found = [_since(self.marks, place) for place in range(len(self.last))]
        return [one for one in found if one is not None]

    @property
    def median(self) -> float | None:
        """The median of those; ``None`` unless half of the people were recognised."""
        since = self.since
        return statistics.median(since) if 2 * len(since) >= len(self.last) else None

    @property
    def spent(self) -> int:
        """The queries of whoever took the most."""
        return max(self.marks[-1].queries)


def _since(marks: Sequence[Milestone], place: int) -> int | None:
    since = None
    for mark in marks:
        if not mark.people[place].recovered:
            since = None
        elif since is None:
            since = mark.queries[place]
    return since


def await_judges(studio: Studio, watch: Watch) -> None:
    """Waits for the model and the judges.

    Raises:
        DarkroomError: If they cannot be had.
        Stopped: If nobody waits any more.
    """
    while not studio.wait(EVERY):
        watch.say(studio.stage.title)
    studio.job  # noqa: B018 - raises what is wrong with it
    while studio.bench is None:
        title = studio.judges_stage.title
        if title.startswith("There are no judges"):
            raise DarkroomError(title)
        watch.say(title)
        watch.gate.rest(EVERY)


def people_of(studio: Studio, most: int) -> tuple[int, ...]:
    """Returns the first people of the model."""
    return tuple(int(one) for one in studio.subject.goals[:most])


def attacked(studio: Studio, watch: Watch, what: str, **choice: Any) -> Course:
    """Runs an attack to its end, as fast as it goes.

    Args:
        studio: The model and the judges.
        watch: Who waits for it.
        what: What is said meanwhile.
        choice: What :class:`Choice` takes.

    Raises:
        DarkroomError: If it cannot be run.
        Stopped: If nobody waits any more.
    """
    from darkroom.lab.develop.attack import LiveAttack

    attack = LiveAttack(studio, Choice.model_validate({"pace": "full", **choice}))
    marks: list[Milestone] = []
    accuracy = None
    attack.begin()
    try:
        while True:
            watch.say(what)
            attack.join(EVERY)
            for event in attack.events():
                if isinstance(event, Preparing):
                    watch.tell(Stage(event.what, event.share))
                elif isinstance(event, Attacking):
                    accuracy = event.accuracy
                elif isinstance(event, Milestone):
                    marks.append(event)
                elif isinstance(event, Ended):
                    if event.why != "done":
                        raise DarkroomError(event.sentence)
                    return Course(tuple(marks), accuracy)
    finally:
        attack.stop()
