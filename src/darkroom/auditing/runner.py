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
    with store.held():
        store.open(resume=resume)
        _require_kin(job, store, keys, version)
        store.write("plan.toml", job.plan_text)
        record = _record(job, keys, version, _checks(job, store, version, reporter))
        store.write("run.json", record.model_dump_json(by_alias=True, indent=1))
        missing = [key for key in record.cells if not store.has_cell(key)]
        if missing:
            for finished in job.run(missing, version, reporter):
                store.write_cell(*finished)
    return store.folder


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
