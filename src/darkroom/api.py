"""The Python interface: audit a model, get its run."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import tomli_w
from numpy.typing import NDArray
from torch import nn

from darkroom.auditing.job import Job
from darkroom.auditing.plan import parse_slice, validate
from darkroom.auditing.progress import Reporter
from darkroom.auditing.runner import run_job
from darkroom.errors import DataError
from darkroom.images.job import ImageJob
from darkroom.images.photos import Photos
from darkroom.images.plan import ImagePlan
from darkroom.images.subject import Subject
from darkroom.images.targets.torch import Outputs, TorchTarget
from darkroom.kinds import load_job
from darkroom.report import write_report
from darkroom.tables.job import TableJob, table_subject
from darkroom.tables.plan import TablePlan
from darkroom.tables.rows import plan_schema
from darkroom.tables.targets.base import CallableTableTarget, TableTarget
from darkroom.tables.targets.sklearn import SklearnTableTarget, UntrainedTableTarget

if TYPE_CHECKING:
    import pandas as pd

Labelled = tuple[NDArray[np.float32], NDArray[np.int64]]
"""Images ``(n, channels, height, width)`` with the person on each, ``(n,)``."""


@dataclass(frozen=True)
class Run:
    """A finished audit on disk.

    Attributes:
        folder: Where it is.
        results: What ``results.json`` says.
        report: The page.
    """

    folder: Path
    results: dict[str, Any]
    report: Path

    @property
    def cells(self) -> list[dict[str, Any]]:
        """The cells of ``results``."""
        cells: list[dict[str, Any]] = self.results["cells"]
        return cells

    def leaks(self, advantage: float = 0.0) -> bool:
        """Tells whether the lower bound of any cell's advantage is above a limit."""
        return any(cell["advantage"]["low"] > advantage for cell in self.cells)


def audit(
    model: nn.Module,
    private: Labelled,
    *,
    public: Labelled | NDArray[np.float32] | None = None,
    trained_on: str = ":",
    attacks: Sequence[str | Mapping[str, Any]] = ("gradient",),
    defenses: Sequence[str | Mapping[str, Any]] = (),
    training: Sequence[str | Mapping[str, Any]] = (),
    recipe: Mapping[str, Any] | None = None,
    judges: Mapping[str, Any] | None = None,
    value_range: tuple[float, float] = (0.0, 1.0),
    outputs: Outputs = "logits",
    name: str = "audit",
    out: str | Path = "runs",
    seed: int = 0,
    resume: bool = False,
    progress: bool = True,
) -> Run:
    """Attacks a classifier of one's own, judges what comes out, and writes a report.

    Args:
        model: Takes float32 ``(n, channels, height, width)``, returns ``(n, classes)``.
        private: Photos of the model's classes, and the class on each; only judges see them.
        public: Photos of other people that an attacker may have; with who is on each if known.
        trained_on: Which photos of each person the model was trained on, as a slice such as
            ``"0:7"``. The others serve the judges.
        attacks: Names, or mappings as a plan's ``[[attack]]`` has them.
        defenses: Names, or mappings as a plan's ``[[defense]]`` has them.
        training: Names, or mappings as a plan's ``[[training]]`` has them; with any, ``model`` is
            untrained, and Darkroom trains it without a defence and with each.
        recipe: How to train, as a plan's ``[recipe]`` has it.
        judges: How the judges are trained, as a plan's ``[judges]`` has it.
        value_range: The values of black and of full intensity.
        outputs: Whether the model returns ``logits`` or ``probabilities``.
        name: The run's; its folder is ``out/name``.
        out: The folder of all runs.
        seed: The same seed gives the same results.
        resume: Whether to go on with a run that is there already.
        progress: Whether to show bars on standard error.

    Raises:
        DarkroomError: If an argument does not do; one sentence says which, why and how to mend it.
    """
    images, people = _pair(private, "private")
    table = {
        "run": {"name": name, "seed": seed, "out": str(out)},
        "target": {
            "load": type(model).__name__,
            "shape": list(images.shape[1:]),
            "range": list(value_range),
            "outputs": outputs,
        },
        "private": {"images": "(array)", "trained_on": trained_on},
        "attack": _tables(attacks),
        "defense": _tables(defenses),
        **({"training": _tables(training)} if training else {}),
        **({} if recipe is None else {"recipe": dict(recipe)}),
        **({} if judges is None else {"judges": dict(judges)}),
        **({} if public is None else {"public": {"images": "(array)"}}),
    }
    plan = validate(ImagePlan, table, "darkroom.audit")
    target = TorchTarget(
        model,
        images.shape[1:],
        value_range=value_range,
        outputs=outputs,
        name=type(model).__name__,
    )
    photos = Photos.of(images, people)
    trained = photos.numbered(parse_slice(trained_on))
    subject = Subject(target, photos, trained, _public(public))
    text = "# From Python: darkroom.audit(...) with a model and arrays.\n" + tomli_w.dumps(table)
    job = ImageJob(plan, text, "darkroom.audit(...)", subject, Path.cwd())
    return _finish(job, resume, Reporter(shown=progress))


