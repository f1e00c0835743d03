"""The cells of a run as tasks of Ray, on this machine or on a cluster, without a shared disk.

A task is sent the audit with everything loaded. What is made once (judges, priors, trained models)
goes there and back as the files in which a run keeps it, so that the run ends with the same files
as one on this machine.
"""

from __future__ import annotations

import logging
import os
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import Any, Literal, NamedTuple

from darkroom.auditing.blocks import FOLDER as BLOCKS
from darkroom.auditing.blocks import discard, sweep
from darkroom.auditing.claims import Claims
from darkroom.auditing.job import FinishedCell, Job, Session
from darkroom.auditing.plan import BasePlan
from darkroom.auditing.progress import Reporter
from darkroom.auditing.threads import cores, taking, told
from darkroom.auditing.workers.base import PAUSE, Work
from darkroom.errors import DarkroomError, MissingExtraError, PlanError, RunError, one_line
from darkroom.files import write_private
from darkroom.imports import beside

KEPT = ("artefacts", "models")
"""Folders of a run whose files tasks are sent, and send back."""

Files = dict[str, bytes]
"""What those folders hold, by path in the run."""


class Made(NamedTuple):
    """What a task sends back.

    Attributes:
        cell: What came of the attack; ``None`` of a task that prepares.
        files: What it made once.
    """

    cell: FinishedCell | None
    files: Files


@dataclass(frozen=True)
class RayTasks:
    """Tasks of Ray; see :class:`.base.Workers`.

    Attributes:
        job: The audit.
        address: The cluster's; this machine for ``None``.
    """

    job: Job[Any, Any, Any, Any]
    address: str | None = None

    def __post_init__(self) -> None:
        """Refuses audits whose processes need one disk.

        Raises:
            PlanError: If a server is asked.
        """
        plan = self.job.plan
        if plan.guarded is not None or hasattr(plan.target, "keep_pace"):
            raise PlanError(
                '[run] engine = "ray": a server is asked at one pace, which processes keep on one '
                "disk: leave out engine, and give --workers"
            )

    @property
    def threads(self) -> int:
        """One, so that there are as many tasks as processors, if memory allows."""
        return told() or 1

    def run(self, work: Work, threads: int, reporter: Reporter) -> None:
        """Has tasks run every cell; see :meth:`.base.Workers.run`.

        Raises:
            MissingExtraError: If Ray is not installed.
            PlanError: If judges and priors are to be kept elsewhere than in the run.
            RunError: If the cluster cannot be reached, or a task failed.
        """
        if self.job.plan.run.cache is not None:
            raise PlanError(
                '[run] engine = "ray" keeps what is made once in the run\'s own folder: leave out '
                "--cache"
            )
        if not work.missing:
            return
        with _connected(self.address) as ray:
            tasks = _Tasks(ray, self.job, work, threads)
            wanted = work.missing
            with reporter.stage("Judges and priors, by Ray") as advance:
                for together in _preparations(self.job, wanted):
                    tasks.prepare(together, advance)
            if blocks := _blocks(work):
                with reporter.stage("Blocks of large cells, by Ray") as advance:
                    tasks.prepare(blocks, advance)
            with reporter.stage("Cells, by Ray") as advance:
                cells = len(work.cells)
                tasks.run(wanted, lambda: advance(cells - len(work.missing), cells))
        if left := len(work.missing):
            raise RunError(f"{left} cells are missing: go on with --resume")
        sweep(
            work.store.folder, ()
        )  # who joined may have done a cell while its blocks were made here


class _Wanted(NamedTuple):
    """What a task does.

    Attributes:
        key: Of a cell.
        what: Its model and judges, its prior, one of its blocks, or the cell itself.
        number: Of the block.
    """

    key: str
    what: Literal["judges", "prior", "block", "cell"]
    number: int = 0


def _needs(ray: Any, plan: BasePlan, threads: int) -> dict[str, float]:
    """Returns what a task takes: what the plan gives an audit of one process."""
    gpus = float(str(getattr(plan.target, "device", "cpu")).startswith("cuda"))
    needs = {"num_cpus": float(threads), "num_gpus": gpus}
    if memory := getattr(plan.run, "memory", 0):
        # A task that no machine can hold would wait for ever.
        alive = [one["Resources"] for one in ray.nodes() if one["Alive"]]
        able = [
            one.get("memory", 0.0)
            for one in alive
            if one.get("CPU", 0) >= threads and one.get("GPU", 0) >= gpus
        ]
        needs["memory"] = min(memory, max(able, default=0.0))
    return needs


