"""Audits of models of tables: rows and model loaded, cells attacked and judged."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from darkroom.auditing.artefacts import NOWHERE, Artefacts
from darkroom.auditing.blocks import Blocks
from darkroom.auditing.job import Advance, Arrays, Facts, Job, Model, trained_row
from darkroom.auditing.progress import Reporter
from darkroom.auditing.record import Check
from darkroom.auditing.run_record import TargetRecord
from darkroom.imports import call_import
from darkroom.named import identity, is_ours
from darkroom.tables.cell_plan import TableCellPlan, table_cell_plans
from darkroom.tables.cells import run_table_cell
from darkroom.tables.checks.answers import check_answers, check_use
from darkroom.tables.checks.by_heart import check_by_heart
from darkroom.tables.checks.fitting import Again
from darkroom.tables.checks.given_away import check_given_away
from darkroom.tables.checks.knowledge import check_knowledge, not_asked
from darkroom.tables.checks.mixed_up import check_trained_on, check_values
from darkroom.tables.checks.own_values import check_own_values
from darkroom.tables.checks.shared_rows import check_others, check_public
from darkroom.tables.checks.units import check_units
from darkroom.tables.course import block, is_cut, records_of
from darkroom.tables.judging import TableBench, set_up_table_bench
from darkroom.tables.models import TableTrainer
from darkroom.tables.plan import TablePlan
from darkroom.tables.priors.counts import TablePrior
from darkroom.tables.record import TableCell
from darkroom.tables.rows import plan_schema, read_frames, refuse_overlap, split_tables
from darkroom.tables.schema import Schema
from darkroom.tables.subject import TableSubject
from darkroom.tables.targets.base import TableTarget
from darkroom.tables.targets.load import open_table_target
from darkroom.tables.targets.sections import TableTargetSection
from darkroom.tables.targets.sklearn import UntrainedTableTarget
from darkroom.tables.targets.view import require_fitting
from darkroom.tables.training.base import TableTraining, UndefendedTable
from darkroom.tables.training.registry import TABLE_TRAINING_DEFENSES
from darkroom.training.defense import with_control
from darkroom.training.models import GivenModel, TrainedModel

if TYPE_CHECKING:
    import pandas as pd

    from darkroom.remote.guarded import Endpoint
    from darkroom.tables.targets.http import HttpTableTarget


@dataclass(frozen=True)
class TableJob(Job[TablePlan, TableSubject, TableCellPlan, TableBench]):
    """An audit of a model of tables; see :class:`Job`."""

    judged_with = ("baselines",)

    def models(self) -> Sequence[Model[TableSubject]]:
        """Returns the model that is given, or those to train; see :meth:`Job.models`."""
        plan, target = self.plan, self.plan.target
        # Errors are measured once for all cells and processes.
        subject = replace(self.subject, shelf=plan.shelves.own)
        if not plan.training:
            return [GivenModel(subject)]
        trusted = tuple(target.trusted) if isinstance(target, TableTargetSection) else ()
        trainer = TableTrainer(subject, plan.run.seed, trusted)
        return [
            TrainedModel(trainer, one, plan.models_folder)
            for one in table_training_defenses(plan, self.folder)
        ]

    def cells(self) -> Sequence[TableCellPlan]:
        """Returns every attack against every output defence; see :meth:`Job.cells`."""
        cells = table_cell_plans(self.plan, self.folder, self.subject.target)
        for cell in cells:
            require_fitting(cell.defense, self.subject.target)
        return cells

    @property
    def judged_by(self) -> str:
        """Which model imputes; see :meth:`Job.judged_by`."""
        return self.plan.public.imputer

    def attacks(self, model: Model[TableSubject], cell: TableCellPlan) -> bool:
        """Tells that what takes a tree apart makes no sense against what replaces the tree."""
        return not (cell.attack.trees_only and model.replaced)

    def facts(self) -> Facts:
        """Returns what the report says of the model and the rows; see :meth:`Job.facts`."""
        data, target = self.subject.data, self.subject.target
        schema = data.schema
        answers = (
            f"{schema.response.name}, one of {target.classes} classes"
            if target.classes is not None
            else f"{schema.response.name}, a number"
        )
        dropped = data.members.dropped + data.public.dropped
        values = (
            "a number"
            if self.subject.tolerance is not None
            else f"{len(self.subject.candidates)} values"
        )
        tested = [
            ("Answers", f"{answers}; {target.access} at most"),
            ("Input", f"{len(schema.columns)} columns: {', '.join(schema.names)}"),
            ("Sensitive", f"{', '.join(schema.sensitive)}: {values}"),
            *([("Follow from it", ", ".join(schema.derived))] if schema.derived else []),
            *([("Also unknown", ", ".join(schema.unknown))] if schema.unknown else []),
            (
                "Private rows",
                f"{len(data.members.rows):,} that the model was trained on and "
                f"{len(data.others.rows):,} that it was not",
            ),
            ("Attacker\N{RIGHT SINGLE QUOTATION MARK}s rows", f"{len(data.public.rows):,}"),
            *([("Left out", f"{dropped:,} rows with missing values")] if dropped else []),
            *trained_row(table_training_defenses(self.plan, self.folder)),
        ]
        return Facts(TargetRecord(name=target.name, kind=self.plan.target.kind), tested)

    def check(self, subject: TableSubject, advance: Advance) -> Sequence[Check]:
        """Asks whether model and rows are what their owner thinks; see :meth:`Job.check`."""
        mixed_up = [check_trained_on(subject), check_values(subject)]
        # Where rows or values are other ones, no reading of the table says why.
        known = not_asked() if self._failed(mixed_up) else check_knowledge(subject, advance)
        again = Again.of(subject.target, subject.data.members)
        checks = [
            check_answers(subject),
            known,
            *mixed_up,
            check_public(subject.data),
            check_others(subject.data),
            check_units(subject),
            check_given_away(subject),
            check_use(subject, again.model),
            check_own_values(subject, again, advance),
        ]
        found = [check for check in checks if check is not None]
        # Any of these may be why rows are not known by heart.
        return found if self._failed(found) else [*found, check_by_heart(subject, again)]

    def _failed(self, checks: Sequence[Check]) -> bool:
        """Tells whether one has failed that counts."""
        ignored = self.plan.check.ignore
        return any(one.outcome == "failed" and one.name not in ignored for one in checks)

    def bench(
        self, subject: TableSubject, former: TableBench | None, reporter: Reporter
    ) -> TableBench:
        """Trains the baselines; see :meth:`Job.bench`."""
        # What an attacker knows of a record may be what each model says of it.
        if former is not None and subject.knows == "response":
            return former
        seed, imputer = self.plan.run.seed, self.plan.public.imputer
        subject.errors  # noqa: B018 - is kept for whoever needs it
        with reporter.stage("Training the imputation model"):
            return self.plan.shelves.own.made(
                "baselines",
                [subject.digest(), seed, imputer],
                lambda: set_up_table_bench(subject, seed, imputer),
            )

    def fit_prior(self, cell: TableCellPlan, subject: TableSubject, advance: Advance) -> TablePrior:
        """Counts or trains on the public rows; see :meth:`Job.fit_prior`."""
        del advance
        candidates, public = subject.candidates, subject.data.public.rows
        words = [subject.data.digest(), candidates.values.tolist(), cell.seed, identity(cell.prior)]
        return self.prior_shelf(cell).made(
            f"prior-{cell.prior.name}",
            words,
            lambda: cell.prior.build(candidates, public, cell.seed),
        )

    def prior_shelf(self, cell: TableCellPlan) -> Artefacts:
        """Returns where a prior of Darkroom's own is kept; see :meth:`Job.prior_shelf`."""
        # One from outside may read a file, of which nothing is known here.
        return self.plan.shelves.shared if is_ours(cell.prior) else NOWHERE

    @cached_property
    def _endpoint(self) -> Endpoint[HttpTableTarget]:
        """The same model behind the plan's guard, reached when a cell first asks it."""
        from darkroom.remote.guarded import Endpoint
        from darkroom.tables.targets.http import HttpTableTarget

        def reach() -> HttpTableTarget:
            plan, schema = self.plan, self.subject.target.schema
            assert plan.guarded is not None
            leave = plan.run.authorized_by
            target = open_table_target(
                plan.guarded, schema, authorized_by=leave, ends_with_limit=True
            )
            assert isinstance(target, HttpTableTarget), "the plan has checked this"
            return target

        return Endpoint(reach)

    def blocks(self, key: str, cell: TableCellPlan) -> Blocks | None:
        """Cuts a cell of many records; see :meth:`Job.blocks`."""
        size = self.plan.run.block
        if not is_cut(cell, self.subject, size):
            return None
        return Blocks.cut(self.plan.run_folder, key, records_of(self.subject), size)

    def run_block(
        self,
        cell: TableCellPlan,
        subject: TableSubject,
        prior: TablePrior,
        records: range,
        advance: Advance,
    ) -> Iterator[Mapping[str, NDArray[Any]]]:
        """Asks about a block of records; see :meth:`Job.run_block`."""
        return block(_fitted(cell, subject), subject, prior, records, advance)

    def run_cell(
        self,
        key: str,
        cell: TableCellPlan,
        subject: TableSubject,
        prior: TablePrior,
        bench: TableBench,
        advance: Advance,
    ) -> tuple[TableCell, Arrays]:
        """Attacks members and others, and judges what comes out; see :meth:`Job.run_cell`."""
        where = None if cell.guarded is None else self._endpoint
        blocks = self.blocks(key, cell)
        cell = _fitted(cell, subject)
        return run_table_cell(key, cell, subject, prior, bench, advance, where, blocks)


