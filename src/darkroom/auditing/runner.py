"""Running all cells of an audit, so that it can be stopped at any moment and resumed."""

from __future__ import annotations

import datetime
import os
import platform
from importlib import metadata
from pathlib import Path
from typing import Any

from darkroom.auditing.checks import check_job, check_key, failed
from darkroom.auditing.job import Job
from darkroom.auditing.progress import Reporter
from darkroom.auditing.record import Check
from darkroom.auditing.run_record import About, Limit, Machine, RunRecord
from darkroom.auditing.store import Store
from darkroom.errors import RunError

LIBRARIES = ("numpy", "scipy", "scikit-learn", "torch")


def run_job(job: Job[Any, Any, Any, Any], *, resume: bool, reporter: Reporter) -> Path:
    """Checks the subject, and runs every cell that is not there yet, unless a check fails.

    Args:
        job: What to run.
        resume: Whether to go on with a run that is there.
        reporter: Shows each stage.

    Returns:
        The run's folder.

    Raises:
        DarkroomError: If something does not do; finished cells stay.
    """
    version = metadata.version("darkroom")
    keys = job.keys(version)
    if len(set(keys)) != len(keys):
        raise RunError("two [[attack]] or [[defense]] entries of the plan are the same: remove one")
    store = Store(job.plan.run.out / job.plan.run.name)
    store.open(resume=resume)
    store.write("plan.toml", job.plan_text)
    record = _record(job, keys, version, _checks(job, store, version, reporter))
    store.write("run.json", record.model_dump_json(by_alias=True, indent=1))
    missing = [key for key in record.cells if not store.has_cell(key)]
    if missing:
        for finished in job.run(missing, version, reporter):
            store.write_cell(*finished)
    return store.folder


def _checks(
    job: Job[Any, Any, Any, Any], store: Store, version: str, reporter: Reporter
) -> tuple[Check, ...]:
    """Returns what the checks find, or found when the run was begun."""
    former = store.record()
    if former is not None and former.checked == check_key(job, version):
        return former.checks
    return check_job(job, reporter)


def _record(
    job: Job[Any, Any, Any, Any], keys: list[str], version: str, checks: tuple[Check, ...]
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
            ),
        ),
        authorized_by=plan.run.authorized_by,
        command=job.command,
        started=datetime.datetime.now(datetime.UTC).replace(microsecond=0),
        limit=None if plan.limit is None else Limit.of(plan.limit),
        target=target,
        tested=tuple(tested),
        checks=checks,
        checked=check_key(job, version),
        cells=() if failed(checks) else tuple(keys),
    )
