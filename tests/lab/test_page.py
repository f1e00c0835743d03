"""The page where a face emerges, in a real browser, as a person would use it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from tests.lab.conftest import HOSTILE, Lab
from tests.lab.test_develop import judged, pixels, until

from darkroom.lab.studio.choosing import Studios

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

pytestmark = pytest.mark.medium


def choose(page: Page, *people: int) -> None:
    """Chooses people by their boxes."""
    for box in page.locator(".names input").all():
        box.set_checked(int(box.get_attribute("value") or -1) in people)


def start(page: Page, *people: int, **knobs: str) -> Locator:
    """Starts an attack and waits for its first picture."""
    choose(page, *people)
    for name, value in knobs.items():
        if name == "access":
            page.locator(f"input[name=access][value={value}]").check()
        else:
            page.locator(f"#{name}").select_option(value)
    page.get_by_role("button", name="Start").click()
    sitter = page.locator(".sitter").first
    sitter.locator(".shown img[src]").wait_for()
    return sitter


def shown(sitter: Locator) -> dict[str, Any]:
    """Reads picture and confidence at one moment."""
    read = "e => ({picture: e.querySelector('.shown img').src, confidence: +e.dataset.confidence})"
    found: dict[str, Any] = sitter.evaluate(read)
    return found


def wait(page: Page, condition: str) -> None:
    """Waits for a condition; Playwright's own way needs what the page's policy forbids."""
    until(lambda: page.evaluate(condition))


def running(lab: Lab) -> int:
    return sum(attack.ended is None for attack in lab.running.values())


def test_a_face_emerges_and_the_confidence_is_the_models(lab: Lab, page: Page) -> None:
    judged(lab)
    page.locator("#loading").wait_for(state="hidden")
    sitter = start(page, 2)
    first = shown(sitter)
    wait(page, "+document.getElementById('sitters').dataset.frames > 5")
    later = shown(sitter)
    assert later["picture"] != first["picture"]
    for one in (first, later):
        scores = lab.studio.subject.target.scores((pixels(one) / 255).astype(np.float32))
        assert one["confidence"] == pytest.approx(scores[0, 2], abs=1e-9)
    assert sitter.locator(".votes li").count() == 3
    assert re.fullmatch(r"\d+", sitter.locator(".queries").inner_text())
    assert sitter.get_by_role("meter").get_attribute("aria-valuetext")
    page.get_by_role("button", name="Stop").click()
    page.locator("#stop:disabled").wait_for()
    until(lambda: running(lab) == 0)


def test_pause_step_and_rewind(lab: Lab, page: Page) -> None:
    sitter = start(page, 1)
    page.locator(".strip button").nth(3).wait_for()
    page.get_by_role("button", name="Pause").click()
    sitter.get_by_text("Paused at").wait_for()
    before = int(sitter.get_attribute("data-queries") or 0)
    page.get_by_role("button", name="Step").click()
    wait(page, f"+document.querySelector('.sitter').dataset.queries > {before}")
    live = shown(sitter)["picture"]
    page.locator(".strip button").first.click()
    sitter.get_by_text("Where the attack begins").wait_for()
    begun = shown(sitter)["picture"]
    assert begun != live
    assert page.locator("#rewind").input_value() == "0"
    page.locator("#rewind").press("ArrowRight")
    sitter.get_by_text("Best after").wait_for()
    page.get_by_role("button", name="Back to the live picture").click()
    # The picture that is tried now: where a milestone came with the step, not that of the best.
    sitter.get_by_text("Paused at").wait_for()
    assert shown(sitter)["picture"] != begun
    page.get_by_role("button", name="Go on").click()
    wait(page, f"+document.querySelector('.sitter').dataset.queries > {before + 5}")


def test_the_real_photo_is_hidden_until_asked_for(page: Page) -> None:
    sitter = start(page, 1)
    truth = sitter.locator(".truth")
    assert truth.is_hidden()
    assert truth.locator("img").get_attribute("src") is None
    sitter.get_by_role("button", name="Show the real photo").click()
    truth.locator("img[src]").wait_for()
    assert truth.is_visible()
    sitter.get_by_role("button", name="Hide the real photo").click()
    assert truth.is_hidden()


def test_noise_that_fools_the_model_stands_beside(lab: Lab, page: Page) -> None:
    judged(lab)
    page.get_by_text("Beside it, noise that fools the model").click()
    start(page, 1, pace="full")
    noise = page.locator(".sitter[data-noise=true]")
    noise.get_by_text("sure of this too").wait_for()
    noise.locator(".votes li").first.wait_for()
    assert "recovered." not in noise.locator(".outcome").inner_text().replace("not recovered.", "")
    assert noise.get_by_role("button", name="Show the real photo").count() == 0


def test_several_people_at_once(page: Page) -> None:
    start(page, 1, 2, 4)
    assert page.locator(".sitter h2").all_inner_texts() == ["Ada", "Ben", "Dan"]
    wait(page, "+document.getElementById('sitters').dataset.frames > 3")
    pictures = {shown(one)["picture"] for one in page.locator(".sitter").all()}
    assert len(pictures) == 3


def test_the_model_of_a_run_is_attacked_where_it_is_chosen(lab: Lab, page: Page) -> None:
    page.locator("#run").select_option("tiny")
    wait(page, "!document.querySelector('.names').innerText.includes('Ada')")
    page.locator("#start:enabled").wait_for()
    sitter = start(page, 1)
    assert sitter.locator("h2").inner_text() == "person-1"
    told, studio = shown(sitter), Studios(lab.studio, lab.folder / "runs").of("tiny")
    assert studio.wait(60)
    scores = studio.subject.target.scores((pixels(told) / 255).astype(np.float32))
    assert told["confidence"] == pytest.approx(scores[0, 1], abs=1e-9)
    sitter.get_by_role("button", name="Show the real photo").click()
    sitter.locator(".truth img[src]").wait_for()
    page.locator("#run").select_option("")
    wait(page, "document.querySelector('.names').innerText.includes('Ada')")
    until(lambda: running(lab) == 0)  # whoever turns to another model has left that one


def test_a_page_that_is_closed_ends_its_attack_and_no_others(
    lab: Lab, page: Page, browser: Browser
) -> None:
    start(page, 1)
    context = browser.new_context()
    other = context.new_page()
    other.goto(lab.opened)
    other.locator("#start:enabled").wait_for()
    start(other, 2)
    until(lambda: running(lab) == 2)
    context.close()
    until(lambda: running(lab) == 1)
    frames = page.evaluate("+document.getElementById('sitters').dataset.frames")
    wait(page, f"+document.getElementById('sitters').dataset.frames > {frames + 2}")
    page.goto("about:blank")
    until(lambda: running(lab) == 0)


def test_a_hostile_name_is_text(page: Page) -> None:
    sitter = start(page, 0)
    assert sitter.locator("h2").inner_text() == HOSTILE
    assert sitter.locator("h2 img").count() == 0
    assert page.title().startswith("Develop")


def test_it_is_used_by_keyboard_alone(page: Page) -> None:
    page.locator(".names input").nth(1).focus()
    page.keyboard.press("Space")
    for _ in range(20):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.id") == "start":
            break
    page.keyboard.press("Enter")
    page.locator(".sitter .shown img[src]").first.wait_for()
    assert page.evaluate("document.activeElement.id") == "start"


def test_every_control_has_a_name(page: Page) -> None:
    start(page, 1)
    unnamed = """() => [...document.querySelectorAll('button, input, select')].filter(e => {
        const labels = e.labels ? [...e.labels].map(l => l.textContent).join('') : '';
        return !(labels.trim() || e.getAttribute('aria-label') || e.textContent.trim());
    }).map(e => e.outerHTML)"""
    assert page.evaluate(unnamed) == []
    assert page.locator("#spoken[aria-live=polite]").inner_text()


@pytest.mark.parametrize("width", [400, 1280])
def test_no_page_scrolls_sideways(page: Page, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    start(page, 0, 1)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
