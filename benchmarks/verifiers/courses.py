"""What attacks have after so many rows, at two operating points, before judges."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from benchmarks.claims import tell
from benchmarks.verifiers.worlds import World
from darkroom.access import VerifierAccess
from darkroom.defenses.pipeline import Pipeline
from darkroom.ledger import Limit, QueryLedger
from darkroom.statistics.intervals import Interval, clopper_pearson
from darkroom.verifiers.attacks.base import Attack, Progress
from darkroom.verifiers.measures.operating import one_of
from darkroom.verifiers.targets.base import Images
from darkroom.verifiers.targets.view import View
from darkroom.vision.guesses import advantage
from darkroom.vision.judges.ranks import bits_gained, log_rank_right

COLUMNS = (
    *("attack", "access", "defence", "rows"),
    *("accepted at 1%", "dictionary", "accepted at 0.1%", "dictionary", "low", "high"),
    *("other photos", "shown", "low", "high", "faces", "bits", "seconds"),
)


class Mark(NamedTuple):
    """What an attack has after so many rows.

    Attributes:
        rows: That the person who cost most has cost.
        easy: How many are accepted at a false-accept rate of 1%.
        hard: How many at 0.1%.
        other: How many at 0.1% against a template of other photos.
        shown: How many are recognised by the judges.
        faces: How many pass the gate.
        people: How many there are.
        bits: Gained among strangers, with the interval.
        dictionary: That of as many strangers, at 0.1%.
        pictures: What is measured.
        decided: Whether the attacker saw decisions at 0.1%, so that the other point says nothing.
    """

    rows: int
    easy: int
    hard: int
    other: int
    shown: int
    faces: int
    people: int
    bits: Interval
    dictionary: Interval
    pictures: Images
    decided: bool = False

    def advantage(self) -> Interval:
        """Returns the share accepted at 0.1% above the dictionary."""
        return advantage(clopper_pearson(self.hard, self.people), self.dictionary)

    def row(self) -> list[object]:
        """Returns the values of a line of the table, without the attack."""
        hard = clopper_pearson(self.hard, self.people)
        shown = clopper_pearson(self.shown, self.people)
        return [
            self.rows,
            None if self.decided else self.easy / self.people,
            None if self.decided else one_of(0.01, self.rows),
            *(hard.estimate, self.dictionary.estimate, hard.low, hard.high),
            self.other / self.people,
            *shown,
            self.faces / self.people,
            self.bits.estimate,
        ]


class Course(NamedTuple):
    """An attack, and what it had.

    Attributes:
        attack: Its name.
        access: What a query returned.
        defense: What stood in between.
        marks: In the order of rows.
        seconds: Of the processor.
    """

    attack: str
    access: str
    defense: str
    marks: list[Mark]
    seconds: float

    def at(self, rows: int) -> Mark:
        """Returns the last mark within a number of rows."""
        return [mark for mark in self.marks if mark.rows <= rows][-1]

    def rows(self) -> list[list[object]]:
        """Returns the lines of the table."""
        head = [self.attack, self.access, self.defense]
        return [[*head, *mark.row(), round(self.seconds, 1)] for mark in self.marks]


def follow(
    world: World,
    attack: Attack,
    marks: Sequence[int],
    seed: int,
    *,
    defense: Pipeline | None = None,
    access: VerifierAccess | None = None,
) -> Course:
    """Runs an attack on everybody, and measures what it has after so many rows, and in the end."""
    subject, chosen = world.subject, defense or Pipeline()
    granted = access or attack.access
    tell(f"{attack.name} with {granted}, defence {chosen.name}")
    people = np.arange(len(subject.goals))
    ledger = QueryLedger(len(people), Limit(per_goal=max(marks)))
    view = View(
        subject.target,
        granted,
        ledger,
        people,
        defense=chosen,
        noise=np.random.default_rng([seed, 6]),
    )
    latest: tuple[int, Progress | None] = (0, None)
    begun, found = time.process_time(), list[Mark]()
    for progress in attack.run(view, world.knowledge, rng=np.random.default_rng([seed, 1])):
        rows = int(ledger.alone.max())
        passed = [mark for mark in marks if latest[0] <= mark < rows]
        if passed and latest[1] is not None:
            found.append(measure(world, latest[0], latest[1]))
        latest = rows, progress
    assert latest[1] is not None
    found.append(measure(world, latest[0], latest[1]))
    seconds = time.process_time() - begun
    if view.access is VerifierAccess.DECISION:
        found = [mark._replace(decided=True) for mark in found]
    return Course(attack.name, str(view.access), chosen.name, found, seconds)


def measure(world: World, rows: int, progress: Progress) -> Mark:
    """Asks the verifier and the judges about what an attack has."""
    subject, images = world.subject, progress.reconstructions
    people = np.arange(len(images))
    scores = subject.target.scores(images, people)
    judgement = world.panel.judge(images)
    other, gallery = subject.other_templates, world.people.gallery
    assert other is not None
    assert gallery is not None
    likeness = gallery.likeness(subject.unit(images))
    return Mark(
        rows,
        int((scores >= world.at_one_percent).sum()),
        int((scores >= subject.operating.threshold).sum()),
        int(other.decisions(images, people).sum()),
        int(judgement.names(subject.goals).sum()),
        int(judgement.plausible.sum()),
        len(people),
        bits_gained(log_rank_right(likeness), world.guessed),
        subject.operating.dictionary(rows),
        images,
    )
