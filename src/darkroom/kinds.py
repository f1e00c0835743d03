"""The kinds of audit: what each brings, and which there are.

A kind is a package of its own under ``darkroom``, one entry in :data:`KINDS`, and a folder under
``report/``. Nothing else knows of it. Its parts are named as ``module:object`` and imported when
they are used, so that a report needs no PyTorch and a plan of tables no code of images.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from darkroom.auditing.job import Job
from darkroom.auditing.plan import BasePlan, read_toml, validate
from darkroom.auditing.progress import Reporter
from darkroom.errors import PlanError


class Nouns(NamedTuple):
    """What sentences about a kind call things.

    Attributes:
        goal: What one attack recovers, such as ``person``.
        goals: Several of them.
        group: What can be worst off, such as ``person``, or ``group`` of records.
        recovers: What an attack does to its goals, between "an attacker" and their number.
        leaks: What the model does where most goals are recovered, after "this model".
        leaks_some: What it does where fewer are.
    """

    goal: str
    goals: str
    group: str
    recovers: str
    leaks: str
    leaks_some: str


@dataclass(frozen=True)
class Kind:
    """Where the parts of a kind are.

    Attributes:
        name: What plans, records, folders and pages call it.
        mark: The key of ``[private]`` that tells that a plan is of this kind.
        plan: The plan's class, a :class:`BasePlan`.
        load: Turns a plan, its path and a reporter into a :class:`Job`.
        record: The record of a cell, a subclass of :class:`darkroom.auditing.record.Cell`.
        page: What the report shows of it.
        demo: Runs an example that needs nothing but itself; called with the folder of all runs,
            ``seed=`` and ``progress=``.
        nouns: What sentences call things.
    """

    name: str
    mark: str
    plan: str
    load: str
    record: str
    page: str
    demo: str
    nouns: Nouns


KINDS = {
    kind.name: kind
    for kind in (
        Kind(
            name="images",
            mark="images",
            plan="darkroom.images.plan:ImagePlan",
            load="darkroom.images.job:load_job",
            record="darkroom.images.record:ImageCell",
            page="darkroom.report.images.page:PAGE",
            demo="darkroom.demo.images:run_face_demo",
            nouns=Nouns(
                "person",
                "people",
                "person",
                "reconstructs",
                "gives its people away",
                "gives some of its people away",
            ),
        ),
        Kind(
            name="verifiers",
            mark="enrolled",
            plan="darkroom.verifiers.plan:VerifierPlan",
            load="darkroom.verifiers.job:load_job",
            record="darkroom.verifiers.record:VerifierCell",
            page="darkroom.report.verifiers.page:PAGE",
            demo="darkroom.demo.verifiers:run_verifier_demo",
            nouns=Nouns(
                "person",
                "people",
                "person",
                "is accepted as",
                "takes strangers for its people",
                "takes strangers for some of its people",
            ),
        ),
        Kind(
            name="tables",
            mark="table",
            plan="darkroom.tables.plan:TablePlan",
            load="darkroom.tables.job:load_job",
            record="darkroom.tables.record:TableCell",
            page="darkroom.report.tables.page:PAGE",
            demo="darkroom.demo.tables:run_table_demo",
            nouns=Nouns(
                "record", "records", "group", "infers the sensitive value of", "leaks", "leaks"
            ),
        ),
        Kind(
            name="text",
            mark="canaries",
            plan="darkroom.text.plan:TextPlan",
            load="darkroom.text.job:load_job",
            record="darkroom.text.record:TextCell",
            page="darkroom.report.text.page:PAGE",
            demo="darkroom.demo.text:run_text_demo",
            nouns=Nouns(
                "secret",
                "secrets",
                "secret",
                "extracts",
                "gives its secrets away",
                "gives some of its secrets away",
            ),
        ),
        Kind(
            name="secrets",
            mark="secrets",
            plan="darkroom.text.real.plan:RealPlan",
            load="darkroom.text.real.job:load_job",
            record="darkroom.text.real.record:RealCell",
            page="darkroom.report.secrets.page:PAGE",
            demo="darkroom.demo.secrets:run_secrets_demo",
            nouns=Nouns(
                "real secret",
                "real secrets",
                "secret",
                "extracts",
                "gives real secrets away",
                "gives some real secrets away",
            ),
        ),
    )
}
"""All kinds by name."""


def imported(place: str) -> Any:
    """Returns what ``module:object`` names."""
    module, _, name = place.partition(":")
    return getattr(importlib.import_module(module), name)


def read_plan(path: Path) -> BasePlan:
    """Reads a plan and makes the paths in it relative to its folder.

    Args:
        path: A TOML file.

    Raises:
        PlanError: If the file is missing or no TOML, or a key or value is wrong; the message names
            the place and, for an unknown key, the nearest known one.
    """
    table = read_toml(path)
    plan: BasePlan = validate(imported(_kind_of(table).plan), table, str(path))
    return plan.anchored(path.parent)


def load_job(
    path: Path, reporter: Reporter, *, run: Path | None = None, cache: Path | None = None
) -> Job[Any, Any, Any, Any]:
    """Reads a plan and loads the target and the data that it names.

    Args:
        path: The plan, in TOML.
        reporter: Shows the stages.
        run: The folder of its run; as the plan says if left out.
        cache: Where judges, priors and trained models are kept; as the plan says if left out.

    Raises:
        DarkroomError: If any of them does not do; the message says which and why.
    """
    plan = read_plan(path)
    said = {} if run is None else {"out": run.resolve().parent, "name": run.resolve().name}
    said |= {} if cache is None else {"cache": cache}
    plan = plan.model_copy(update={"run": plan.run.model_copy(update=said)})
    if hasattr(plan.target, "keep_pace"):  # a served model
        plan.target.keep_pace(plan.claims_folder)
    job: Job[Any, Any, Any, Any] = imported(_kind_of(read_toml(path)).load)(plan, path, reporter)
    return replace(job, plan_file=path.resolve())


def _kind_of(table: Mapping[str, Any]) -> Kind:
    """Returns the kind whose mark ``[private]`` has; images where it has none.

    Raises:
        PlanError: If it has several.
    """
    private = table.get("private")
    found = [kind for kind in KINDS.values() if isinstance(private, dict) and kind.mark in private]
    if len(found) > 1:
        marks = " and ".join(kind.mark for kind in found)
        raise PlanError(f"[private] has {marks}: one plan audits one kind of data")
    return found[0] if found else KINDS["images"]
