"""Audits of models of tables: rows and model loaded, cells attacked and judged."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from darkroom.access import Access
from darkroom.attacks.table_registry import make_table_attack
from darkroom.audit.plan import AttackSection, PriorSection, parse_slice
from darkroom.audit.progress import Reporter
from darkroom.audit.runner import Facts, FinishedCell, Job
from darkroom.audit.table_cells import TableCellPlan, run_table_cell
from darkroom.audit.table_judging import set_up_table_bench
from darkroom.audit.table_plan import TablePlan, TableSection, TableTargetSection
from darkroom.audit.table_subject import TableSubject
from darkroom.data.tables import (
    DIABETES,
    TableData,
    encode_table,
    load_diabetes_table,
    read_table,
    take,
)
from darkroom.defenses.outputs import Centred, Pipeline, make_defense
from darkroom.errors import DataError, PlanError
from darkroom.priors.table_build import configure_table_prior
from darkroom.priors.tables import TablePrior
from darkroom.targets.schema import Column, Schema, pandas_module, require_column, schema_of
from darkroom.targets.table import TableTarget
from darkroom.targets.table_load import load_table_target, reach_table_target

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
        digest = f"{self.subject.digest()} {self.plan.public.imputer}"
        return [cell.key(digest, version) for cell in self._planned]

    @cached_property
    def _planned(self) -> list[TableCellPlan]:
        data, target = self.subject.data.members, self.subject.target
        planned = table_cell_plans(self.plan, self.folder)
        learning = any(
            isinstance(one, Centred) for cell in planned for one in cell.defense.defenses
        )
        if not learning or not target.has_scores:
            return planned
        scores, labels = target.scores(data.rows), data.response.astype(np.int64)
        return [replace(cell, defense=cell.defense.fitted(scores, labels)) for cell in planned]

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
        return Facts({"name": target.name, "kind": self.plan.target.kind}, tested)

    def run(self, keys: Sequence[str], version: str, reporter: Reporter) -> Iterator[FinishedCell]:
        """Runs cells; those with the same prior share it; see :meth:`Job.run`."""
        subject, public = self.subject, self.subject.data.public.rows
        with reporter.stage("Training the imputation model"):
            bench = set_up_table_bench(subject, self.plan.run.seed, self.plan.public.imputer)
        priors: dict[str, TablePrior] = {}
        for key, cell in zip(self.keys(version), self._planned, strict=True):
            if key not in keys:
                continue
            words = f"{cell.prior_name} {cell.prior!r}"
            if words not in priors:
                with reporter.stage(f"Fitting prior {cell.prior_name}"):
                    priors[words] = cell.prior.build(subject.candidates, public, cell.seed)
            with reporter.stage(cell.title) as advance:
                result, arrays = run_table_cell(key, cell, subject, priors[words], bench, advance)
            yield FinishedCell(key, result, arrays)


def load_job(plan: TablePlan, plan_path: Path, reporter: Reporter) -> TableJob:
    """Loads the target and the tables that a plan names.

    Raises:
        DarkroomError: If any of them does not do; the message says which and why.
    """
    # A mistyped attack or prior shows before anything is read.
    table_cell_plans(plan, plan_path.parent)
    with reporter.stage("Reading tables") as advance:
        private = _frame(plan.private)
        advance(1, 2)
        public = _frame(plan.public)
    _refuse_overlap(plan)
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
    if isinstance(section, TableTargetSection):
        return load_table_target(
            section.kind,
            section.load,
            schema,
            outputs=section.outputs,
            trusted=section.trusted,
            folder=folder,
        )
    return reach_table_target(
        section.protocol,
        section.url,
        schema,
        authorized_by=plan.run.authorized_by or "",
        wire=section.model_dump(
            include={"answers", "model", "version", "output", "rows", "path", "extra"}
        ),
        delivery=section.model_dump(
            include={"batch", "concurrency", "timeout", "retries", "patience"}
        ),
        tolerance=section.tolerance,
        api_key_env=section.api_key_env,
        headers_from_env=section.headers_from_env,
    )


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


def _frame(section: TableSection) -> pd.DataFrame:
    """Reads the rows that a plan names, numbered as in the file."""
    if str(section.table) == DIABETES:
        frame = load_diabetes_table()
    else:
        frame = read_table(
            section.table,
            encoding=section.encoding,
            separator=section.separator,
            header_rows=section.header_rows,
            missing=section.na,
            text=section.text,
        )
    chosen = frame.iloc[parse_slice(section.rows)]
    if not len(chosen):
        raise DataError(
            f"{section.table}: rows = {section.rows!r} selects none of {len(frame)} rows"
        )
    return chosen


def _refuse_overlap(plan: TablePlan) -> None:
    """Refuses public rows that are private: baselines would know the answers."""
    private, public = plan.private, plan.public
    if private.table != public.table:
        return
    far = 1 << 62
    ours, theirs = (slice_range(one.rows, far) for one in (private, public))
    if max(ours.start, theirs.start) < min(ours.stop, theirs.stop):
        raise DataError(
            f"{private.table}: private rows {private.rows!r} and public rows {public.rows!r} "
            "overlap: give [private] rows and [public] rows that do not"
        )


def slice_range(text: str, n: int) -> range:
    """Returns the places that a slice selects of ``n``."""
    return range(*parse_slice(text).indices(n))


def plan_schema(plan: TablePlan, private: pd.DataFrame, public: pd.DataFrame) -> Schema:
    """Reads the schema from all rows, private and public, and the plan's declarations.

    Raises:
        DataError: If a column is absent, repeated or of mixed types; the message names it.
    """
    where, response = str(plan.private.table), plan.target.response
    inputs = plan.target.inputs
    names = [name for name in private.columns if name != response] if inputs is None else inputs
    for name in (*names, *plan.private.sensitive, *plan.private.columns, response):
        require_column(private, name, where)
        require_column(public, name, str(plan.public.table))
    everything = pandas_module().concat(
        [private[[*names, response]], public[[*names, response]]], ignore_index=True
    )
    declared = {
        name: Column(name, section.kind, tuple(section.values))
        if section.kind == "numeric" or section.values
        else Column(name, "categorical", _found_values(everything[name]))
        for name, section in plan.private.columns.items()
    }
    return schema_of(
        everything,
        response,
        plan.private.sensitive,
        inputs=names,
        unknown=plan.private.unknown,
        declared=declared,
        where=where,
    )


def _found_values(series: pd.Series) -> tuple[object, ...]:
    found = series.dropna().unique().tolist()
    return tuple(sorted(found, key=lambda value: (isinstance(value, str), value)))


def split_tables(
    plan: TablePlan, schema: Schema, private: pd.DataFrame, public: pd.DataFrame
) -> TableData:
    """Encodes both tables and divides the private one into members and others.

    Raises:
        DataError: If a column holds what it may not, or no row is complete.
    """
    encoded = encode_table(
        private, schema, missing=plan.private.missing, where=str(plan.private.table)
    )
    member = _chosen(len(private), plan.private.trained_on)[encoded.numbers]
    return TableData(
        schema,
        take(encoded, np.flatnonzero(member)),
        take(encoded, np.flatnonzero(~member)),
        encode_table(public, schema, missing=plan.public.missing, where=str(plan.public.table)),
    )


def _chosen(n: int, text: str) -> NDArray[np.bool_]:
    chosen = np.zeros(n, dtype=bool)
    chosen[parse_slice(text)] = True
    return chosen


def table_cell_plans(plan: TablePlan, folder: Path | None = None) -> list[TableCellPlan]:
    """Checks every attack, prior and defence of a plan before anything costly begins.

    Every attack meets no defence and every defence; but who has the weights sees through output
    defences, so an attack on the weights meets none.

    Raises:
        PlanError: If a name or a parameter is wrong.
    """
    defenses = [Pipeline()]
    defenses += [
        Pipeline(tuple(make_defense(name, parameters, folder) for name, parameters in one.links))
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


def _cell_plan(plan: TablePlan, section: AttackSection, defense: Pipeline) -> TableCellPlan:
    attack = make_table_attack(section.name, section.parameters)
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
        prior_name=prior.name,
        prior=configure_table_prior(prior.name, prior.parameters),
        budget=section.budget,
        seed=plan.run.seed,
    )
