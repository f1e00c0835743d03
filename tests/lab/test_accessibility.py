"""Every page by the rules that axe checks, light and dark, and by its width."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
from tests.lab.conftest import Lab
from tests.support.needs import benched

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.medium

PAGES = ("develop", "defend", "secrets", "attributes", "lesson", "runs", "runs/tiny")


@pytest.fixture
def unguarded(lab: Lab, browser: Browser, scheme: str) -> Iterator[Page]:
    """A page into which axe can be put, which the lab's own policy forbids."""
    context = browser.new_context(
        bypass_csp=True, color_scheme="dark" if scheme == "dark" else "light"
    )
    opened = context.new_page()
    opened.goto(lab.opened)
    yield opened
    context.close()


@pytest.mark.parametrize("scheme", ["light", pytest.param("dark", marks=pytest.mark.slow)])
def test_axe_finds_nothing(lab: Lab, unguarded: Page) -> None:
    axe = benched("axe_playwright_python.sync_playwright").Axe()
    found: dict[str, list[Any]] = {}
    for path in PAGES:
        unguarded.goto(f"{lab.address}/{path}")
        ready = {"attributes": "#values tr", "develop": "#start:enabled", "defend": "#held"}
        if path in ready:
            unguarded.locator(ready[path]).first.wait_for(state="attached")
        problems = axe.run(unguarded).response["violations"]
        if problems:
            found[path] = [
                (one["id"], [node["html"][:120] for node in one["nodes"]]) for one in problems
            ]
    assert not found


@pytest.mark.parametrize("scheme", ["light"])
def test_axe_finds_what_is_wrong(unguarded: Page) -> None:
    axe = benched("axe_playwright_python.sync_playwright").Axe()
    unguarded.evaluate("document.querySelector('main').append(document.createElement('button'))")
    found = [one["id"] for one in axe.run(unguarded).response["violations"]]
    assert found == ["button-name"]


@pytest.mark.parametrize("width", [400, 1280])
def test_no_page_scrolls_sideways(lab: Lab, page: Page, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    for path in PAGES:
        page.goto(f"{lab.address}/{path}")
        page.locator("h1").wait_for()
        if path == "attributes":
            page.locator("#values tr").first.wait_for()
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path


def test_each_page_has_one_heading_a_title_and_a_way_to_the_content(lab: Lab, page: Page) -> None:
    titles = set()
    for path in PAGES:
        page.goto(f"{lab.address}/{path}")
        assert page.locator("h1").count() == 1
        titles.add(page.title())
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.className") == "skip"
        if path != "runs/tiny":
            assert page.locator("nav [aria-current=page]").count() == 1
    assert len(titles) == len(PAGES)
