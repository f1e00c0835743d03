"""What the page tells of a patient is what the audit's own code finds."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import httpx
import numpy as np
import pytest
from tests.lab.conftest import Lab
from tests.lab.test_develop import until

from darkroom.ledger import QueryLedger
from darkroom.tables.attacks.base import Records
from darkroom.tables.targets.view import TableView

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.medium


@pytest.fixture
def client(lab: Lab) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=lab.address, timeout=30) as opened:
        opened.get(lab.opened)
        opened.get("/attributes")
        until(lambda: opened.get("/attributes/model").json()["ready"], 30)
        yield opened


def patient(client: httpx.Client, who: str, place: int, attack: str = "map") -> dict[str, Any]:
    found: dict[str, Any] = client.get(f"/attributes/patients/{who}/{place}?attack={attack}").json()
    return found


@pytest.mark.parametrize("who", ["members", "others"])
def test_posterior_answers_and_imputation_are_the_audits(
    lab: Lab, client: httpx.Client, who: Any
) -> None:
    shown = patient(client, who, 3)
    table = lab.state.attributes.model.job
    subject = table.job.subject
    plan = table.attacks["map"].plan
    records = subject.records(who)
    one = Records(records.known[3:4], records.response[3:4])
    prior = table.job.fit_prior(plan, subject, lambda *_: None)
    view = TableView(subject.target, plan.access, QueryLedger(1))
    rng = np.random.default_rng(0)
    *_, last = plan.attack.run(view, prior, one, subject.errors, rng=rng)
    np.testing.assert_allclose([v["posterior"] for v in shown["values"]], last.posterior[0])
    assert shown["queries"] == int(last.queries[0]) == len(shown["values"])
    row = subject.part(who).rows[3]
    answers = subject.target.predict(subject.candidates.fill(row[None]))
    told = [float(v["answer"]) for v in shown["values"]]
    np.testing.assert_allclose(told, answers, rtol=1e-3)
    imputed = [v["imputed"] for v in shown["values"]]
    np.testing.assert_allclose(imputed, table.bench.imputed[who].chances[3])
    assert len(set(np.round(imputed, 6))) > 1


def test_a_row_is_told_without_what_is_hidden_of_it(lab: Lab, client: httpx.Client) -> None:
    subject = lab.state.attributes.model.job.job.subject
    shown = patient(client, "members", 0)
    assert shown["sensitive"] == "sex"
    assert "sex" not in [one["column"] for one in shown["known"]]
    assert "truth" not in json.dumps(shown)
    truth = client.get("/attributes/patients/members/0/truth").json()["truth"]
    assert truth == subject.candidates.labels[subject.truth("members")[0]]


@pytest.mark.medium
def test_who_has_learned_from_them_gives_members_away_and_not_others(client: httpx.Client) -> None:
    attacks = client.get("/attributes/model").json()["attacks"]
    right = {one["attack"]: one["right"] for one in attacks}["map"]
    assert right["members"]["advantage"]["low"] > 0
    assert right["others"]["advantage"]["low"] <= 0


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/attributes/patients/members/99?attack=map", 409),
        ("/attributes/patients/members/0?attack=none", 409),
        ("/attributes/patients/strangers/0?attack=map", 404),
        ("/attributes/patients/members/99/truth", 409),
    ],
)
def test_whom_there_is_not_gets_a_sentence(client: httpx.Client, path: str, status: int) -> None:
    answer = client.get(path)
    assert answer.status_code == status
    assert "\n" not in answer.json()["sentence"]


def test_a_patient_is_guessed_and_then_revealed(lab: Lab, page: Page) -> None:
    page.get_by_role("link", name="Attributes").click()
    page.locator("#bench").wait_for()
    page.locator("#values tr").nth(1).wait_for()
    assert page.locator(".hidden-value dd").inner_text() == "hidden"
    shares = page.locator("#values td.share .figure").all_inner_texts()
    assert len(shares) == 4
    assert all(one.endswith("%") for one in shares)
    page.get_by_role("button", name="Show the truth").click()
    page.get_by_text("you looked at").wait_for()
    truth = page.locator(".hidden-value dd").inner_text()
    assert page.locator("#values tr.is-true th").inner_text().startswith(truth)
    assert (
        truth
        == lab.state.attributes.model.job.job.subject.candidates.labels[
            lab.state.attributes.model.job.job.subject.truth("members")[0]
        ]
    )
    page.get_by_role("button", name="Next patient").click()
    page.get_by_role("heading", name="Patient 2 of").wait_for()
    assert page.locator(".hidden-value dd").inner_text() == "hidden"
    page.get_by_label("The model never saw them").check()
    page.get_by_role("heading", name="of 40").wait_for()
    page.locator("#place").fill("40")
    page.keyboard.press("Tab")
    page.get_by_role("heading", name="Patient 40 of").wait_for()
    page.get_by_role("button", name="Next", exact=True).click()
    page.get_by_role("heading", name="Patient 1 of").wait_for()
    page.get_by_label("Has the model").check()
    page.get_by_text("adds").wait_for()
