"""Cells as tasks of Ray: results are those of one process; only what is sent is shared."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests.auditing.test_runner import results_of
from tests.same.decided import differences
from tests.support.needs import needed

from darkroom.auditing.job import Session
from darkroom.auditing.progress import Reporter
from darkroom.auditing.runner import run_job
from darkroom.auditing.workers import cluster
from darkroom.auditing.workers.cluster import RayTasks
from darkroom.errors import DarkroomError, MissingExtraError, PlanError, RunError, TargetError
from darkroom.kinds import load_job
from darkroom.report.results import write_results
from darkroom.runs import audit_plan


class LocalRay:
    """Runs tasks at once in this process: pickled on their way there and back, as Ray does."""

    def __init__(self) -> None:
        cloudpickle = needed("cloudpickle")

        self.cloudpickle = cloudpickle
        self.exceptions = SimpleNamespace(RayTaskError=TaskError, RayError=RuntimeError)
        self.done: list[tuple[Any, ...]] = []
        self.sent_back: list[Any] = []

    def put(self, value: object) -> bytes:
        return self.cloudpickle.dumps(value)  # type: ignore[no-any-return]

    def get(self, reference: Any) -> Any:
        if isinstance(reference, BaseException):
            raise reference
        return self.cloudpickle.loads(reference)

    def wait(self, waiting: Sequence[Any], timeout: float) -> tuple[list[Any], list[Any]]:
        return [waiting[0]], list(waiting[1:])

    def cluster_resources(self) -> dict[str, float]:
        return {"CPU": 2.0}

    def nodes(self) -> list[dict[str, Any]]:
        return [
            {"Alive": True, "Resources": {"CPU": 2.0, "memory": 3e9}},
            {"Alive": False, "Resources": {"CPU": 9.0, "memory": 9e9}},
        ]

    def remote(self, function: Any) -> Any:
        def options(**needs: float) -> Any:
            return SimpleNamespace(remote=lambda *sent: self._run(function, needs, *sent))

        return SimpleNamespace(options=options)

    def _run(self, function: Any, needs: dict[str, float], *sent: Any) -> Any:
        self.done.append((needs, *sent[2:]))
        given = [self.get(one) if isinstance(one, bytes) else one for one in sent]
        try:
            self.sent_back.append(function(*given))
            return self.put(self.sent_back[-1])
        except DarkroomError as error:
            return TaskError(error)


class TaskError(Exception):
    def __init__(self, cause: Exception) -> None:
        super().__init__(str(cause))
        self.cause = cause


@pytest.fixture
def ray(monkeypatch: pytest.MonkeyPatch) -> LocalRay:
    found = LocalRay()
    monkeypatch.setattr(cluster, "_connected", lambda address: _Given(found))
    return found


class _Given:
    def __init__(self, ray: LocalRay) -> None:
        self._ray = ray

    def __enter__(self) -> LocalRay:
        return self._ray

    def __exit__(self, *error: object) -> None:
        pass


def run(folder: Path, *, resume: bool = False) -> dict[str, Any]:
    reporter = Reporter(shown=False)
    job = load_job(folder / "plan.toml", reporter)
    write_results(run_job(job, resume=resume, reporter=reporter, workers=RayTasks(job)))
    return results_of(folder)


def without_threads(results: dict[str, Any]) -> dict[str, Any]:
    results["run"]["machine"].pop("threads")
    return results


@pytest.mark.medium
def test_results_are_those_of_one_process_and_what_is_made_comes_back(
    plan_folder: Path, finished_folder: Path, ray: LocalRay, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", str(threads_of(finished_folder)))
    found = run(plan_folder)
    assert found == results_of(finished_folder)
    # The judges beside both priors, then the two cells.
    assert [one[1].what for one in ray.done] == ["judges", "prior", "prior", "cell", "cell"]
    # A task that no machine can hold would never begin.
    assert all(one[0]["num_gpus"] == 0 and one[0]["memory"] == 3e9 for one in ray.done)
    kept = [one.name for one in (plan_folder / "runs/tiny/artefacts").iterdir()]
    there = [one.name for one in (finished_folder / "runs/tiny/artefacts").iterdir()]
    assert sorted(kept) == sorted(there)
    ray.done.clear()
    assert run(plan_folder, resume=True) == found
    assert ray.done == []
    key = found["cells"][1]["key"]
    shutil.rmtree(plan_folder / "runs/tiny/cells" / key)
    assert run(plan_folder, resume=True) == found
    assert [one[1].key for one in ray.done if one[1].what == "cell"] == [key]


@pytest.mark.medium
def test_a_large_cell_is_attacked_by_several_tasks(
    plan_folder: Path, finished_folder: Path, ray: LocalRay, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", str(threads_of(finished_folder)))
    plan = plan_folder / "plan.toml"
    plan.write_text(plan.read_text().replace("[run]", "[run]\nblock = 3", 1))
    # Last bits hang on how many rows are asked at once.
    assert not [*differences(run(plan_folder), results_of(finished_folder))]
    assert [one[1].what for one in ray.done] == [
        *("judges", "prior", "prior"),
        *("block", "block", "block", "block"),
        *("cell", "cell"),
    ]
    assert not [*(plan_folder / "runs/tiny/blocks").iterdir()]
    assert all("blocks" not in path for path in ray.sent_back[-1].files)


def threads_of(folder: Path) -> int:
    said = json.loads((folder / "runs/tiny/run.json").read_text())
    return int(said["run"]["machine"]["threads"])


@pytest.mark.medium
def test_a_mistake_in_a_task_is_the_run_s(
    plan_folder: Path, ray: LocalRay, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*arguments: object) -> object:
        raise TargetError("the model returned NaN")

    monkeypatch.setattr(Session, "run", failing)
    with pytest.raises(TargetError, match="the model returned NaN"):
        run(plan_folder)


@pytest.mark.medium
def test_what_cannot_be_sent_is_said(plan_folder: Path, ray: LocalRay) -> None:
    def put(value: object) -> bytes:
        raise TypeError("cannot pickle 'Lock' object")

    ray.put = put  # type: ignore[method-assign]
    with pytest.raises(RunError, match=r"cannot be sent .*cannot pickle 'Lock' object"):
        run(plan_folder)


@pytest.mark.medium
@pytest.mark.parametrize(
    ("said", "message"),
    [
        ('engine = "rya"', "'processes' or 'ray'"),
        ('address = "auto"', 'set engine = "ray" too'),
        ('engine = "ray"\ncache = "kept"', "leave out cache"),
    ],
)
def test_keys_that_do_not_go_together_are_refused(
    plan_folder: Path, said: str, message: str
) -> None:
    plan = plan_folder / "plan.toml"
    plan.write_text(plan.read_text().replace("[run]", f"[run]\n{said}", 1))
    with pytest.raises(PlanError, match=message):
        audit_plan(plan, progress=False)


@pytest.mark.medium
def test_a_server_and_workers_are_refused(plan_folder: Path) -> None:
    job = load_job(plan_folder / "plan.toml", Reporter(shown=False))
    served = SimpleNamespace(plan=SimpleNamespace(guarded=object(), target=None))
    with pytest.raises(PlanError, match="one disk"):
        RayTasks(served)  # type: ignore[arg-type]
    assert RayTasks(job).job is job
    plan = plan_folder / "plan.toml"
    plan.write_text(plan.read_text().replace("[run]", '[run]\nengine = "ray"', 1))
    with pytest.raises(PlanError, match="leave out workers"):
        audit_plan(plan, workers=2, progress=False)


@pytest.mark.medium
def test_a_cluster_that_does_not_start_is_said_on_one_line(
    plan_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def init(**options: object) -> None:
        assert options["_node_ip_address"] == "127.0.0.1"
        raise Exception("The current node timed out during startup.")

    monkeypatch.setitem(sys.modules, "ray", SimpleNamespace(init=init))
    plan = plan_folder / "plan.toml"
    plan.write_text(plan.read_text().replace("[run]", '[run]\nengine = "ray"', 1))
    with pytest.raises(
        RunError, match=r"Ray: a cluster of this machine cannot be used .*timed out"
    ):
        audit_plan(plan, progress=False)


@pytest.mark.medium
def test_without_ray_its_extra_is_named(plan_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    plan = plan_folder / "plan.toml"
    plan.write_text(plan.read_text().replace("[run]", '[run]\nengine = "ray"', 1))
    with pytest.raises(MissingExtraError, match=r"darkroom\[ray\]"):
        audit_plan(plan, progress=False)
