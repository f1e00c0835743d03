"""Which modality a plan is of, told by its ``[private]`` table, and how its audit is loaded."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from darkroom.auditing.plan import BasePlan, read_toml, validate
from darkroom.auditing.progress import Reporter
from darkroom.auditing.runner import Job
from darkroom.errors import PlanError


class Modality(NamedTuple):
    """Where a modality's parts are; they are imported when a plan is of it.

    Attributes:
        plan: The plan, as ``module:class``.
        load: What turns a plan into a job, as ``module:function``; called with the plan, its path
            and a reporter.
    """

    plan: str
    load: str


MODALITIES = {
    "images": Modality("darkroom.images.plan:ImagePlan", "darkroom.images.job:load_job"),
    "table": Modality("darkroom.tables.plan:TablePlan", "darkroom.tables.job:load_job"),
    "canaries": Modality("darkroom.text.plan:TextPlan", "darkroom.text.job:load_job"),
}
"""Modalities by the key of ``[private]`` that marks them."""


def read_plan(path: Path) -> BasePlan:
    """Reads a plan and makes the paths in it relative to its folder.

    Args:
        path: A TOML file.

    Raises:
        PlanError: If the file is missing or no TOML, or a key or value is wrong; the message names
            the place and, for an unknown key, the nearest known one.
    """
    table = read_toml(path)
    kind = _imported(_modality(table).plan)
    plan: BasePlan = validate(kind, table, str(path))
    return plan.anchored(path.parent)


def load_job(path: Path, reporter: Reporter) -> Job:
    """Reads a plan and loads the target and the data that it names.

    Raises:
        DarkroomError: If any of them does not do; the message says which and why.
    """
    plan = read_plan(path)
    job: Job = _imported(_modality(read_toml(path)).load)(plan, path, reporter)
    return job


def _modality(table: Mapping[str, Any]) -> Modality:
    """Returns the modality whose mark ``[private]`` has; images where it has none.

    Raises:
        PlanError: If it has several.
    """
    private = table.get("private")
    marks = [mark for mark in MODALITIES if isinstance(private, dict) and mark in private]
    if len(marks) > 1:
        raise PlanError(f"[private] has {' and '.join(marks)}: one plan audits one kind of data")
    return MODALITIES[marks[0] if marks else "images"]


def _imported(place: str) -> Any:
    module, _, name = place.partition(":")
    return getattr(importlib.import_module(module), name)
