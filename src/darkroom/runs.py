"""Finished audits on disk: running a plan, and opening what is there."""

from __future__ import annotations

import functools
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
from darkroom.auditing.run_record import Results, RunRecord, VerdictRecord
from darkroom.auditing.runner import is_current, join_run, join_sent, run_job
from darkroom.auditing.store import Store
from darkroom.auditing.threads import taking, usual
from darkroom.auditing.workers.base import Workers
from darkroom.auditing.workers.cluster import RayTasks
from darkroom.auditing.workers.objects import ObjectProcesses
from darkroom.auditing.workers.processes import Processes
from darkroom.errors import DarkroomError, PlanError, RunError
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
    shared: Workers | int = 1
    if workers > 1:
        begin = "from darkroom.commands.main import main; main()"
        command = [sys.executable, "-P", "-c", begin, "work", "--until-closed"]
        shared = Processes(workers, [*command, str(job.plan.run_folder)])
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
        wait: Seconds to wait for the run to begin, or for one that is there to be begun anew with
            what the plan comes to now.
        cache: Where judges, priors and trained models are kept; as the run has it if left out.
        progress: Whether to show bars on standard error.
        until_closed: Whether this process ends at once when its standard input does.

    Raises:
        DarkroomError: If there is no run, or its plan does not do any more.
    """
    if until_closed:
        end_with_input()
    reporter, until, store = Reporter(shown=progress), time.monotonic() + wait, Store(folder)
    seen, job = None, None
    while True:
        record = store.record()
        late = time.monotonic() >= until
        if record is None and late:
            raise RunError(
                f"{folder}: no run was begun there: begin it with darkroom audit PLAN.toml"
            )
        if record is not None and record != seen:
            try:
                seen, job = record, _joined(folder, record, cache, reporter)
            except DarkroomError:  # an audit that is waited for may be making what the plan names
                if late:
                    raise
                seen, job = None, None
        if seen is not None and job is not None and (late or is_current(job, seen)):
            return join_run(job, seen, reporter)
        time.sleep(0.5)


def _joined(
    folder: Path, record: RunRecord, cache: Path | None, reporter: Reporter
) -> Job[Any, Any, Any, Any]:
    """Loads what a run works on.

    Raises:
        DarkroomError: If it has no plan, or that does not do any more.
    """
    if record.plan is None:
        raise RunError(
            f"{folder}: the run was begun in Python, where no other process can join it: write a "
            "plan, and run darkroom audit PLAN.toml"
        )
    kept = cache if record.cache is None or cache is not None else Path(record.cache)
    with taking(record.run.machine.threads or usual()):
        return load_job(Path(record.plan), reporter, run=folder, cache=kept)


def end_with_input() -> None:
    """Ends this process when its standard input ends, as that of a process' parent does."""

    def wait() -> None:
        while os.read(0, 1024):
            pass
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


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
    job: Job[Any, Any, Any, Any],
    resume: bool,
    reporter: Reporter,
    workers: Workers | int = 1,
) -> Run:
    """Runs a job and writes its report.

    Args:
        job: What to run.
        resume: Whether to go on with a run that is there already.
        reporter: Shows the stages.
        workers: Processes that run the cells: this one, so many that are sent the job, or others.
    """
    folder = run_job(job, resume=resume, reporter=reporter, workers=_workers(job, workers))
    with reporter.stage("Writing the report"):
        return open_run(folder)


def _workers(job: Job[Any, Any, Any, Any], asked: Workers | int) -> Workers | None:
    """Returns what runs the cells of a job; ``None`` for this process.

    Raises:
        PlanError: If that is said twice.
    """
    if job.plan.run.engine == "ray":
        if asked != 1:
            raise PlanError('[run] engine = "ray" takes what the cluster has: leave out workers')
        return RayTasks(job, job.plan.run.address)
    if not isinstance(asked, int):
        return asked
    return ObjectProcesses(asked, functools.partial(join_sent, job)) if asked > 1 else None
