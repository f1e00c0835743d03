"""Servers that compare faces or make templates as targets: JSON, forms, keys and failures."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from tests.support.served import served
from tests.verifiers.conftest import SPEC, photos_of, write_photos
from tests.verifiers.services import FaceService

from darkroom.auditing.progress import Reporter
from darkroom.errors import PlanError, TargetError
from darkroom.kinds import load_job
from darkroom.ledger import QueryLedger
from darkroom.runs import Run, audit_plan, check_plan
from darkroom.verifiers.record import VerifierCell
from darkroom.verifiers.targets.http import HttpEncoder, HttpVerifier, connected
from darkroom.verifiers.targets.metrics import Metric
from darkroom.verifiers.targets.wire import FaceWire

PHOTO = photos_of(1, 1, 1).images
NAMES = tuple(f"person-{number}" for number in range(6))


@pytest.fixture(scope="module")
def service() -> FaceService:
    return FaceService(SPEC)


@pytest.fixture(scope="module")
def url(service: FaceService) -> Iterator[str]:
    with served(service) as address:
        yield address


def verifier(wire: FaceWire, answer: Callable[[httpx.Request], Any] | None = None) -> HttpVerifier:
    transport = None
    if answer is not None:

        def respond(request: httpx.Request) -> httpx.Response:
            status, body = answer(request)
            return httpx.Response(status, content=json.dumps(body).encode())

        transport = httpx.MockTransport(respond)
    line = connected(wire, authorized_by="the tests", transport=transport)
    return HttpVerifier(wire, line, NAMES, Metric.COSINE)


@pytest.mark.parametrize(
    ("path", "form"),
    [("compare", False), ("compare", True), ("people/{id}/compare", False)],
)
def test_scores_are_those_of_the_server(
    path: str, form: bool, url: str, service: FaceService
) -> None:
    target = verifier(FaceWire(f"{url}/{path}", SPEC, form=form, no_face="no face"))
    photos = photos_of(6, 1, 1)
    found = target.scores(photos.images, photos.people)
    told = service.verifier.scores(photos.images, photos.people)
    assert found == pytest.approx(told, abs=5e-3)  # a PNG has 256 levels
    assert target.scores(np.zeros((1, *SPEC.shape), np.float32), photos.people[:1]) == [-np.inf]
    assert target.scores(photos.images[:0], photos.people[:0]).shape == (0,)
    target.close()


def test_templates_are_compared_here(url: str, service: FaceService) -> None:
    wire = FaceWire(f"{url}/embed", SPEC, answers="template", form=True, no_face="no face")
    encoder = HttpEncoder(wire, connected(wire, authorized_by="the tests"))
    photos = photos_of(3, 1, 1).images
    assert encoder.templates(photos) == pytest.approx(
        service.verifier.encoder.templates(photos), abs=2e-2
    )
    both = encoder.templates(np.concatenate([photos[:1], np.zeros_like(photos[:1])]))
    assert np.isfinite(both[0]).all()
    assert np.isnan(both[1]).all()
    assert encoder.size == 24
    encoder.close()


def test_every_row_is_charged_to_whom_it_is_about(url: str, service: FaceService) -> None:
    target = verifier(FaceWire(f"{url}/compare", SPEC))
    before, ledger = service.rows.copy(), QueryLedger(6)
    goals = np.array([0, 2, 2, 5])
    with target.billed(ledger.bill(goals)):
        target.scores(photos_of(4, 1, 1).images, goals)
    assert ledger.spent.tolist() == [1, 0, 2, 0, 0, 1]
    assert service.rows - before == {"person-0": 1, "person-2": 2, "person-5": 1}
    target.close()


@pytest.mark.medium
def test_rows_are_charged_again_when_the_server_fails() -> None:
    failures = iter([(503, {}), *[(200, {"score": 0.5})] * 9])
    target = verifier(FaceWire("http://h/compare", SPEC), lambda _: next(failures))
    ledger = QueryLedger(6)
    goals = np.array([1])
    with target.billed(ledger.bill(goals)):
        assert target.scores(photos_of(1, 1, 1).images, goals) == [0.5]
    assert ledger.total == 2
    target.close()


@pytest.mark.parametrize(
    ("keys", "answer", "said"),
    [
        ({}, {"score": True}, "its score should be a number, not a boolean"),
        ({}, {"similarity": 1}, "nothing at path 'score'"),
        ({"path": "["}, {}, "no JMESPath expression"),
        ({"answers": "decision"}, {"accepted": "yes"}, "set [target] accepts to the word"),
        ({"extra": {"id": 1}}, {}, "holds something at 'id' already"),
        ({}, [], "nothing at path"),
    ],
)
def test_an_answer_that_is_none_is_one_line(keys: dict[str, Any], answer: Any, said: str) -> None:
    with pytest.raises(TargetError) as told:
        verifier(FaceWire("http://h/compare", SPEC, **keys), lambda _: (200, answer)).met(PHOTO)
    assert said in str(told.value)
    assert "\n" not in str(told.value)


def test_a_photo_without_a_face_ends_an_audit_that_was_not_told_what_says_so() -> None:
    target = verifier(FaceWire("http://h/c", SPEC), lambda _: (422, {"error": "no face found"}))
    with pytest.raises(TargetError, match=r"answered 422.*no face found"):
        target.met(PHOTO)


def test_decisions_may_be_words() -> None:
    wire = FaceWire("http://h/c", SPEC, answers="decision", path="result", accepts="match")
    target = verifier(wire, lambda request: (200, {"result": "match"}))
    photo = photos_of(1, 1, 1).images
    assert target.decisions(photo, np.zeros(1, np.int64)).tolist() == [True]
    assert (target.access, target.metric.unit) == ("decision", "decision")
    target.close()


def test_nothing_is_asked_without_leave() -> None:
    wire = FaceWire("http://h/compare", SPEC)
    with pytest.raises(TargetError, match="audited only with leave"):
        connected(wire, authorized_by="")


PLAN = """\
[run]
name = "gate"
out = "{out}"
authorized_by = "the tests"
[target]
kind = "http"
url = "{url}/compare"
api_key_env = "FACES_KEY"
threshold = 0.8
pairs = 120
no_face = "no face"
{keys}
[private]
enrolled = "enrolled.npz"
enrol = "0:3"
[public]
images = "strangers.npz"
[judges]
steps = 5
[[attack]]
name = "{attack}"
{rows}
"""


@pytest.fixture
def planned(tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    monkeypatch.setenv("FACES_KEY", "secret-of-the-tests")
    write_photos(tmp_path)

    def plan(keys: str = "", attack: str = "evolution", rows: str = "rows = 40") -> Path:
        out = (tmp_path / "runs").as_posix()
        text = PLAN.format(out=out, url=url, keys=keys, attack=attack, rows=rows)
        (tmp_path / "plan.toml").write_text(text)
        return tmp_path / "plan.toml"

    return plan


def cell_of(run: Run) -> VerifierCell:
    (cell,) = run.cells
    assert isinstance(cell, VerifierCell)
    return cell


@pytest.mark.medium
def test_a_plan_of_a_server_that_compares(
    planned: Callable[..., Path], service: FaceService
) -> None:
    run = audit_plan(planned('protocol = "multipart"'), progress=False)
    cell = cell_of(run)
    assert (cell.access, cell.details.operating.pairs) == ("score", 120)
    assert cell.details.other_template is None
    assert cell.queries.total == 6 * 40
    assert "Bearer secret-of-the-tests" in service.authorization
    assert "secret-of-the-tests" not in run.report.read_text()
    assert "none is seen" in run.report.read_text()


@pytest.mark.medium
def test_a_plan_of_a_server_that_decides(planned: Callable[..., Path]) -> None:
    plan = planned('answers = "decision"', "decision")
    text = plan.read_text().replace("/compare", "/decide").replace("threshold = 0.8\n", "")
    plan.write_text(text)
    run = audit_plan(plan, progress=False)
    assert cell_of(run).details.operating.unit == "decision"
    assert "The server decides whom it accepts" in run.report.read_text()
    plan.write_text(text.replace('name = "decision"', 'name = "evolution"'))
    with pytest.raises(PlanError, match="is given decision: choose another attack, such as dec"):
        load_job(plan, Reporter(shown=False)).keys("1")


@pytest.mark.medium
def test_a_plan_of_a_server_that_makes_templates(planned: Callable[..., Path]) -> None:
    plan = planned('answers = "template"', "template", "steps = 5")
    plan.write_text(plan.read_text().replace("/compare", "/embed"))
    found = check_plan(plan, progress=False)
    assert {one.outcome for one in found} <= {"passed", "noted"}


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ('ids = { nobody = "7" }', "ids names 'nobody', who is not enrolled"),
        ('accepts = "yes"', 'accepts goes with answers = "decision"'),
        ('url2 = ""', "unknown key target.url2"),
        ('answers = "decision"', "has a threshold of its own"),
    ],
)
def test_mistakes_are_named(planned: Callable[..., Path], keys: str, said: str) -> None:
    with pytest.raises((PlanError, TargetError)) as told:
        load_job(planned(keys), Reporter(shown=False))
    assert said in str(told.value)
