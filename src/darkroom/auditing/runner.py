"""Running all cells of an audit, so that it can be stopped at any moment and resumed."""

from __future__ import annotations

import datetime
import os
import platform
from collections.abc import Sequence
from contextlib import closing
from importlib import metadata
from pathlib import Path
from typing import Any

from darkroom.auditing import blocks
from darkroom.auditing.checks import check_job, check_key, failed
from darkroom.auditing.claims import Claims
from darkroom.auditing.job import Job, Session
from darkroom.auditing.progress import Reporter
from darkroom.auditing.record import Check
from darkroom.auditing.run_record import About, Limit, Machine, RunRecord
from darkroom.auditing.store import Store
from darkroom.auditing.threads import taking, told, usual
from darkroom.auditing.workers.base import Work, Workers, require_locks
from darkroom.errors import RunError

LIBRARIES = ("numpy", "scipy", "scikit-learn", "torch")


def run_job(
    job: Job[Any, Any, Any, Any],
    *,
    resume: bool,
    reporter: Reporter,
    workers: Workers | None = None,
) -> Path:
    """Checks the subject, and runs every cell that is not there yet, unless a check fails.

    Args:
        job: What to run.
        resume: Whether to go on with a run that is there.
        reporter: Shows each stage.
        workers: Processes that run the cells; this one if left out. Others may join either way.

    Returns:
        The run's folder.

    Raises:
        DarkroomError: If something does not do; finished cells stay.
    """
    version = metadata.version("darkroom")
    keys = job.keys(version)
    if len(set(keys)) != len(keys):
        raise RunError("two [[attack]] or [[defense]] entries of the plan are the same: remove one")
    store = Store(job.plan.run_folder)
    with store.held():
        store.open(resume=resume)
        _require_kin(job, store, keys, version)
        threads = _threads(store, workers)
        with taking(threads):
            store.write("plan.toml", job.plan_text)
            checks = _checks(job, store, version, reporter)
            record = _record(job, keys, version, checks, threads)
            store.write("run.json", record.model_dump_json(by_alias=True, indent=1))
            work = _work(job, store, keys, record)
            blocks.sweep(store.folder, [one for key in work.missing for one in work.cells[key]])
            if workers is None:
                _run_cells(job, store, keys, reporter)
            else:
                workers.run(work, threads, reporter)
    return store.folder


def _work(
    job: Job[Any, Any, Any, Any], store: Store, keys: Sequence[str], record: RunRecord
) -> Work:
    """Returns what there is to do in a run."""
    cut = {
        key: job.blocks(key, cell)
        for key, (_, cell) in zip(keys, job.planned, strict=True)
        if key in record.cells
    }
    return Work(store, {key: () if one is None else one.files for key, one in cut.items()})


def _threads(store: Store, workers: Workers | None) -> int:
    """Returns how many threads each process of a run takes.

    What the environment says comes first; then what a run that is gone on with took for the cells
    and blocks that it has, so that they can be compared with the others.
    """
    former = store.record()
    if (count := told()) is not None:
        return count
    if former is not None and (
        any(map(store.has_cell, former.cells)) or blocks.any_left(store.folder)
    ):
        return former.run.machine.threads or usual()
    return usual() if workers is None else workers.threads


def is_current(job: Job[Any, Any, Any, Any], record: RunRecord) -> bool:
    """Tells whether a run was begun with what the plan comes to now.

    Args:
        job: What the plan comes to now.
        record: What the run says of itself.
    """
    version = metadata.version("darkroom")
    if not record.cells:
        return record.checked == check_key(job, version)
    return {*record.cells} == {*job.keys(version)}


def join_run(job: Job[Any, Any, Any, Any], record: RunRecord, reporter: Reporter) -> None:
    """Runs cells of a run that another process has begun, until none is missing.

    Args:
        job: The same audit.
        record: What the run says of itself.
        reporter: Shows each stage.

    Raises:
        DarkroomError: If something does not do; finished cells stay.
    """
    version = metadata.version("darkroom")
    keys = job.keys(version)
    store = Store(job.plan.run_folder)
    if not {*record.cells} <= {*keys}:
        raise RunError(
            f"{store.folder}: the run has other cells than the plan comes to now: bring it up to "
            f"date with {job.command} --resume"
        )
    require_locks(store)
    with taking(record.run.machine.threads or usual()):
        _run_cells(job, store, keys, reporter)


