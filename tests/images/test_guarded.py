"""One plan, one model, with a guard and without: over real sockets, to the report."""

from __future__ import annotations

import json
import shutil
import sys
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import orjson
import pytest
import torch
from benchmarks.guard.servers import served
from tests.support.records import known
from tests.support.served import body_of

from darkroom.auditing.plan import validate
from darkroom.auditing.record import GuardLimit, Utility
from darkroom.commands.main import main
from darkroom.errors import PlanError, TargetError
from darkroom.guard.api_keys import hashed
from darkroom.guard.http.requests import Receive, Scope, Send
from darkroom.guard.middleware import Guard
from darkroom.guard.policy import parse_policy
from darkroom.guard.stores.sqlite import SqliteStore
from darkroom.images.plan import ImagePlan
from darkroom.images.targets.sections import HttpTable
from darkroom.report.spending import spending_report
from darkroom.runs import Run, audit_plan

KEY, PER_DAY = "dk_auditor", 10

ATTACKS = """
[[attack]]
name = "evolution"
rows = 600
"""


SURROGATE = """
[[attack]]
name = "surrogate"
rows = 40
members = 2
units = 32
epochs = 2
least_steps = 40
steps = 20
"""


class Model:
    """The linear model of the tests as an application; it counts the rows it sees."""

    def __init__(self, weights: dict[str, torch.Tensor]) -> None:
        self.matrix, self.bias = weights["1.weight"].numpy(), weights["1.bias"].numpy()
        self.rows = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = await body_of(scope, receive, send)
        if body is None:
            return
        rows = np.array(orjson.loads(body)["inputs"]).reshape(-1, self.matrix.shape[1])
        self.rows += len(rows)
        logits = rows @ self.matrix.T + self.bias
        powers = np.exp(logits - logits.max(axis=1, keepdims=True))
        answer = {"scores": (powers / powers.sum(axis=1, keepdims=True)).tolist()}
        head = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": 200, "headers": head})
        await send({"type": "http.response.body", "body": orjson.dumps(answer)})


POLICY = f"""\
guard = {{ model = "faces" }}
client = [{{ name = "auditor", key = "{hashed(KEY)}" }}]
wire = [{{ name = "json", route = "/faces" }}]
budget = [{{ name = "daily", rows = {PER_DAY} }}]
"""


@contextmanager
def serving(folder: Path, weights: dict[str, torch.Tensor]) -> Iterator[Model]:
    """Makes a folder's plan one of a served model and of the same behind a guard.

    Yields:
        What is behind the guard.
    """
    (folder / "guard.toml").write_text(POLICY)
    policy = parse_policy(tomllib.loads(POLICY), "policy")
    store = SqliteStore("faces", folder / "guard.sqlite", create=True)
    hidden = Model(weights)
    with (
        pytest.MonkeyPatch.context() as patch,
        served(Model(weights)) as free,
        served(Guard(hidden, policy, store=store)) as guarded,
    ):
        patch.chdir(folder)
        patch.setenv("GUARD_KEY", KEY)
        text = (folder / "plan.toml").read_text()
        begin, rest = text.index("[target]"), text.index("[private]")
        end = text.index("[[attack]]")
        targets = f"""\
authorized_by = "the tests"

[target]
kind = "http"
protocol = "json"
url = "{free}/faces"
shape = [1, 16, 16]

[guarded]
url = "{guarded}/faces"
api_key_env = "GUARD_KEY"

"""
        (folder / "plan.toml").write_text(text[:begin] + targets + text[rest:end] + ATTACKS)
        yield hidden


class Asked(NamedTuple):
    """A finished run of that plan, in the folder of the plan.

    Attributes:
        run: The run.
        rows: How many the guard let through.
    """

    run: Run
    rows: int


@pytest.fixture(scope="module")
def asked(
    finished_folder: Path,
    tmp_path_factory: pytest.TempPathFactory,
    weights: dict[str, torch.Tensor],
) -> Asked:
    folder = tmp_path_factory.mktemp("guarded")
    shutil.copytree(finished_folder, folder, dirs_exist_ok=True)
    shutil.rmtree(folder / "runs")
    with serving(folder, weights) as hidden:
        run = audit_plan(folder / "plan.toml", progress=False)
        return Asked(replace(run, folder=folder / run.folder), hidden.rows)


@pytest.mark.medium
@pytest.mark.drawn
def test_one_plan_shows_success_with_the_guard_and_without(asked: Asked) -> None:
    free, held = asked.run.cells
    assert (free.defense, held.defense) == ("none", "guard")
    assert (free.attack, held.attack) == ("evolution", "evolution")
    assert held.success.estimate < free.success.estimate
    guard = known(held.details.guard)
    assert guard.limits == (GuardLimit(name="daily", rows=PER_DAY, seconds=86_400),)
    # Every row that the guard let through, and no other, is accounted for.
    assert asked.rows == PER_DAY == guard.rows + guard.opened
    assert guard.refusals >= 1
    assert held.curve[-1].queries < free.curve[-1].queries
    assert held.utility == Utility()
    page = (asked.run.folder / "report.html").read_text()
    section = page[page.index('<section id="guard">') : page.index('<section id="budget">')]
    assert f"Days at {PER_DAY} a day" in section
    assert f"was refused after {guard.rows} rows" in section
    for label in ("evolution with eigenfaces, undefended", "evolution with eigenfaces, behind the"):
        assert label in section
    # A guard is no defence of answers, and its curve ends early: other sections leave it out.
    assert '<section id="defenses">' not in page
    budget = page[page.index('<section id="budget">') :]
    assert "behind the guard" not in budget[: budget.index("</section>")]