def _fitted(cell: TableCellPlan, subject: TableSubject) -> TableCellPlan:
    """Returns a cell with what its defence must know of the model learned from its answers."""
    defense, members, target = cell.defense, subject.data.members, subject.target
    if not defense.learns or not target.has_scores:
        return cell
    scores = target.scores(members.rows)
    return replace(cell, defense=defense.fitted(scores, members.response.astype(np.int64)))


def load_job(plan: TablePlan, plan_path: Path, reporter: Reporter) -> TableJob:
    """Loads the target and the tables that a plan names.

    Raises:
        DarkroomError: If any of them does not do; the message says which and why.
    """
    # A mistyped attack or prior shows before anything is read.
    table_cell_plans(plan, plan_path.parent)
    table_training_defenses(plan, plan_path.parent)
    with reporter.stage("Reading tables"):
        private, public = read_frames(plan)
    refuse_overlap(plan)
    schema = plan_schema(plan, private, public)
    target = _target(plan, schema, plan_path.parent)
    return TableJob.of_file(plan, plan_path, table_subject(plan, target, private, public))


def _target(plan: TablePlan, schema: Schema, folder: Path) -> TableTarget:
    """Loads or reaches the model of a plan."""
    section = plan.target
    if plan.training and isinstance(section, TableTargetSection):
        return UntrainedTableTarget(call_import(section.load, folder), schema)
    return open_table_target(section, schema, folder=folder, authorized_by=plan.run.authorized_by)


def table_subject(
    plan: TablePlan, target: TableTarget, frame: pd.DataFrame, public: pd.DataFrame
) -> TableSubject:
    """Joins a target with its rows as the plan says.

    Args:
        plan: What is asked of them.
        target: The model, with the schema of both tables.
        frame: The private table.
        public: The attacker's.

    Raises:
        DarkroomError: As :func:`split_tables` and :meth:`TableSubject.of`.
    """
    private = plan.private
    return TableSubject.of(
        target,
        split_tables(plan, target, frame, public),
        positive=private.positive,
        knows=private.knows,
        errors_on=private.errors_on,
        groups=private.groups,
        bins=private.bins,
        tolerance=private.tolerance,
    )


def table_training_defenses(plan: TablePlan, folder: Path) -> list[TableTraining]:
    """Returns the training defences of a plan, without any first; none if it trains nothing.

    Args:
        plan: The plan.
        folder: Where modules that they name are looked for.

    Raises:
        PlanError: If a name or a parameter is wrong.
    """
    named = [TABLE_TRAINING_DEFENSES.find(one, folder) for one in plan.training]
    return with_control(UndefendedTable(), named)