def join_sent(job: Job[Any, Any, Any, Any]) -> None:
    """Runs cells of a run that was begun in Python, in a process that was sent the job."""
    record = Store(job.plan.run_folder).record()
    if record is not None:
        join_run(job, record, Reporter(shown=False))


def _run_cells(
    job: Job[Any, Any, Any, Any],
    store: Store,
    keys: Sequence[str],
    reporter: Reporter,
) -> None:
    """Runs the cells of a run that nobody else works on, until none is missing."""
    planned = dict(zip(keys, job.planned, strict=True))
    # In the plan's order, but first those with which nobody can help at the end.
    first = sorted(keys, key=lambda key: job.blocks(key, planned[key][1]) is not None)

    def wanted() -> Sequence[str]:
        record = store.record()
        named = () if record is None else record.cells
        return [key for key in first if key in named]

    guarded = {key for key, (_, cell) in planned.items() if cell.guarded is not None}
    session = Session(job, keys, reporter)
    with closing(Claims(store).missing(wanted, guarded, session.assist)) as missing:
        for key in missing:
            others = (one for one in wanted() if not store.has_cell(one))
            store.write_cell(*session.run(key, others))
            blocks.discard(store.folder, key)


def _require_kin(job: Job[Any, Any, Any, Any], store: Store, keys: list[str], version: str) -> None:
    """Refuses to go on with a run of another subject by another plan.

    A plan that was edited keeps its model and data, or some cell; a model that was trained anew
    keeps its plan.

    Raises:
        RunError: If nothing is common.
    """
    former = store.record()
    if former is None or former.run.versions.get("darkroom") != version:
        return
    plan = store.folder / "plan.toml"
    same_plan = plan.is_file() and plan.read_bytes() == job.plan_text.encode()
    same_subject = former.checked == check_key(job, version)
    if former.cells and not same_plan and not same_subject and not {*keys} & {*former.cells}:
        raise RunError(
            f"{store.folder}: the run there has another plan and another model or other data, and "
            "no cell of this plan: choose another [run] name, or remove the folder"
        )


def _checks(
    job: Job[Any, Any, Any, Any], store: Store, version: str, reporter: Reporter
) -> tuple[Check, ...]:
    """Returns what the checks find, or found when the run was begun."""
    former = store.record()
    if former is not None and former.checked == check_key(job, version):
        return former.checks
    return check_job(job, reporter)


def _record(
    job: Job[Any, Any, Any, Any],
    keys: list[str],
    version: str,
    checks: tuple[Check, ...],
    threads: int,
) -> RunRecord:
    """Returns what ``run.json`` holds."""
    plan = job.plan
    target, tested = job.facts()
    versions = {"darkroom": version, "python": platform.python_version()}
    return RunRecord(
        schema="darkroom/run/2",
        run=About(
            name=plan.run.name,
            seed=plan.run.seed,
            versions=versions | {name: metadata.version(name) for name in LIBRARIES},
            machine=Machine(
                processor=platform.machine(),
                cores=os.cpu_count() or 1,
                system=f"{platform.system()} {platform.release()}",
                threads=threads,
            ),
        ),
        authorized_by=plan.run.authorized_by,
        command=job.command,
        plan=None if job.plan_file is None else str(job.plan_file),
        cache=None if plan.run.cache is None else str(plan.run.cache.resolve()),
        started=datetime.datetime.now(datetime.UTC).replace(microsecond=0),
        limit=None if plan.limit is None else Limit.of(plan.limit),
        target=target,
        tested=tuple(tested),
        checks=checks,
        checked=check_key(job, version),
        cells=() if failed(checks) else tuple(keys),
    )
