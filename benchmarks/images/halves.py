"""``distillation`` in half the rows of ``evolution``, paid for by all people together or by one."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from benchmarks.claims import Claim, Table
from benchmarks.images.stages import WAYS, Course, Stage, att_stages, employees_stage, follow
from darkroom.access import Access
from darkroom.defenses.pipeline import Pipeline
from darkroom.demo.images import EMPLOYEES
from darkroom.images.attacks.distillation import DistillationAttack
from darkroom.images.attacks.evolution import EvolutionAttack
from darkroom.ledger import Limit
from darkroom.statistics.intervals import newcombe

ROWS = {"softmax": (1_000,), "cnn": (1_000,), "employees": (300, 1_000, 3_000)}
"""The rows a person of ``evolution`` that are halved, by target."""

TRAININGS = 3
"""How often each target is trained, and its people attacked: twenty people once tell little."""


class Runs(NamedTuple):
    """The same attack on a target as it is trained several times.

    Attributes:
        courses: Of each training.
        upto: The rows a person that count; all where it is ``None``.
    """

    courses: Sequence[Course]
    upto: int | None = None

    @property
    def recognised(self) -> int:
        """How many people it shows in all trainings."""
        return sum(one.recognised(self.upto) for one in self.courses)

    @property
    def people(self) -> int:
        """How many it was run on, each training's counted."""
        return sum(len(one.stage.goals) for one in self.courses)

    @property
    def bits(self) -> list[float]:
        """The bits it gains, of each training; none where they are not known."""
        found = (one.narrowed(self.upto) for one in self.courses)
        return [bits for bits in found if bits is not None]


class Half(NamedTuple):
    """What both attacks have.

    Attributes:
        rows: Of ``evolution``, a person.
        evolution: What it has by then.
        together: ``distillation`` in half of them, where all people pay for its pool.
        alone: The same, where each person's half has to pay for the whole pool.
    """

    rows: int
    evolution: Runs
    together: Runs
    alone: Runs

    @property
    def stage(self) -> Stage:
        """The target as it was trained first."""
        return self.evolution.courses[0].stage

    def rows_of_table(self) -> list[list[object]]:
        """Returns a row of the table for each way to count."""
        before = self.evolution
        found: list[list[object]] = []
        for name, runs in (("together", self.together), ("alone", self.alone)):
            less = newcombe(runs.recognised, runs.people, before.recognised, before.people)
            gained = [mine - theirs for mine, theirs in zip(runs.bits, before.bits, strict=True)]
            course = runs.courses[0]
            found.append(
                [
                    *(self.stage.name, self.stage.people, before.people, self.rows),
                    *(before.recognised / before.people, _mean(before.bits)),
                    *(name, course.rows, course.alone, runs.recognised / runs.people),
                    *(less.low, less.high, _mean(runs.bits)),
                    *(min(gained, default=None), max(gained, default=None)),
                ]
            )
        return found

    def claims(self) -> list[Claim]:
        """Compares success, and bits where they are known."""
        before = self.evolution
        claims = []
        for counted, runs in (("a person", self.together), ("for one alone", self.alone)):
            text = (
                f"{self.stage.name} {self.stage.people}: distillation in {self.rows // 2:,} rows "
                f"{counted}, less evolution in {self.rows:,}"
            )
            gained = (runs.recognised - before.recognised) / runs.people
            claims.append(Claim(text, 0.0, gained))
            if runs.bits:
                more = statistics.mean(runs.bits) - statistics.mean(before.bits)
                claims.append(Claim(f"{text}, bits", 0.0, more))
        return claims


def halves(seed: int, *, trainings: int = TRAININGS) -> tuple[list[Claim], Table]:
    """Runs ``distillation`` in half the rows of ``evolution`` on targets trained several times.

    Args:
        seed: Decides everything random in the first training; the next ones count on from it.
        trainings: How often each target is trained.
    """
    stages = [list(_stages(seed + number)) for number in range(trainings)]
    found = [half for same in zip(*stages, strict=True) for half in _compared(same, seed)]
    columns = (
        *("target", "people", "in all", "evolution's rows", "success", "bits", "pool paid for"),
        *("rows", "rows alone", "success in half", "less, low", "less, high", "bits in half"),
        *("bits more, least", "bits more, most"),
    )
    table = Table(
        f"Distillation in half the rows of evolution, {trainings} trainings of each target",
        columns,
        [row for half in found for row in half.rows_of_table()],
    )
    return [claim for half in found for claim in half.claims()], table


def _stages(seed: int) -> Iterator[Stage]:
    """Trains the targets of :data:`ROWS`."""
    yield from att_stages([name for name in ROWS if name != "employees"], WAYS[1], seed)
    yield employees_stage(seed, EMPLOYEES)


def _compared(stages: Sequence[Stage], seed: int) -> Iterator[Half]:
    """Runs both attacks on one target as it was trained each time."""
    most = max(ROWS[stages[0].name])
    before = _each(stages, EvolutionAttack(rows=most), seed)
    for rows in ROWS[stages[0].name]:
        attack = DistillationAttack(rows=rows // 2)
        yield Half(
            rows,
            Runs(before, rows),
            Runs(_each(stages, attack, seed)),
            Runs(_each(stages, attack, seed, limit=Limit(per_goal=rows // 2))),
        )


def _each(
    stages: Sequence[Stage],
    attack: EvolutionAttack | DistillationAttack,
    seed: int,
    *,
    limit: Limit | None = None,
) -> list[Course]:
    return [
        follow(stage, attack, Access.SCORES, Pipeline(), seed + number, limit=limit)
        for number, stage in enumerate(stages)
    ]


def _mean(values: Sequence[float]) -> float | None:
    return statistics.mean(values) if values else None
