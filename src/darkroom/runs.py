"""Finished audits on disk: running a plan, and opening what is there."""

from __future__ import annotations

import os
import sys
import threading
import time
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from darkroom.auditing.checks import check_job
from darkroom.auditing.job import Job
from darkroom.auditing.progress import Reporter
from darkroom.auditing.record import Cell, Check
from darkroom.auditing.run_record import Results, VerdictRecord
from darkroom.auditing.runner import join_run, run_job
from darkroom.auditing.store import Store
from darkroom.auditing.workers import Workers
from darkroom.errors import RunError
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
    with Store(job.plan.run_folder).held():
        return check_job(job, reporter)


def audit_plan(
    path: Path,
    *,
    resume: bool = False,
    progress: bool = True,
    workers: int = 1,
    cache: Path | None = None,
) -> Run:
    """Runs a plan, as ``darkroom audit`` does.

    Args:
        path: The plan, in TOML.
        resume: Whether to go on with a run that is there already.
        progress: Whether to show bars on standard error.
        workers: Processes of this machine that share the cells.
        cache: Where judges, priors and trained models are kept; as the plan says if left out.

    Raises:
        DarkroomError: If the plan or what it names does not do.
    """
    reporter = Reporter(shown=progress)
    job = load_job(path, reporter, cache=cache)
    shared = None
    if workers > 1:
        begin = "from darkroom.commands.main import main; main()"
        kept = [] if job.plan.run.cache is None else ["--cache", str(job.plan.run.cache)]
        command = [sys.executable, "-P", "-c", begin, "work", "--until-closed", *kept]
        shared = Workers(workers, [*command, str(job.plan.run_folder)])
    return finished(job, resume, reporter, shared)


def work_on(
    folder: Path,
    *,
    wait: float = 0,
    cache: Path | None = None,
    progress: bool = True,
    until_closed: bool = False,
) -> None:
    """Runs cells of a run that another process has begun, as ``darkroom work`` does.

    Args:
        folder: The run's.
        wait: Seconds to wait for the run to begin.
        cache: Where judges, priors and trained models are kept; as the plan says if left out.
        progress: Whether to show bars on standard error.
        until_closed: Whether this process ends at once when its standard input does.

    Raises:
        DarkroomError: If there is no run, or its plan does not do any more.
    """
    if until_closed:
        threading.Thread(target=_end_with_input, daemon=True).start()
    begun, store = time.monotonic(), Store(folder)
    while (record := store.record()) is None:
        if time.monotonic() - begun >= wait:
            raise RunError(
                f"{folder}: no run was begun there: begin it with darkroom audit PLAN.toml"
            )
        time.sleep(0.5)
    if record.plan is None:
        raise RunError(
            f"{folder}: the run was begun in Python, where no other process can join it: write a "
            "plan, and run darkroom audit PLAN.toml"
        )
    reporter = Reporter(shown=progress)
    join_run(load_job(Path(record.plan), reporter, run=folder, cache=cache), record, reporter)


def _end_with_input() -> None:
    while os.read(0, 1024):
        pass
    os._exit(1)


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


def finished(
    job: Job[Any, Any, Any, Any], resume: bool, reporter: Reporter, workers: Workers | None = None
) -> Run:
    """Runs a job and writes its report.

    Args:
        job: What to run.
        resume: Whether to go on with a run that is there already.
        reporter: Shows the stages.
        workers: Processes that run the cells; this one if left out.
    """
    folder = run_job(job, resume=resume, reporter=reporter, workers=workers)
    with reporter.stage("Writing the report"):
        return open_run(folder)
