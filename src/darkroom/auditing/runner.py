"""Running all cells of an audit, so that it can be stopped at any moment and resumed."""

from __future__ import annotations

import datetime
import json
import os
import platform
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

from numpy.typing import NDArray

from darkroom.auditing.plan import BasePlan
from darkroom.auditing.progress import Reporter
from darkroom.auditing.store import Store
from darkroom.errors import RunError

LIBRARIES = ("numpy", "scipy", "scikit-learn", "torch")


class FinishedCell(NamedTuple):
    """What a job makes of one cell.

    Attributes:
        key: The cell's.
        cell: As ``results.json`` has it.
        arrays: For ``reconstructions.npz``.
    """

    key: str
    cell: dict[str, Any]
    arrays: dict[str, NDArray[Any]]


class Facts(NamedTuple):
    """What a run says of itself beside its cells.

    Attributes:
        target: At least ``name`` and ``kind``; for images also ``range``.
        tested: Terms with what stands beside them in the report, such as ``Input`` with
            ``3 x 64 x 64``.
    """

    target: dict[str, Any]
    tested: list[tuple[str, str]]


class Job(ABC):
    """An audit with everything loaded; each kind has its own.

    Attributes:
        plan: The plan; its paths are for the record here.
        plan_text: The plan as TOML.
        command: How to repeat the run.
    """

    plan: BasePlan
    plan_text: str
    command: str

    @abstractmethod
    def keys(self, version: str) -> list[str]:
        """Returns the key of every cell in the plan's order: a hash of all that decides it.

        Args:
            version: Darkroom's, since another one may attack or judge otherwise.
        """

    @abstractmethod
    def facts(self) -> Facts:
        """Returns what the report says of the target and the data."""

    @abstractmethod
    def run(self, keys: Sequence[str], version: str, reporter: Reporter) -> Iterator[FinishedCell]:
        """Runs the cells with these keys, one after another.

        Args:
            keys: Some of :meth:`keys`.
            version: Darkroom's.
            reporter: Shows each stage.
        """


def run_job(job: Job, *, resume: bool, reporter: Reporter) -> Path:
    """Runs every cell that is not there yet.

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
    store.write("run.json", json.dumps(_record(job, keys, version), indent=1))
    missing = [key for key in keys if not store.has_cell(key)]
    if missing:
        for finished in job.run(missing, version, reporter):
            store.write_cell(*finished)
    return store.folder


def _record(job: Job, keys: list[str], version: str) -> dict[str, Any]:
    """Returns what ``run.json`` holds."""
    plan = job.plan
    target, tested = job.facts()
    return {
        "schema": "darkroom/run/2",
        "run": {
            "name": plan.run.name,
            "seed": plan.run.seed,
            "versions": {
                "darkroom": version,
                "python": platform.python_version(),
                **{name: metadata.version(name) for name in LIBRARIES},
            },
            "machine": {
                "processor": platform.machine(),
                "cores": os.cpu_count() or 1,
                "system": f"{platform.system()} {platform.release()}",
            },
        },
        "authorized_by": plan.run.authorized_by,
        "command": job.command,
        "started": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "limit": None if plan.limit is None else {"advantage": plan.limit.advantage},
        "target": target,
        "tested": tested,
        "cells": keys,
    }
