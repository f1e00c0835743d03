"""Audits of models of tables: rows and model loaded, cells attacked and judged."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from darkroom.access import Access
from darkroom.auditing.plan import AttackSection, PriorSection
from darkroom.auditing.progress import Reporter
from darkroom.auditing.runner import Facts, FinishedCell, Job
from darkroom.defenses.pipeline import Pipeline
from darkroom.defenses.registry import TABLE_DEFENSES, make_defense
from darkroom.errors import PlanError
from darkroom.imports import call_import
from darkroom.named import describe
from darkroom.tables.attacks.registry import TABLE_ATTACKS
from darkroom.tables.cell_plan import TableCellPlan
from darkroom.tables.cells import run_table_cell
from darkroom.tables.judging import TableBench, set_up_table_bench
from darkroom.tables.models import GivenTableModel, TableModel, TrainedTableModel
from darkroom.tables.plan import TablePlan
from darkroom.tables.priors.build import TABLE_PRIORS
from darkroom.tables.priors.counts import TablePrior
from darkroom.tables.rows import plan_schema, read_frame, refuse_overlap, split_tables
from darkroom.tables.schema import Schema
from darkroom.tables.subject import TableSubject
from darkroom.tables.targets.base import TableTarget
from darkroom.tables.targets.load import open_table_target
from darkroom.tables.targets.sections import TableTargetSection
from darkroom.tables.targets.sklearn import UntrainedTableTarget
from darkroom.tables.targets.view import require_fitting
from darkroom.tables.training.defenses import (
    TABLE_TRAINING_DEFENSES,
    TableTrainingDefense,
    UndefendedTable,
)

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class TableJob(Job):
    """An audit of a model of tables.

    Attributes:
        plan: The plan; its paths are for the record here.
        plan_text: The plan as TOML.
        command: How to repeat the run.
        subject: The target and the rows.
        folder: Where secrets and files that defences name are looked for.
    """

    plan: TablePlan
    plan_text: str
    command: str
    subject: TableSubject
    folder: Path = Path()

    def keys(self, version: str) -> list[str]:
        """Returns the key of every cell; see :meth:`Job.keys`."""
        imputer = self.plan.public.imputer
        return [cell.key(f"{model.digest} {imputer}", version) for model, cell in self._planned]

    @cached_property
    def _planned(self) -> list[tuple[TableModel, TableCellPlan]]:
        """Every attack against every output defence, for each model."""
        cells = table_cell_plans(self.plan, self.folder)
        for cell in cells:
            require_fitting(cell.defense, self.subject.target)
        return [
            (model, cell)
            for model in self.models()
            for cell in cells
            if not (cell.attack.trees_only and _replaces(model))
        ]

    def models(self) -> list[TableModel]:
        """Returns the model that is given, or those to train, the undefended one first."""
        plan, target = self.plan, self.plan.target
        if not plan.training:
            return [GivenTableModel(self.subject)]
        folder = plan.run.out / plan.run.name / "models"
        trusted = tuple(target.trusted) if isinstance(target, TableTargetSection) else ()
        return [
            TrainedTableModel(self.subject, defense, plan.run.seed, folder, trusted)
            for defense in table_training_defenses(plan)
        ]

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
            *([("Also unknown", ", ".join(schema.unknown))] if schema.unknown else []),
            (
                "Private rows",
                f"{len(data.members.rows):,} that the model was trained on and "
                f"{len(data.others.rows):,} that it was not",
            ),
            ("Attacker\N{RIGHT SINGLE QUOTATION MARK}s rows", f"{len(data.public.rows):,}"),
            *([("Left out", f"{dropped:,} rows with missing values")] if dropped else []),
        ]
        if self.plan.training:
            names = [describe(defense) for defense in table_training_defenses(self.plan)]
            tested.append(("Trained by Darkroom", ", ".join(names)))
        return Facts({"name": target.name, "kind": self.plan.target.kind}, tested)

    def run(self, keys: Sequence[str], version: str, reporter: Reporter) -> Iterator[FinishedCell]:
        """Runs cells; those with the same prior share it; see :meth:`Job.run`."""
        public = self.subject.data.public.rows
        priors: dict[str, TablePrior] = {}
        opened: TableModel | None = None
        bench: TableBench | None = None
        for key, (model, cell) in zip(self.keys(version), self._planned, strict=True):
            if key not in keys:
                continue
            if bench is None or model is not opened:
                opened, subject = model, model.open(reporter)
                # What an attacker knows of a record may be what each model says of it.
                if bench is None or subject.knows == "prediction":
                    with reporter.stage("Training the imputation model"):
                        bench = self._bench(subject)
            cell = replace(cell, defense=_fitted(cell.defense, subject))
            words = f"{cell.prior!r}"
            if words not in priors:
                with reporter.stage(f"Fitting prior {cell.prior.name}"):
                    priors[words] = cell.prior.build(subject.candidates, public, cell.seed)
            with reporter.stage(cell.title) as advance:
                result, arrays = run_table_cell(key, cell, subject, priors[words], bench, advance)
            yield FinishedCell(key, model.dress(result), arrays)

    def _bench(self, subject: TableSubject) -> TableBench:
        return set_up_table_bench(subject, self.plan.run.seed, self.plan.public.imputer)


def _replaces(model: TableModel) -> bool:
    return isinstance(model, TrainedTableModel) and model.defense.replaces


def _fitted(defense: Pipeline, subject: TableSubject) -> Pipeline:
    """Returns defences with what they must know of the model learned from its answers."""
    members, target = subject.data.members, subject.target
    if not defense.learns or not target.has_scores:
        return defense
    return defense.fitted(target.scores(members.rows), members.response.astype(np.int64))


def load_job(plan: TablePlan, plan_path: Path, reporter: Reporter) -> TableJob:
    """Loads the target and the tables that a plan names.

    Raises:
        DarkroomError: If any of them does not do; the message says which and why.
    """
    # A mistyped attack or prior shows before anything is read.
    table_cell_plans(plan, plan_path.parent)
    table_training_defenses(plan)
    with reporter.stage("Reading tables") as advance:
        private = read_frame(plan.private)
        advance(1, 2)
        public = read_frame(plan.public)
    refuse_overlap(plan)
    schema = plan_schema(plan, private, public)
    target = _target(plan, schema, plan_path.parent)
    return TableJob(
        plan,
        plan_path.read_text(encoding="utf-8"),
        f"darkroom audit {plan_path.name}",
        table_subject(plan, target, private, public),
        plan_path.parent,
    )


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
        split_tables(plan, target.schema, frame, public),
        positive=private.positive,
        knows=private.knows,
        errors_on=private.errors_on,
        groups=private.groups,
        bins=private.bins,
        tolerance=private.tolerance,
    )


def table_cell_plans(plan: TablePlan, folder: Path | None = None) -> list[TableCellPlan]:
    """Checks every attack, prior and defence of a plan before anything costly begins.

    Every attack meets no defence and every defence; but who has the weights sees through output
    defences, so an attack on the weights meets none.

    Raises:
        PlanError: If a name or a parameter is wrong.
    """
    defenses = [Pipeline()]
    defenses += [
        Pipeline(
            tuple(
                make_defense(name, parameters, folder, registry=TABLE_DEFENSES)
                for name, parameters in one.links
            )
        )
        for one in plan.defense
    ]
    cells = []
    for section in plan.attack:
        for defense in defenses:
            cell = _cell_plan(plan, section, defense)
            if not defense.defenses:
                cells.append(cell)
            elif cell.access is not Access.WEIGHTS:
                cells += [cell, replace(cell, naive=True)] if plan.run.naive else [cell]
    return cells


def table_training_defenses(plan: TablePlan) -> list[TableTrainingDefense]:
    """Returns the training defences of a plan, without any first.

    Raises:
        PlanError: If a name or a parameter is wrong.
    """
    named = [TABLE_TRAINING_DEFENSES.make(one.name, one.parameters) for one in plan.training]
    return [UndefendedTable(), *(one for one in named if one != UndefendedTable())]


def _cell_plan(plan: TablePlan, section: AttackSection, defense: Pipeline) -> TableCellPlan:
    attack = TABLE_ATTACKS.make(section.name, section.parameters)
    access = section.access or attack.access
    if access is Access.TOP_K:
        raise PlanError(
            f"attack {attack.name}: access top_k is not for tables: use scores or label"
        )
    prior = section.prior or PriorSection(name="imputation")
    return TableCellPlan(
        attack=attack,
        access=access,
        defense=defense,
        prior=TABLE_PRIORS.make(prior.name, prior.parameters),
        budget=section.budget,
        seed=plan.run.seed,
    )
