"""The page where a search for a secret grows, in a real browser."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests.lab.conftest import Lab
from tests.lab.test_develop import until
from tests.lab.test_secrets import job as job

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.medium


@pytest.fixture
def secrets(lab: Lab, job: Any, page: Page) -> Page:
    """The page, on a model that knows its secrets by heart."""
    model = lab.state.secrets.model
    model.open = lambda _: job
    plan = lab.folder / "runs" / "demo-text-inputs" / "plan.toml"
    plan.parent.mkdir(exist_ok=True)
    plan.touch()
    page.goto(f"{lab.address}/secrets")
    page.locator("#bench").wait_for()
    return page


def _start(page: Page, steps: int, **knobs: str) -> None:
    page.locator("#repetitions").fill(str(steps))
    for name, value in knobs.items():
        page.locator(f"#{name}").select_option(value)
    page.get_by_role("button", name="Start").click()


def test_what_was_learned_is_found_by_all_three_and_hidden(job: Any, secrets: Page) -> None:
    page = secrets
    _start(page, 1, pace="full")
    for attack in ("best-first", "sampling", "averaging"):
        page.locator(f"[data-attack={attack}] .outcome.found").wait_for()
    number = int(page.locator("#canary").input_value())
    canary = job.subject.canaries.canaries[number]
    assert canary.repetitions
    assert canary.secret not in page.content()
    assert page.locator("#secret").inner_text() == canary.masked
    assert page.locator("#past tr").count() == 3
    assert page.locator("#tree .dot.right").count() > 3
    page.locator("#reveal").check()
    page.get_by_role("button", name="Start").click()
    page.locator("#secret").get_by_text(canary.secret).wait_for()
    page.locator("[data-attack=sampling] .candidates").get_by_text(canary.secret).wait_for()


def test_what_was_never_there_is_not_found(secrets: Page) -> None:
    page = secrets
    page.locator("[name=beside][value=averaging]").uncheck()
    _start(page, 0, pace="full")
    outcome = page.locator("[data-attack=best-first] .outcome")
    outcome.get_by_text("never in the training data").wait_for()
    assert "found" not in (outcome.get_attribute("class") or "")
    assert page.locator("[data-attack=averaging]").is_hidden()


def test_pause_step_and_leaving(lab: Lab, secrets: Page) -> None:
    page = secrets
    running = lab.state.secrets.running.works
    _start(page, 0)
    asked = page.locator("[data-attack=best-first] .asked")
    until(lambda: int(asked.inner_text()) > 2)
    page.get_by_role("button", name="Pause").click()
    page.get_by_role("button", name="Go on").wait_for()
    until(lambda: all(work.gate.paused for work in running.values()))
    page.wait_for_timeout(300)
    before = int(asked.inner_text())
    page.wait_for_timeout(300)
    assert int(asked.inner_text()) == before
    page.get_by_role("button", name="Step").click()
    until(lambda: int(asked.inner_text()) == before + 1)
    works = list(running.values())
    assert len(works) == 3
    page.goto("about:blank")
    until(lambda: not running)
    assert all(work.join(10) for work in works)
    assert {work.ended.why for work in works} == {"stopped"}


def test_the_slider_is_moved_by_keys(secrets: Page) -> None:
    page = secrets
    page.locator("#repetitions").focus()
    page.keyboard.press("Home")
    assert page.locator("#times").inner_text() == "never"
    page.keyboard.press("ArrowRight")
    assert page.locator("#times").inner_text() == "16 times"
    assert page.locator("#repetitions").get_attribute("aria-valuetext") == "16 times"