def _blocks(work: Work) -> list[_Wanted]:
    """Returns the blocks of all cells that are cut and not there yet."""
    return [
        _Wanted(key, "block", number)
        for key in work.missing
        for number, file in enumerate(work.cells[key])
        if not file.exists()
    ]


def _preparations(job: Job[Any, Any, Any, Any], keys: Sequence[str]) -> Iterator[list[_Wanted]]:
    """Yields what to make at the same time: the judges beside priors, then further models."""
    planned = dict(zip(job.keys(metadata.version("darkroom")), job.planned, strict=True))
    models: dict[int, str] = {}
    priors: dict[str, str] = {}
    for key in keys:
        model, cell = planned[key]
        models.setdefault(id(model), key)
        priors.setdefault(repr(cell.prior), key)
    first, *others = models.values()
    yield [_Wanted(first, "judges"), *(_Wanted(key, "prior") for key in priors.values())]
    if others:
        yield [_Wanted(key, "judges") for key in others]


def _sent(ray: Any, job: Job[Any, Any, Any, Any]) -> Any:
    """Puts an audit where tasks find it, with the code beside its plan, which none can import.

    Raises:
        RunError: If a part of it cannot be sent.
    """
    own = beside(job.folder)
    for module in own:
        ray.cloudpickle.register_pickle_by_value(module)
    try:
        return ray.put(_Sent(job, job.keys(metadata.version("darkroom"))))
    except Exception as error:
        raise RunError(
            f"Ray: model or data cannot be sent ({one_line(error)}): leave out [run] engine"
        ) from error
    finally:
        for module in own:
            ray.cloudpickle.unregister_pickle_by_value(module)


class _Sent(NamedTuple):
    """What tasks are sent.

    Attributes:
        job: The audit.
        keys: Those of all its cells, in order.
    """

    job: Job[Any, Any, Any, Any]
    keys: Sequence[str]


