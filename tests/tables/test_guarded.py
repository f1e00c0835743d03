"""A model of tables behind a guard: what attribute inference gets until the guard refuses."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pandas as pd
import pytest
from benchmarks.guard.servers import served
from tests.guard.conftest import Hand
from tests.support.served import body_of

from darkroom.auditing.plan import validate
from darkroom.errors import PlanError
from darkroom.guard.api_keys import hashed
from darkroom.guard.http.requests import Receive, Scope, Send
from darkroom.guard.middleware import Guard
from darkroom.guard.policy import parse_policy
from darkroom.guard.stores.sqlite import SqliteStore
from darkroom.runs import audit_plan
from darkroom.tables.plan import TablePlan

KEY, PER_DAY, ROWS = "dk_auditor", 13, 120

POLICY = f"""\
guard = {{ model = "doses" }}
client = [{{ name = "auditor", key = "{hashed(KEY)}" }}]
wire = [{{ name = "json", route = "/doses" }}]
budget = [{{ name = "daily", rows = {PER_DAY} }}]
"""

PLAN = """\
[run]
name = "guarded"
authorized_by = "the tests"

[target]
kind = "http"
protocol = "json"
url = "{free}/doses"
response = "dose"
answers = "scores"
path = "scores"

[guarded]
url = "{guarded}/doses"
api_key_env = "GUARD_KEY"

[private]
table = "people.csv"
rows = "0:80"
trained_on = "0:60"
sensitive = "gene"

[public]
table = "people.csv"
rows = "80:"

[[attack]]
name = "map"
prior = "marginals"
"""


class Doses:
    """Says that who has the gene gets a high dose; counts the rows it sees."""

    def __init__(self) -> None:
        self.rows = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = await body_of(scope, receive, send)
        if body is None:
            return
        rows = orjson.loads(body)["inputs"]
        self.rows += len(rows)
        high = [0.9 if row["gene"] == "A" else 0.1 for row in rows]
        answer = {"scores": [[p, 1 - p] for p in high]}
        head = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": 200, "headers": head})
        await send({"type": "http.response.body", "body": orjson.dumps(answer)})


def _at_noon(folder: Path) -> SqliteStore:
    """Returns a ledger whose day does not end while the test runs."""
    return SqliteStore("doses", folder / "guard.sqlite", create=True, clock=Hand())


def people() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    gene = rng.choice(["A", "B"], ROWS, p=[0.3, 0.7])
    return pd.DataFrame(
        {
            "age": rng.integers(20, 80, ROWS),
            "gene": gene,
            "dose": np.where(gene == "A", "high", "low"),
        }
    )


@pytest.mark.medium
def test_records_for_which_the_budget_does_not_reach_keep_the_priors_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GUARD_KEY", KEY)
    people().to_csv("people.csv", index=False)
    policy = parse_policy(tomllib.loads(POLICY), "policy")
    hidden, store = Doses(), _at_noon(tmp_path)
    with served(Doses()) as free, served(Guard(hidden, policy, store=store)) as guarded:
        text = PLAN.format(free=free, guarded=guarded)
        Path("plan.toml").write_text(text)
        plain, held = audit_plan(Path("plan.toml"), progress=False).cells
    assert (plain.defense, held.defense) == ("none", "guard")
    assert plain.success.estimate == 1.0
    guard = held.details.guard
    assert guard is not None
    assert [(one.name, one.rows) for one in guard.limits] == [("daily", PER_DAY)]
    assert hidden.rows == guard.rows + guard.opened <= PER_DAY
    assert guard.refusals >= 1
    assert held.success.estimate < plain.success.estimate
    page = Path("runs/guarded/report.html").read_text()
    assert '<section id="guard">' in page


def table(**changes: Any) -> dict[str, Any]:
    return {**tomllib.loads(PLAN), **changes}


def test_what_the_guarded_table_leaves_out_is_the_targets() -> None:
    guarded = validate(TablePlan, table(), "plan").guarded
    assert guarded is not None
    assert (guarded.response, guarded.path, guarded.batch) == ("dose", "scores", 1)


def test_the_guard_stands_before_the_same_model() -> None:
    other = {**table()["guarded"], "response": "height"}
    with pytest.raises(PlanError, match="give both the same response and inputs"):
        validate(TablePlan, table(guarded=other), "plan")
