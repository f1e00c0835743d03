"""Finished audits on disk: running a plan, and opening what is there."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from darkroom.auditing.checks import check_job
from darkroom.auditing.job import Job
from darkroom.auditing.progress import Reporter
from darkroom.auditing.record import Cell, Check
from darkroom.auditing.run_record import Results, VerdictRecord
from darkroom.auditing.runner import run_job
from darkroom.auditing.store import Store
from darkroom.kinds import load_job
from darkroom.report import collect, write_report


@dataclass(frozen=True, repr=False)
class Run:
    """A finished audit on disk.

    Attributes:
        folder: Where it is.
        document: What it found.
        report: The page.
    """

    folder: Path
    document: Results
    report: Path

    def __repr__(self) -> str:
        count, verdict = len(self.cells), self.verdict
        return f"<Run of {count} cells, {verdict.outcome}: {verdict.sentence} {self.report}>"

    def _repr_html_(self) -> str:
        """Returns what a notebook shows: the verdict, the cells and a curve."""
        # Charts need an extra, and are slow to load.
        from darkroom.report.notebook import as_html

        return as_html(self.document, self.report)

    @property
    def cells(self) -> tuple[Cell, ...]:
        """Each attack against each defence, as a record of its kind."""
        return self.document.cells

    @property
    def verdict(self) -> VerdictRecord:
        """What it comes to: ``leak``, ``none shown`` or ``cannot tell``, with the reasons."""
        return self.document.verdict

    @cached_property
    def results(self) -> dict[str, Any]:
        """What it found, as ``results.json`` has it."""
        return self.document.model_dump(mode="json", by_alias=True)

    def leaks(self, advantage: float = 0.0) -> bool:
        """Tells whether the lower bound of any cell's advantage is above a limit."""
        return any(cell.advantage.low > advantage for cell in self.cells)


def check_plan(path: Path, *, progress: bool = True) -> tuple[Check, ...]:
    """Asks whether the subject of a plan is what its owner thinks; attacks nothing.

    Args:
        path: The plan, in TOML.
        progress: Whether to show bars on standard error.

    Raises:
        DarkroomError: If the plan or what it names does not do.
    """
    reporter = Reporter(shown=progress)
    job = load_job(path, reporter)
    if not job.plan.training:
        return check_job(job, reporter)
    # The undefended model is trained, and kept for the audit.
    with Store(job.plan.run.out / job.plan.run.name).held():
        return check_job(job, reporter)


def audit_plan(path: Path, *, resume: bool = False, progress: bool = True) -> Run:
    """Runs a plan, as ``darkroom audit`` does.

    Args:
        path: The plan, in TOML.
        resume: Whether to go on with a run that is there already.
        progress: Whether to show bars on standard error.

    Raises:
        DarkroomError: If the plan or what it names does not do.
    """
    reporter = Reporter(shown=progress)
    return finished(load_job(path, reporter), resume, reporter)


def open_run(folder: Path, *, reveal: bool = False) -> Run:
    """Writes the report of a run anew from its cells.

    Args:
        folder: The run's.
        reveal: Whether the report shows single records of tables.

    Raises:
        RunError: If the run or one of its cells is missing or damaged.
    """
    report = write_report(folder, reveal=reveal)
    return Run(folder, collect(folder), report)


def finished(job: Job[Any, Any, Any, Any], resume: bool, reporter: Reporter) -> Run:
    """Runs a job and writes its report.

    Args:
        job: What to run.
        resume: Whether to go on with a run that is there already.
        reporter: Shows the stages.
    """
    folder = run_job(job, resume=resume, reporter=reporter)
    with reporter.stage("Writing the report"):
        return open_run(folder)
