"""Running all cells of an audit, so that it can be stopped at any moment and resumed."""

from __future__ import annotations

import datetime
import hashlib
import json
import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from darkroom.attacks.registry import make_attack
from darkroom.audit.cells import CellPlan, run_cell
from darkroom.audit.judging import Bench, set_up_bench
from darkroom.audit.plan import Plan, PublicSection, parse_slice
from darkroom.audit.progress import Reporter
from darkroom.audit.store import Store
from darkroom.audit.subject import Subject
from darkroom.data.photos import Photos, load_photos
from darkroom.errors import RunError
from darkroom.priors.base import ImagePrior
from darkroom.priors.build import Materials, configure_prior
from darkroom.targets.base import ImageSpec
from darkroom.targets.load import open_target

LIBRARIES = ("darkroom", "numpy", "scipy", "scikit-learn", "torch")


@dataclass(frozen=True)
class Job:
    """An audit with everything loaded.

    Attributes:
        plan: The plan; its paths are for the record here.
        plan_text: The plan as TOML.
        subject: The target and the photos.
        command: How to repeat the run.
        folder: Where the plan's modules are looked for.
    """

    plan: Plan
    plan_text: str
    subject: Subject
    command: str
    folder: Path


def load_job(plan: Plan, plan_path: Path, reporter: Reporter) -> Job:
    """Loads the target and the photos that a plan names.

    Raises:
        DarkroomError: If any of them does not do; the message says which and why.
    """
    _cell_plans(plan)  # a mistyped attack or prior shows before anything is read
    target = open_target(plan.target, folder=plan_path.parent, authorized_by=plan.run.authorized_by)
    with reporter.stage("Reading photos") as advance:
        private = _photos(plan.private, target.spec)
        advance(1, 2)
        public = None if plan.public is None else _photos(plan.public, target.spec)
    seen = private.numbered(parse_slice(plan.private.trained_on))
    return Job(
        plan,
        plan_path.read_text(encoding="utf-8"),
        Subject(target, private, seen, public),
        f"darkroom audit {plan_path.name}",
        plan_path.parent,
    )


def _photos(section: PublicSection, spec: ImageSpec) -> Photos:
    people = None if section.people is None else parse_slice(section.people)
    return load_photos(section.images, spec, people=people, resize=section.resize)


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
    cells = _cell_plans(job.plan)
    version = metadata.version("darkroom")
    digest = _digest(job.subject)
    keys = [cell.key(digest, version) for cell in cells]
    if len(set(keys)) != len(keys):
        raise RunError("two [[attack]] entries of the plan are the same: remove one")
    store = Store(job.plan.run.out / job.plan.run.name)
    store.open(resume=resume)
    store.write("plan.toml", job.plan_text)
    store.write("run.json", json.dumps(_record(job, keys, version), indent=1))
    missing = [
        (key, cell) for key, cell in zip(keys, cells, strict=True) if not store.has_cell(key)
    ]
    if missing:
        bench = set_up_bench(job.subject, job.plan.run.seed, reporter)
        _run_cells(job, missing, bench, store, reporter)
    return store.folder


def _run_cells(
    job: Job,
    missing: Sequence[tuple[str, CellPlan]],
    bench: Bench,
    store: Store,
    reporter: Reporter,
) -> None:
    """Runs cells one after another; those with the same prior share it."""
    priors: dict[str, ImagePrior] = {}
    public = job.subject.public
    spec = job.subject.target.spec
    photos = np.empty((0, *spec.shape), np.float32) if public is None else public.images
    for key, cell in missing:
        words = f"{cell.prior_name} {cell.prior!r}"
        if words not in priors:
            with reporter.stage(f"Fitting prior {cell.prior_name}") as advance:
                priors[words] = cell.prior.build(
                    Materials(photos, spec, cell.seed, job.folder, advance)
                )
        with reporter.stage(f"Attack {cell.attack.name} / {cell.prior_name}") as advance:
            result, arrays = run_cell(key, cell, job.subject, priors[words], bench, advance)
        store.write_cell(key, result, arrays)


def _cell_plans(plan: Plan) -> list[CellPlan]:
    """Checks every attack and prior of a plan before anything costly begins."""
    return [
        CellPlan(
            attack=make_attack(section.name, section.parameters),
            prior_name=section.prior.name,
            prior=configure_prior(section.prior.name, section.prior.parameters),
            budget=section.budget,
            seed=plan.run.seed,
        )
        for section in plan.attack
    ]


def _digest(subject: Subject) -> str:
    """Returns a hash of the target and all photos."""
    parts = [
        subject.target.fingerprint(),
        subject.private.digest(),
        hashlib.sha256(np.packbits(subject.trained).tobytes()).hexdigest(),
        "" if subject.public is None else subject.public.digest(),
    ]
    return hashlib.sha256("".join(parts).encode()).hexdigest()


def _record(job: Job, keys: list[str], version: str) -> dict[str, Any]:
    """Returns what ``run.json`` holds."""
    plan, subject = job.plan, job.subject
    target = subject.target
    return {
        "schema": "darkroom/run/1",
        "run": {
            "name": plan.run.name,
            "seed": plan.run.seed,
            "versions": {"python": platform.python_version(), **_versions(version)},
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
        "target": {
            "name": target.name,
            "kind": plan.target.kind,
            "classes": target.classes,
            "shape": list(target.spec.shape),
            "range": [target.spec.low, target.spec.high],
            "outputs": target.outputs,
        },
        "private": {
            "people": len(subject.goals),
            "photos": len(subject.private.people),
            "trained_on": plan.private.trained_on,
            "held_out": int((~subject.trained).sum()),
        },
        "public": None
        if subject.public is None
        else {
            "people": len(np.unique(subject.public.people)),
            "photos": len(subject.public.people),
        },
        "cells": keys,
    }


def _versions(version: str) -> dict[str, str]:
    found = {name: metadata.version(name) for name in LIBRARIES if name != "darkroom"}
    return {"darkroom": version, **found}
