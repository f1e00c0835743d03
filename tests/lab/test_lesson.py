"""The lesson: what it asks can be done on the pages, and what it answers was measured."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest
from tests.lab.conftest import Lab
from tests.lab.test_develop import judged, until

from darkroom.lab.lesson.others import EXPERIMENTS
from darkroom.lab.lesson.questions import BY_KEY, QUESTIONS

if TYPE_CHECKING:
    from playwright.sync_api import Page


@pytest.fixture
def client(lab: Lab) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=lab.address, timeout=60) as opened:
        opened.get(lab.opened)
        yield opened


def measured(client: httpx.Client, question: str) -> dict[str, Any]:
    """Measures an answer, and returns it."""
    with client.stream("POST", "/lesson/experiments", json={"question": question}) as answer:
        assert answer.status_code == 200, answer.read()
        events = [json.loads(line) for line in answer.iter_lines() if line]
    assert events[-1] == {"event": "ended", "why": "done", "sentence": "Measured."}, events[-1]
    found: dict[str, Any] = next(one for one in events if one["event"] == "answer")
    return found


def test_every_question_has_its_experiment() -> None:
    assert EXPERIMENTS.keys() == BY_KEY.keys()


@pytest.mark.medium
def test_every_step_sets_knobs_that_are_there(client: httpx.Client) -> None:
    pages: dict[str, str] = {}
    for step in (step for question in QUESTIONS for step in question.steps):
        path = urlsplit(step.path).path
        page = pages.setdefault(path, client.get(path).text)
        for name, value in parse_qsl(urlsplit(step.path).query):
            assert f'name="{name}"' in page, step
            assert f'value="{value}"' in page or value in ("on", "off"), step


@pytest.mark.medium
def test_what_is_measured_is_what_the_attack_finds(lab: Lab, client: httpx.Client) -> None:
    judged(lab)
    found = measured(client, "average")
    assert len(found["rows"]) == 6
    assert all(len(row) == len(found["columns"]) for row in found["rows"])
    names = lab.studio.subject.private.names
    assert [row[0] for row in found["rows"]] == list(names)
    # The model is surer of its people at the end than of an average of strangers.
    sure = [[float(re.sub("[<>%]", "", row[place])) for row in found["rows"]] for place in (1, 3)]
    assert sum(sure[0]) < sum(sure[1])
    assert client.get("/lesson/answers").json()["average"] == found


@pytest.mark.medium
def test_a_model_that_is_trained_with_privacy_is_another_model(
    lab: Lab, client: httpx.Client
) -> None:
    judged(lab)
    found = measured(client, "privacy")
    assert found["rows"][0][1:] != found["rows"][1][1:]


@pytest.mark.medium
def test_an_experiment_ends_with_its_stream(lab: Lab, client: httpx.Client) -> None:
    judged(lab)
    running = lab.state.lesson.running.works
    with client.stream("POST", "/lesson/experiments", json={"question": "rounding"}) as answer:
        lines = answer.iter_lines()  # the stream is closed with what reads it
        identity = json.loads(next(lines))["identity"]
        work = running[identity]
    until(lambda: identity not in running)
    assert work.join(10)
    assert work.ended.why == "stopped"


@pytest.mark.medium
def test_a_question_that_there_is_not_gets_a_sentence(client: httpx.Client) -> None:
    answer = client.post("/lesson/experiments", json={"question": "none"})
    assert (answer.status_code, "question" in answer.json()["sentence"]) == (404, True)


@pytest.mark.medium
def test_the_lesson_is_gone_through_and_printed(lab: Lab, page: Page) -> None:
    judged(lab)
    page.get_by_role("link", name="Lesson").click()
    section = page.locator("#average")
    section.get_by_role("textbox").fill("Nobody, I think.")
    section.get_by_role("button", name="Measure").click()
    section.locator(".measured table tr").nth(6).wait_for()
    assert section.locator(".meaning").is_visible()
    section.get_by_role("link").first.click()
    page.locator("#start:enabled").wait_for()
    assert page.locator("#prior").input_value() == "eigenfaces"
    page.go_back()
    section.locator(".measured table").wait_for()
    page.emulate_media(media="print")
    assert section.get_by_text("Nobody, I think.").last.is_visible()
    assert section.locator(".measured table").is_visible()
    assert not section.get_by_role("textbox").is_visible()
    assert not section.get_by_role("button").first.is_visible()
    # On paper it is dark on white and as wide as the sheet, also for who reads light on dark.
    page.emulate_media(media="print", color_scheme="dark")
    ink = "parseInt(getComputedStyle(document.querySelector('h1')).color.match(/\\d+/)[0])"
    assert page.evaluate(ink) < 60
    page.set_viewport_size({"width": 700, "height": 900})
    assert page.evaluate("document.documentElement.scrollWidth") <= 700
