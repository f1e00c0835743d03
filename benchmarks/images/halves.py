"""``distillation`` in half the rows of ``evolution``, paid for by all people together or by one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from benchmarks.claims import Claim, Table
from benchmarks.images.stages import WAYS, Course, Stage, follow
from darkroom.access import Access
from darkroom.defenses.pipeline import Pipeline
from darkroom.images.attacks.distillation import DistillationAttack
from darkroom.ledger import Limit
from darkroom.statistics.intervals import newcombe

ROWS = {"softmax": (1_000,), "cnn": (1_000,), "employees": (300, 1_000, 3_000)}
"""The rows a person of ``evolution`` that are halved, by target."""


class Half(NamedTuple):
    """What both attacks have.

    Attributes:
        rows: Of ``evolution``, a person.
        evolution: Its course.
        together: ``distillation`` in half of them, where all people pay for its pool.
        alone: The same, where each person's half has to pay for the whole pool.
    """

    rows: int
    evolution: Course
    together: Course
    alone: Course

    @property
    def who(self) -> str:
        """Names the target and the rows."""
        stage = self.evolution.stage
        return f"{stage.name} {stage.people}: distillation in {self.rows // 2:,} rows"

    def rows_of_table(self) -> list[list[object]]:
        """Returns a row of the table for each way to count."""
        people = len(self.evolution.stage.goals)
        before = self.evolution.recognised(self.rows)
        found: list[list[object]] = []
        for name, course in (("together", self.together), ("alone", self.alone)):
            less = newcombe(course.recognised(None), people, before, people)
            found.append(
                [
                    *(course.stage.name, course.stage.people, self.rows, before / people),
                    *(self.evolution.narrowed(self.rows), name, course.rows, course.alone),
                    *(course.success(), less.low, less.high, course.narrowed(None)),
                ]
            )
        return found

    def claims(self) -> list[Claim]:
        """Compares success, and bits where they are known."""
        people = len(self.evolution.stage.goals)
        before, bits = self.evolution.recognised(self.rows), self.evolution.narrowed(self.rows)
        claims = []
        for counted, course in (("a person", self.together), ("for one alone", self.alone)):
            text = f"{self.who} {counted}, less evolution in {self.rows:,}"
            gained = (course.recognised(None) - before) / people
            claims.append(Claim(text, 0.0, gained))
            mine = course.narrowed(None)
            if bits is not None and mine is not None:
                claims.append(Claim(f"{text}, bits", 0.0, mine - bits))
        return claims


def halves(
    stages: Sequence[Stage], courses: Sequence[Course], seed: int
) -> tuple[list[Claim], Table]:
    """Runs ``distillation`` where ``evolution`` has run, in half its rows.

    Args:
        stages: Whom to attack; those without :data:`ROWS` are left out.
        courses: What ``evolution`` had, among others.
        seed: Decides everything random.
    """
    found = []
    for stage in stages:
        if stage.people == WAYS[0] or stage.name not in ROWS:
            continue
        evolution = next(
            one
            for one in courses
            if (one.stage is stage)
            and (one.attack, one.access, one.defense) == ("evolution", "scores", "none")
        )
        for rows in ROWS[stage.name]:
            half = rows // 2
            together, alone = (
                follow(
                    stage,
                    DistillationAttack(rows=half),
                    Access.SCORES,
                    Pipeline(),
                    seed,
                    limit=limit,
                )
                for limit in (None, Limit(per_goal=half))
            )
            found.append(Half(rows, evolution, together, alone))
    columns = (
        *("target", "people", "evolution's rows", "success", "bits", "pool paid for"),
        *("rows", "rows alone", "success in half", "less, low", "less, high", "bits in half"),
    )
    table = Table(
        "Distillation in half the rows of evolution",
        columns,
        [row for half in found for row in half.rows_of_table()],
    )
    return [claim for half in found for claim in half.claims()], table
