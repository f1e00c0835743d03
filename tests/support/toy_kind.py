"""A whole kind of audit in one file: what a package of its own has to bring, and nothing more.

Its goals are locks with one digit each. The model says whether a digit opens a lock; the attack
tries digits in turn; the baseline is a digit drawn blindly.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np

from darkroom.access import Access
from darkroom.auditing.cell_plan import CellPlan, crossed
from darkroom.auditing.job import Advance, Arrays, Facts, Job
from darkroom.auditing.plan import AttackSection, BasePlan, Section
from darkroom.auditing.progress import Reporter
from darkroom.auditing.record import (
    Cell,
    Check,
    Component,
    CurvePoint,
    Details,
    Difference,
    Queries,
    Share,
)
from darkroom.auditing.run_record import TargetRecord
from darkroom.defenses.pipeline import Pipeline
from darkroom.defenses.registry import OUTPUT_DEFENSES, make_pipeline
from darkroom.kinds import Kind, Nouns
from darkroom.named import Registry, parameters_of
from darkroom.report.kind_page import KindPage
from darkroom.runs import Run, audit_plan
from darkroom.statistics.intervals import clopper_pearson, newcombe

DIGITS = 10


class LockTarget(Section):
    """The model under audit."""

    kind: Literal["safe"] = "safe"


class PrivateLocks(Section):
    """The truth: the digit that opens each lock."""

    locks: list[int]


class LockPlan(BasePlan):
    """A plan that audits a safe."""

    target: LockTarget = LockTarget()
    private: PrivateLocks


@dataclass(frozen=True)
class Turning:
    """Tries digits in turn.

    Attributes:
        first: Where it begins.
    """

    name: ClassVar[str] = "turning"
    access: ClassVar[Access] = Access.LABEL

    first: int = 0


@dataclass(frozen=True)
class AnyDigit:
    """What is known beforehand: that it is a digit."""

    name: ClassVar[str] = "digits"


ATTACKS: Registry[Turning] = Registry("attack on locks", Turning, Turning)
LockCellPlan = CellPlan[Turning, Access, Pipeline, AnyDigit]


class LockDetails(Details):
    """What stands behind a cell of locks.

    Attributes:
        tried: The digits tried for each lock.
    """

    tried: tuple[int, ...]


class LockCell(Cell):
    """One attack on all locks."""

    kind: Literal["locks"] = "locks"
    details: LockDetails


@dataclass(frozen=True)
class Safe:
    """The model with the truth about it; it is given, never trained."""

    locks: tuple[int, ...]

    @property
    def digest(self) -> str:
        """What decides it."""
        return repr(self.locks)

    @property
    def replaced(self) -> bool:
        """Never: nothing is trained."""
        return False

    def open(self, reporter: Reporter) -> Safe:
        """Returns itself."""
        del reporter
        return self

    def dress(self, cell: Cell) -> Cell:
        """Has nothing to add."""
        return cell


@dataclass(frozen=True)
class LockJob(Job[LockPlan, Safe, LockCellPlan, int]):
    """An audit of a safe."""

    def models(self) -> Sequence[Safe]:
        """Returns the safe."""
        return [self.subject]

    def cells(self) -> Sequence[LockCellPlan]:
        """Returns every attack against every output defence."""

        def cells_of(section: AttackSection, defense: Pipeline) -> Iterator[LockCellPlan]:
            attack = ATTACKS.find(section, self.folder)
            yield CellPlan(
                attack=attack,
                access=Access.LABEL,
                defense=defense,
                prior=AnyDigit(),
                budget=section.budget,
                seed=self.plan.run.seed,
            )

        links = [one.links for one in self.plan.defense]
        defenses = [make_pipeline(one, self.folder, registry=OUTPUT_DEFENSES) for one in links]
        return list(crossed(self.plan.attack, [Pipeline(), *defenses], cells_of))

    def facts(self) -> Facts:
        """Returns what was tested."""
        return Facts(
            TargetRecord(name="safe", kind="safe"), [("Locks", str(len(self.subject.locks)))]
        )

    def check(self, subject: Safe, advance: Advance) -> Sequence[Check]:
        """Finds locks that no digit opens."""
        del advance
        if max(subject.locks) < DIGITS:
            return [Check(name="digits", outcome="passed", found="Every lock has a digit.")]
        found = f"A lock opens at {max(subject.locks)}."
        remedy = "Count from 0."
        return [
            Check(name="digits", outcome="failed", found=found, cause="counting", remedy=remedy)
        ]

    def bench(self, subject: Safe, former: int | None, reporter: Reporter) -> int:
        """Returns how many digits are guessed rightly without the safe."""
        del former, reporter
        rng = np.random.default_rng([self.plan.run.seed, 1])
        return int((rng.integers(DIGITS, size=len(subject.locks)) == subject.locks).sum())

    def fit_prior(self, cell: LockCellPlan, subject: Safe, advance: Advance) -> None:
        """Needs none."""

    def run_cell(
        self,
        key: str,
        cell: LockCellPlan,
        subject: Safe,
        prior: None,
        bench: int,
        advance: Advance,
    ) -> tuple[LockCell, Arrays]:
        """Turns every lock."""
        del prior, advance
        most = DIGITS if cell.budget is None else min(cell.budget, DIGITS)
        truth = np.array(subject.locks)
        tried = (truth - cell.attack.first) % DIGITS + 1
        opened, n = tried <= most, len(truth)
        right = int(opened.sum())
        record = LockCell(
            key=key,
            target="safe",
            defense=cell.defense.name,
            attack=cell.attack.name,
            access=cell.access,
            prior=cell.prior.name,
            goals=n,
            queries=Queries(
                per_goal_median=float(np.median(tried.clip(max=most))),
                total=int(tried.clip(max=most).sum()),
            ),
            success=Share.of(clopper_pearson(right, n)),
            baseline=Share.of(clopper_pearson(bench, n)),
            advantage=Difference.of(newcombe(right, n, bench, n)),
            curve=tuple(
                CurvePoint.at(step, clopper_pearson(int((tried <= step).sum()), n))
                for step in range(1, most + 1)
            ),
            seconds=0.0,
            details=LockDetails(
                threat_model=("The attacker may turn every lock.",),
                attack=Component(name=cell.attack.name, parameters=parameters_of(cell.attack)),
                prior=Component(name=cell.prior.name, parameters={}),
                tried=tuple(int(one) for one in tried),
            ),
        )
        return record, {"goals": np.arange(n), "opened": opened}


def load_job(plan: LockPlan, path: Path, reporter: Reporter) -> LockJob:
    """Loads what a plan names: the locks stand in it."""
    del reporter
    return LockJob.of_file(plan, path, Safe(tuple(plan.private.locks)))


PAGE = KindPage(recovered="Opened")

PLAN = """\
[run]
name = "locks"
out = "{out}"

[target]
kind = "safe"

[private]
locks = [3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8]

[[attack]]
name = "turning"

[[attack]]
name = "turning"
first = 3
budget = 2

[[defense]]
name = "label-only"
"""


def demo(out: Path, *, seed: int = 0, progress: bool = True) -> Run:
    """Audits a safe with a dozen locks."""
    del seed
    out.mkdir(parents=True, exist_ok=True)
    plan = out / "plan.toml"
    plan.write_text(PLAN.format(out=out.as_posix()))
    return audit_plan(plan, resume=True, progress=progress)


LOCKS = Kind(
    name="locks",
    mark="locks",
    plan="tests.support.toy_kind:LockPlan",
    load="tests.support.toy_kind:load_job",
    record="tests.support.toy_kind:LockCell",
    page="tests.support.toy_kind:PAGE",
    demo="tests.support.toy_kind:demo",
    nouns=Nouns(
        "lock", "locks", "lock", "opens", "gives its locks away", "gives some of its locks away"
    ),
)