class _Tasks:
    """The tasks of one run, from the side that waits for them."""

    def __init__(
        self,
        ray: Any,
        job: Job[Any, Any, Any, Any],
        work: Work,
        threads: int,
    ) -> None:
        self._ray, self._work, self._store = ray, work, work.store
        self._claims = Claims(work.store)
        self._job = _sent(ray, job)
        self._task = ray.remote(_task).options(max_retries=3, **_needs(ray, job.plan, threads))
        self._threads = threads
        self._most = 2 * max(1, int(ray.cluster_resources().get("CPU", 1)) // threads)
        self._files = ray.put(_read(work.store.folder))

    def prepare(self, wanted: Sequence[_Wanted], advance: Callable[[int, int], None]) -> None:
        """Has things made at the same time, and keeps them."""
        waiting = [self._asked(one) for one in wanted]
        failed: DarkroomError | None = None
        while waiting:
            for reference in self._ready(waiting):
                waiting.remove(reference)
                try:
                    self._keep(self._got(reference))
                except DarkroomError as error:  # what else is under way is still kept
                    failed = failed or error
            advance(len(wanted) - len(waiting), len(wanted))
        if failed is not None:
            raise failed
        self._files = self._ray.put(_read(self._store.folder))

    def run(self, keys: Iterable[str], look: Callable[[], None]) -> None:
        """Has cells run, each claimed until it is written, and keeps them."""
        held: dict[Any, ExitStack] = {}
        failed: DarkroomError | None = None
        with ExitStack() as every:
            left = list(keys)
            while left or held:
                for key in left[: self._most - len(held)]:
                    claim = every.enter_context(ExitStack())
                    if claim.enter_context(self._claims.claimed(key)):
                        left.remove(key)
                        if not self._store.has_cell(key):
                            held[self._asked(_Wanted(key, "cell"))] = claim
                            continue
                    claim.close()
                for reference in self._ready(list(held)):
                    try:
                        self._keep(self._got(reference))
                    except DarkroomError as error:  # what else is under way is still kept
                        left, failed = [], failed or error
                    held.pop(reference).close()
                look()
                left = [key for key in left if not self._store.has_cell(key)]
        if failed is not None:
            raise failed

    def _asked(self, wanted: _Wanted) -> Any:
        files = self._files
        if wanted.what == "cell" and (blocks := _read(self._store.folder, (BLOCKS,), wanted.key)):
            files = self._ray.put({**_read(self._store.folder), **blocks})
        return self._task.remote(self._job, files, wanted, self._threads)

    def _ready(self, waiting: list[Any]) -> list[Any]:
        """Returns the tasks that are done, after a moment."""
        if not waiting:
            time.sleep(PAUSE)
            return []
        return list(self._ray.wait(waiting, timeout=PAUSE)[0])

    def _got(self, reference: Any) -> Made:
        """Returns what a task sent back.

        Raises:
            DarkroomError: If it failed.
        """
        try:
            found: Made = self._ray.get(reference)
        except self._ray.exceptions.RayTaskError as error:
            if isinstance(error.cause, DarkroomError):
                raise error.cause from None
            raise
        except self._ray.exceptions.RayError as error:
            raise RunError(
                f"Ray: {one_line(error)}: see to that, then go on with --resume"
            ) from error
        return found

    def _keep(self, made: Made) -> None:
        for name, content in made.files.items():
            path = self._store.folder / name
            path.parent.mkdir(mode=0o700, exist_ok=True)
            write_private(path, content)
        if made.cell is not None:
            self._store.write_cell(*made.cell)
            discard(self._store.folder, made.cell.key)


def _task(sent: _Sent, files: Files, wanted: _Wanted, threads: int) -> Made:
    """Runs a cell, or makes what cells need, in a folder of its own that is removed at the end.

    Args:
        sent: The audit.
        files: What was made already.
        wanted: What to do.
        threads: How many to take.
    """
    key, what, number = wanted
    with tempfile.TemporaryDirectory(prefix="darkroom-") as scratch, taking(threads):
        said = {"out": Path(scratch), "name": "run", "cache": None}
        job = sent.job
        run = job.plan.run.model_copy(update=said)
        moved = replace(job, plan=job.plan.model_copy(update={"run": run}))
        folder = moved.plan.run_folder
        for name, content in files.items():
            path = folder / name
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.write_bytes(content)
        session = Session(moved, sent.keys, Reporter(shown=False))
        cell = None
        if what == "cell":
            cell = session.run(key)
        elif what == "block":
            session.make_block(key, number)
        elif what == "prior":
            session.prior(key, moved.subject)
        else:
            session.bench(key)
        # Under a name that was there stands something else where that could not be read.
        kept = KEPT if what == "cell" else (*KEPT, BLOCKS)
        made = {
            name: content
            for name, content in _read(folder, kept).items()
            if files.get(name) != content
        }
        return Made(cell, made)


def _read(folder: Path, parts: Sequence[str] = KEPT, start: str = "") -> Files:
    """Returns what a run has made once.

    Args:
        folder: The run's.
        parts: Which of its folders.
        start: What names begin with.
    """
    return {
        f"{kept}/{path.name}": path.read_bytes()
        for kept in parts
        for path in sorted((folder / kept).glob(f"{start}*"))
        if path.suffix != ".lease" and not path.name.endswith(".partial")
    }


@contextmanager
def _connected(address: str | None) -> Iterator[Any]:
    """Reaches a cluster, or starts one of this machine alone, which ends with this process.

    Raises:
        MissingExtraError: If Ray is not installed.
        RunError: If the cluster cannot be reached.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # or it sends statistics
    try:
        import ray
    except ImportError as error:
        raise MissingExtraError("ray", "ray") from error
    options: dict[str, Any] = {"address": address}
    if address is None:
        # Nobody else on the network is to reach it.
        options = {"num_cpus": cores(), "include_dashboard": False, "_node_ip_address": "127.0.0.1"}
    try:
        ray.init(log_to_driver=False, logging_level=logging.ERROR, **options)
    except Exception as error:  # Ray raises no narrower one where it takes too long to start
        where = "a cluster of this machine" if address is None else address
        raise RunError(
            f"Ray: {where} cannot be used ({one_line(error)}): check [run] address"
        ) from error
    try:
        yield ray
    finally:
        ray.shutdown()