@pytest.mark.slow
def test_a_second_attack_finds_the_account_spent(
    plan_folder: Path, weights: dict[str, torch.Tensor]
) -> None:
    with serving(plan_folder, weights) as hidden:
        plan = plan_folder / "plan.toml"
        plan.write_text(plan.read_text() + SURROGATE)
        held = audit_plan(plan, progress=False).cells[2:]
        guards = [known(one.details.guard) for one in held]
        assert [one.rows for one in guards] == [PER_DAY - 2, 0]
        assert all(one.refusals for one in guards)
        assert hidden.rows == PER_DAY
        # A resumed run asks the guard nothing; a new one is told why it cannot.
        audit_plan(plan, resume=True, progress=False)
        plan.write_text(plan.read_text().replace('"tiny"', '"later"'))
        with pytest.raises(TargetError, match="refuses before the attack begins"):
            audit_plan(plan, progress=False)
        assert hidden.rows == PER_DAY


@pytest.mark.medium
def test_the_guards_report_puts_its_clients_on_the_curve_without_it(
    asked: Asked, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (cell,) = [one for one in asked.run.cells if one.defense == "none"]
    folder = asked.run.folder.parents[1]
    monkeypatch.chdir(folder)
    made = spending_report(folder / "guard.toml", folder / "runs/tiny")
    assert [(one.name, one.today) for one in made.clients] == [("auditor", PER_DAY)]
    outlook = made.outlook
    assert outlook is not None
    assert outlook.cell.key == cell.key
    assert outlook.matches
    reached = [one.queries for one in cell.curve if one.success >= 0.5]
    assert outlook.queries == min(reached)
    assert outlook.days == pytest.approx((min(reached) - PER_DAY) / PER_DAY)
    words = ["guard", "report", "--policy", "guard.toml", "--run", "runs/tiny", "--json"]
    monkeypatch.setattr(sys, "argv", ["darkroom", *words])
    capsys.readouterr()
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 0
    told: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert told["outlook"]["cell"] == cell.key
    assert told["outlook"]["days"] == pytest.approx(outlook.days)


PLAIN: dict[str, Any] = {
    "run": {"name": "a", "authorized_by": "me"},
    "target": {"load": "a:b", "shape": [1, 8, 8], "range": [-1.0, 1.0]},
    "guarded": {"protocol": "json", "url": "http://127.0.0.1:1/faces"},
    "private": {"images": "people"},
    "attack": [{"name": "evolution"}],
}


def test_what_the_guarded_table_leaves_out_is_the_targets() -> None:
    guarded = validate(ImagePlan, PLAIN, "plan").guarded
    assert isinstance(guarded, HttpTable)
    assert (guarded.kind, guarded.shape, guarded.range) == ("http", [1, 8, 8], (-1.0, 1.0))
    remote = {"kind": "http", "protocol": "v2", "model": "faces", "url": "http://a", "batch": 9}
    table = {**PLAIN, "target": {**PLAIN["target"], **remote}, "guarded": {"url": "http://b"}}
    del table["target"]["load"]
    record = validate(ImagePlan, table, "plan").model_dump()
    differ = {key for key, value in record["guarded"].items() if record["target"][key] != value}
    assert differ == {"url", "batch", "concurrency"}
    assert record["guarded"]["batch"] == 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"run": {"name": "a"}}, "only with leave"),
        ({"guarded": {**PLAIN["guarded"], "shape": [1, 9, 9]}}, "same shape and range"),
        ({"guarded": {"kind": "torch", "load": "a:b"}}, "guarded"),
        ({"guarded": {**PLAIN["guarded"], "ulr": "x"}}, "unknown key guarded.ulr"),
        ({"training": [{"name": "dp-sgd"}]}, "audit them apart"),
    ],
)
def test_plans_with_a_guard_that_cannot_be_are_refused(
    changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(PlanError, match=message):
        validate(ImagePlan, {**PLAIN, **changes}, "plan")


def test_no_key_in_the_guarded_table_is_shown() -> None:
    wrong = {**PLAIN["guarded"], "headers": {"x": 7}, "url": "http://b"}
    with pytest.raises(PlanError) as raised:
        validate(ImagePlan, {**PLAIN, "guarded": wrong}, "plan")
    assert "guarded.headers" in str(raised.value)
    assert "7" not in str(raised.value)
