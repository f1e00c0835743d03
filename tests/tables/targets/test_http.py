"""Models of tables behind an API, over a network that is made up."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pandas as pd
import pytest

from darkroom.access import Access
from darkroom.auditing.progress import Reporter
from darkroom.auditing.run_record import TargetRecord
from darkroom.errors import DarkroomError, TargetError
from darkroom.kinds import load_job, read_plan
from darkroom.ledger import BudgetExhausted, Limit, QueryLedger
from darkroom.remote.delivery import Delivery
from darkroom.tables.attacks.base import Records
from darkroom.tables.attacks.errors import Errors
from darkroom.tables.attacks.map import MapAttack
from darkroom.tables.candidates import Candidates
from darkroom.tables.plan import TablePlan
from darkroom.tables.priors.counts import UniformPrior
from darkroom.tables.schema import Column, Schema
from darkroom.tables.targets.http import HttpTableTarget
from darkroom.tables.targets.sections import TableHttpSection
from darkroom.tables.targets.view import TableView
from darkroom.tables.targets.wire import TableJson, TableOpenInference, TableWire

URL = "https://models.example/dose"
QUICK = Delivery(batch=4, concurrency=2, backoff=0.001, retries=3, patience=1.0, timeout=1.0)
COLUMNS = (
    Column("age", "numeric"),
    Column("gene", "categorical", ("AA", "AG", "GG")),
    Column("smokes", "categorical", (False, True)),
)
NUMBER = Schema(COLUMNS, Column("dose", "numeric"), ("gene",))
CLASS = Schema(COLUMNS, Column("risk", "categorical", ("high", "low")), ("gene",))
FLOATS = Schema(COLUMNS, Column("risk", "categorical", (0.0, 1.0)), ("gene",))
WHOLE = Schema(COLUMNS, Column("risk", "categorical", (0, 1)), ("gene",))
ROWS = np.column_stack([np.arange(10.0), np.arange(10) % 3, np.arange(10) % 2])


def _dose(table: pd.DataFrame) -> np.ndarray[Any, Any]:
    gene = table["gene"].map({"AA": 0, "AG": 1, "GG": 2})
    return np.asarray(table["age"] + 20 * gene + 3 * table["smokes"].astype(int), dtype=float)


EXPECTED = _dose(NUMBER.decode(ROWS))


class Server:
    """Answers a function of the rows, counts them, and fails as it is told to."""

    def __init__(self, answer: Callable[[pd.DataFrame], object]) -> None:
        self.answer = answer
        self.script: list[int | None] = []
        self.rows = 0
        self.bodies: list[Any] = []
        self.urls: list[str] = []

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        body = json.loads(request.content)
        self.bodies.append(body)
        self.urls.append(str(request.url))
        table = _objects(body) if "parameters" not in body else _tensors(body)
        self.rows += len(table)
        status = self.script.pop(0) if self.script else None
        if status is not None:
            return httpx.Response(status)
        return httpx.Response(200, json=self.answer(table))


def _objects(body: Any) -> pd.DataFrame:
    return pd.DataFrame(body["inputs"])


def _tensors(body: Any) -> pd.DataFrame:
    return pd.DataFrame({one["name"]: one["data"] for one in body["inputs"]})


def _target(server: Server, wire: TableWire) -> HttpTableTarget:
    return HttpTableTarget(
        wire, authorized_by="me", delivery=QUICK, transport=httpx.MockTransport(server)
    )


def test_rows_go_as_objects_and_numbers_come_back() -> None:
    server = Server(lambda table: {"predictions": _dose(table).tolist()})
    target = _target(server, TableJson(URL, NUMBER))
    np.testing.assert_allclose(target.predict(ROWS), EXPECTED)
    assert server.bodies[0]["inputs"][1] == {"age": 1.0, "gene": "AG", "smokes": True}
    assert server.rows == target.rows_sent == 10
    assert target.access is Access.LABEL
    assert target.predict(ROWS[:0]).shape == (0,)
    target.close()


def test_a_column_is_a_tensor_of_the_open_inference_protocol() -> None:
    def answer(table: pd.DataFrame) -> object:
        data = [[value] for value in _dose(table).tolist()]
        return {"outputs": [{"name": "predict", "shape": [len(data), 1], "data": data}]}

    server = Server(answer)
    target = _target(server, TableOpenInference("https://models.example", "dose", NUMBER))
    np.testing.assert_allclose(target.predict(ROWS), EXPECTED)
    assert server.urls[0] == "https://models.example/v2/models/dose/infer"
    assert server.bodies[0]["parameters"] == {"content_type": "pd"}
    age, gene, smokes = server.bodies[0]["inputs"]
    assert (age["datatype"], age["shape"], age["data"]) == ("FP64", [4, 1], [0.0, 1.0, 2.0, 3.0])
    assert (gene["datatype"], gene["parameters"]) == ("BYTES", {"content_type": "str"})
    assert (smokes["datatype"], smokes["data"][:2]) == ("BOOL", [False, True])
    target.close()


@pytest.mark.parametrize("wire", [TableJson, TableOpenInference])
def test_what_is_missing_is_null(wire: Any) -> None:
    place = (URL, NUMBER) if wire is TableJson else ("https://models.example", "dose", NUMBER)
    rows = np.full((1, 3), np.nan)
    body = json.loads(wire(*place).request(NUMBER.decode(np.concatenate([ROWS[:1], rows]))).content)
    if wire is TableJson:
        assert body["inputs"][1] == {"age": None, "gene": None, "smokes": None}
    else:
        assert [one["data"] for one in body["inputs"]] == [[0.0, None], ["AA", None], [False, None]]
        assert [one["datatype"] for one in body["inputs"]] == ["FP64", "BYTES", "BOOL"]


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        (CLASS, ["high", "low"]),
        (WHOLE, [0, 1]),
        (WHOLE, [0.0, 1.0]),
        (WHOLE, ["0", "1"]),
        (FLOATS, [0, 1]),
    ],
)
def test_classes_are_named_as_servers_name_them(schema: Schema, said: list[Any]) -> None:
    server = Server(lambda table: {"predictions": [said[int(one)] for one in table["smokes"]]})
    target = _target(server, TableJson(URL, schema))
    assert target.predict(ROWS).tolist() == ROWS[:, 2].tolist()
    target.close()


def _scores(table: pd.DataFrame) -> list[list[float]]:
    return [[0.25, 0.75] if one else [0.9, 0.1] for one in table["smokes"]]


@pytest.mark.parametrize("form", ["lists", "names", "flat"])
def test_scores_come_in_many_forms(form: str) -> None:
    wire: TableWire
    if form == "flat":
        server = Server(
            lambda table: {
                "outputs": [{"name": "predict_proba", "data": np.ravel(_scores(table)).tolist()}]
            }
        )
        wire = TableOpenInference(
            "https://models.example", "risk", CLASS, answers="scores", output="predict_proba"
        )
    elif form == "names":
        server = Server(
            lambda table: {"scores": [{"low": low, "high": high} for high, low in _scores(table)]}
        )
        wire = TableJson(URL, CLASS, answers="scores")
    else:
        server = Server(lambda table: {"out": {"p": _scores(table)}})
        wire = TableJson(URL, CLASS, answers="scores", path="out.p")
    target = _target(server, wire)
    np.testing.assert_allclose(target.scores(ROWS), _scores(CLASS.decode(ROWS)))
    assert target.predict(ROWS).tolist() == ROWS[:, 2].tolist()
    assert target.has_scores
    target.close()


def test_the_ledger_says_what_the_server_saw_whatever_fails() -> None:
    server = Server(lambda table: {"predictions": _dose(table).tolist()})
    server.script = [503, None, 500]
    target = _target(server, TableJson(URL, NUMBER))
    ledger = QueryLedger(10)
    view = TableView(target, Access.LABEL, ledger)
    np.testing.assert_allclose(view.predict(ROWS, np.arange(10)), EXPECTED)
    assert server.rows == ledger.total > 10
    tight = TableView(target, Access.LABEL, QueryLedger(10, Limit(total=9)))
    before = server.rows
    with pytest.raises(BudgetExhausted):
        tight.predict(ROWS, np.arange(10))
    assert server.rows == before
    target.close()


def test_an_attack_over_the_network_gives_what_one_in_process_does() -> None:
    server = Server(lambda table: {"predictions": _dose(table).tolist()})
    target = _target(server, TableJson(URL, NUMBER))
    known = ROWS.copy()
    known[:, 1] = np.nan
    view = TableView(target, Access.LABEL, QueryLedger(10))
    *_, last = MapAttack().run(
        view,
        UniformPrior(Candidates.of(NUMBER)),
        Records(known, EXPECTED),
        Errors(1.0, None),
        rng=np.random.default_rng(0),
    )
    assert last.posterior.argmax(axis=1).tolist() == ROWS[:, 1].tolist()
    assert view.ledger.total == server.rows == 30
    target.close()


@pytest.mark.parametrize(
    ("answer", "schema", "answers", "expected"),
    [
        ([1, 2], NUMBER, "predictions", "it has nothing at path 'predictions'"),
        ({"predictions": [1.0]}, NUMBER, "predictions", "should have length 4, not 1"),
        ({"predictions": ["x"] * 4}, NUMBER, "predictions", "something else than numbers"),
        ({"predictions": [None] * 4}, NUMBER, "predictions", "something else than numbers"),
        ({"predictions": ["none"] * 4}, CLASS, "predictions", "it names a class 'none'"),
        ({"scores": [[0.5]] * 4}, CLASS, "scores", "should have length 2, not 1"),
        ({"scores": [[3.0, 4.0]] * 4}, CLASS, "scores", ""),
        ({"scores": [{"high": 1.0}] * 4}, CLASS, "scores", "a row names 1 classes"),
    ],
)
def test_answers_that_are_none(answer: object, schema: Schema, answers: Any, expected: str) -> None:
    target = _target(Server(lambda table: answer), TableJson(URL, schema, answers=answers))
    with pytest.raises(TargetError) as caught:
        target.predict(ROWS[:4])
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)
    target.close()


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ({}, "it has no outputs"),
        ({"outputs": []}, "it has no outputs"),
        ({"outputs": [{"name": "other", "data": [1.0] * 4}]}, "no output called 'predict'"),
        ({"outputs": [{"name": "predict", "data": 3}]}, "its data should be a list"),
    ],
)
def test_outputs_that_are_none(answer: object, expected: str) -> None:
    wire = TableOpenInference("https://models.example", "dose", NUMBER, output="predict")
    target = _target(Server(lambda table: answer), wire)
    with pytest.raises(TargetError) as caught:
        target.predict(ROWS[:4])
    assert expected in str(caught.value)
    target.close()


def test_fingerprints_tell_how_a_server_is_asked() -> None:
    server = Server(lambda table: {})
    wires = [
        TableJson(URL, NUMBER),
        TableJson(URL, NUMBER, path="out"),
        TableJson(URL, CLASS, answers="scores"),
        TableOpenInference(URL, "dose", NUMBER),
        TableOpenInference(URL, "dose", NUMBER, version="2"),
    ]
    targets = [_target(server, wire) for wire in wires]
    assert len({target.fingerprint() for target in targets}) == len(wires)
    for target in targets:
        target.close()


@pytest.mark.parametrize(
    ("build", "expected"),
    [
        (
            lambda: HttpTableTarget(TableJson(URL, NUMBER), authorized_by=" "),
            "a remote model is audited only with leave",
        ),
        (
            lambda: HttpTableTarget(TableJson("ftp://x", NUMBER), authorized_by="me"),
            "'ftp://x' is no address",
        ),
        (lambda: TableJson(URL, NUMBER, answers="scores"), "scores of a numeric response 'dose'"),
        (lambda: TableJson(URL, NUMBER, path="a["), "path = 'a[' is no JMESPath expression"),
        (lambda: TableJson(URL, NUMBER, extra={"inputs": 1}), "[target] extra has it already"),
    ],
)
def test_servers_that_cannot_be_asked(build: Callable[[], object], expected: str) -> None:
    with pytest.raises(TargetError) as caught:
        build()
    assert expected in str(caught.value)


PLAN = """\
[run]
name = "served"
authorized_by = "me, owner"
[target]
kind = "http"
protocol = "v2"
url = "http://127.0.0.1:9"
model = "dose"
response = "progression"
[private]
table = "diabetes"
rows = "0:300"
sensitive = "sex"
[public]
table = "diabetes"
rows = "300:"
[[attack]]
name = "map"
"""


def test_a_served_model_in_a_plan(tmp_path: Path) -> None:
    path = tmp_path / "plan.toml"
    path.write_text(PLAN)
    plan = read_plan(path)
    assert isinstance(plan, TablePlan)
    assert isinstance(plan.target, TableHttpSection)
    job = load_job(path, Reporter(shown=False))
    assert job.facts().target == TargetRecord(name="http://127.0.0.1:9", kind="http")
    assert len(job.keys("1")) == 1


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ('authorized_by = "me, owner"\n', "", "audited only with leave"),
        ('model = "dose"\n', "", "[target] model is missing"),
        ('protocol = "v2"', 'protocol = "v3"', "target.protocol: input should be 'json' or 'v2'"),
        ('model = "dose"', 'modle = "dose"', "unknown key target.modle: did you mean 'model'"),
        ('model = "dose"', 'model = "dose"\napi_key_env = "NO_SUCH_KEY"', "NO_SUCH_KEY"),
        ('url = "http://127.0.0.1:9"', 'url = "nowhere"', "'nowhere' is no address"),
    ],
)
def test_a_bad_plan_of_a_served_model(tmp_path: Path, old: str, new: str, expected: str) -> None:
    assert old in PLAN
    path = tmp_path / "plan.toml"
    path.write_text(PLAN.replace(old, new))
    with pytest.raises(DarkroomError) as caught:
        load_job(path, Reporter(shown=False))
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)
