"""All runs of a folder, on pages that need no server, and several defences side by side."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest
from tests.lab.conftest import Lab
from tests.lab.test_develop import judged

from darkroom.errors import RunError
from darkroom.lab.runs.export import export
from darkroom.report.results import collect

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page


def test_runs_are_listed_and_shown_with_what_they_came_to(lab: Lab, finished_folder: Path) -> None:
    verdict = collect(finished_folder / "runs" / "tiny").verdict
    with httpx.Client(base_url=lab.address, follow_redirects=True) as client:
        client.get(lab.opened)
        listed, one = client.get("/runs").text, client.get("/runs/tiny").text
        report = client.get("/runs/tiny/report.html")
        for name in ("..", "none", "%2e%2e", ".darkroom"):
            assert client.get(f"/runs/{name}/results.json").status_code == 404
        compared = client.get("/compared?before=tiny&after=tiny")
    assert 'href="/runs/tiny"' in listed
    for page in (listed, one):
        assert f'<span class="badge">{verdict.outcome}</span>' in page
        assert "style=" not in page
    assert "<polyline" in one
    assert "sandbox" in report.headers["content-security-policy"]
    assert "What changed" in compared.text


def test_exported_pages_lead_to_one_another_and_nowhere_else(
    tmp_path: Path, finished_folder: Path, undrawn: None
) -> None:
    runs = tmp_path / "runs"
    for name in ("tiny", "again"):
        shutil.copytree(finished_folder / "runs" / "tiny", runs / name)
    folder = tmp_path / "share"
    assert export(runs, folder) == 2
    pages = {path.name: path.read_text() for path in folder.glob("*.html")}
    assert {"index.html", "run-tiny.html", "report-tiny.html"} <= pages.keys()
    assert any(name.startswith("compared-") for name in pages)
    for name, page in pages.items():
        assert "<script" not in page
        if not name.startswith("report-"):
            for link in re.findall(r'(?:href|src)="([^"#]+)', page):
                assert (folder / link).exists(), (name, link)
    assert (folder / "index.html").stat().st_mode & 0o077 == 0


def test_nothing_is_exported_where_no_run_is_done(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="darkroom demo"):
        export(tmp_path / "runs", tmp_path / "share")
    assert not (tmp_path / "share").exists()


@pytest.mark.medium
def test_exported_pages_are_read_without_a_server(
    tmp_path: Path, finished_folder: Path, browser: Browser, undrawn: None
) -> None:
    export(finished_folder / "runs" / "tiny", tmp_path / "share")
    context = browser.new_context(viewport={"width": 400, "height": 800})
    page = context.new_page()
    page.goto((tmp_path / "share" / "index.html").as_uri())
    page.get_by_role("link", name="tiny").click()
    assert page.locator("h1").inner_text() == "tiny"
    assert page.evaluate("document.documentElement.scrollWidth") <= 400
    background = "getComputedStyle(document.querySelector('section')).backgroundColor"
    assert page.evaluate(background) == "rgb(255, 255, 255)"
    context.close()


@pytest.mark.medium
def test_defences_stand_side_by_side_and_a_limit_turns_queries_into_days(
    lab: Lab, page: Page
) -> None:
    judged(lab)
    page.goto(f"{lab.address}/defend")
    page.locator("#start:enabled").wait_for()
    page.get_by_role("button", name="Start").click()
    page.locator(".sitter .shown img[src]").nth(2).wait_for()
    names = page.locator(".sitter h2").all_inner_texts()
    assert names == ["None", "Round to 1 digit", "The name alone"]
    rows = page.locator("#held tr")
    rows.filter(has_text="day").first.wait_for()
    page.get_by_role("button", name="Stop").click()
    page.locator("#stop:disabled").wait_for()
    queries = int(rows.first.locator("td").first.inner_text().replace(",", ""))
    assert queries > 0
    for rate, words in (("3", 10), ("12", 10_000)):
        page.locator("#per-day").fill(rate)
        shown = rows.first.locator("td").nth(1).inner_text()
        days = queries / words
        unit = "minute" if days < 1 / 24 else "hour" if days < 1 else "day"
        assert unit in shown