def audit_table(
    model: Any,
    private: pd.DataFrame,
    public: pd.DataFrame,
    *,
    response: str,
    sensitive: str | Sequence[str],
    trained_on: str = ":",
    unknown: Sequence[str] = (),
    positive: str | None = None,
    knows: Literal["response", "prediction"] = "response",
    imputer: Literal["auto", "logistic", "forest"] = "auto",
    attacks: Sequence[str | Mapping[str, Any]] = ("map",),
    defenses: Sequence[str | Mapping[str, Any]] = (),
    training: Sequence[str | Mapping[str, Any]] = (),
    naive: bool = False,
    outputs: Literal["predictions", "scores"] = "predictions",
    name: str = "audit",
    out: str | Path = "runs",
    seed: int = 0,
    resume: bool = False,
    progress: bool = True,
) -> Run:
    """Infers sensitive columns of a model of tables of one's own, and writes a report.

    Args:
        model: A fitted scikit-learn estimator or pipeline, or a function that takes a DataFrame
            and returns predictions, or probabilities in the order of the response's sorted values.
        private: The truth: the model's inputs in its order, and the response.
        public: Rows that the attacker may have, with the same columns; none of the private ones.
        response: The column that the model predicts.
        sensitive: The column to infer, or several.
        trained_on: Which private rows the model was trained on, as a slice such as ``"0:800"``.
        unknown: Further columns that the attacker does not know.
        positive: The sensitive value that precision, recall and AUC are about; the rarest when
            left out.
        knows: Whether the attacker has each record's true ``response`` or the model's
            ``prediction`` of it.
        imputer: The baseline that is trained on public rows; ``auto`` takes the better one.
        attacks: Names, or mappings as a plan's ``[[attack]]`` has them.
        defenses: Names, or mappings as a plan's ``[[defense]]`` has them.
        training: Names, or mappings as a plan's ``[[training]]`` has them; with any, ``model`` is
            an estimator that Darkroom fits, without a defence and with each.
        naive: Whether attackers who are not told of the defences are run too.
        outputs: What a function returns: ``predictions`` or ``scores``.
        name: The run's; its folder is ``out/name``.
        out: The folder of all runs.
        seed: The same seed gives the same results.
        resume: Whether to go on with a run that is there already.
        progress: Whether to show bars on standard error.

    Raises:
        DarkroomError: If an argument does not do; one sentence says which, why and how to mend it.
    """
    kind = getattr(model, "__name__", type(model).__name__)
    table = {
        "run": {"name": name, "seed": seed, "out": str(out), "naive": naive},
        "target": {
            "kind": "sklearn" if hasattr(model, "predict") else "function",
            "load": f"(object):{kind}" if training else kind,
            "response": response,
            "outputs": outputs,
        },
        "private": {
            "table": "(DataFrame)",
            "sensitive": [sensitive] if isinstance(sensitive, str) else list(sensitive),
            "unknown": list(unknown),
            "trained_on": trained_on,
            "knows": knows,
            **({} if positive is None else {"positive": positive}),
        },
        "public": {"table": "(DataFrame)", "imputer": imputer},
        "attack": _tables(attacks),
        "defense": _tables(defenses),
        **({"training": _tables(training)} if training else {}),
    }
    plan = validate(TablePlan, table, "darkroom.audit_table")
    schema = plan_schema(plan, private, public)
    target: TableTarget
    if training:
        target = UntrainedTableTarget(model, schema)
    elif hasattr(model, "predict"):
        target = SklearnTableTarget(model, schema)
    else:
        target = CallableTableTarget(model, schema, outputs=outputs)
    subject = table_subject(plan, target, private, public)
    text = "# From Python: darkroom.audit_table(...) with a model and tables.\n"
    job = TableJob(
        plan, text + tomli_w.dumps(table), "darkroom.audit_table(...)", subject, Path.cwd()
    )
    return _finish(job, resume, Reporter(shown=progress))


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
    return _finish(load_job(path, reporter), resume, reporter)


def open_run(folder: Path, *, reveal: bool = False) -> Run:
    """Writes the report of a run anew from its cells.

    Args:
        folder: The run's.
        reveal: Whether the report shows single records of tables.

    Raises:
        RunError: If the run or one of its cells is missing or damaged.
    """
    report = write_report(folder, reveal=reveal)
    results = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    return Run(folder, results, report)


def _tables(items: Sequence[str | Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Turns names and mappings into the tables of a plan."""
    return [{"name": item} if isinstance(item, str) else dict(item) for item in items]


def _finish(job: Job[Any, Any, Any, Any], resume: bool, reporter: Reporter) -> Run:
    folder = run_job(job, resume=resume, reporter=reporter)
    with reporter.stage("Writing the report"):
        return open_run(folder)


def _pair(value: Labelled, what: str) -> Labelled:
    """Checks images with labels."""
    if not isinstance(value, tuple) or len(value) != 2:
        raise DataError(f"{what}: give a pair of images and labels")
    images, people = np.asarray(value[0], np.float32), np.asarray(value[1], np.int64)
    if images.ndim != 4:
        raise DataError(
            f"{what}: images of shape {list(images.shape)}: give (n, channels, height, width)"
        )
    return images, people


def _public(value: Labelled | NDArray[np.float32] | None) -> Photos | None:
    """Labels public photos as all different where nobody is named."""
    if value is None:
        return None
    if isinstance(value, tuple):
        return Photos.of(*_pair(value, "public"))
    return Photos.of(*_pair((value, np.arange(len(value))), "public"))
