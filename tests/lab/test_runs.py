"""All runs of a folder, on pages that need no server, and several defences side by side."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient
from tests.lab.conftest import Lab
from tests.lab.test_develop import judged, until

from darkroom.errors import RunError
from darkroom.lab.runs.export import export
from darkroom.lab.runs.pages import RunPages
from darkroom.report.results import collect

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page


@pytest.mark.medium
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


@pytest.mark.medium
def test_exported_pages_lead_to_one_another_and_nowhere_else(
    tmp_path: Path, finished_folder: Path
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


@pytest.mark.medium
def test_nothing_is_exported_where_no_run_is_done(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="darkroom demo"):
        export(tmp_path / "runs", tmp_path / "share")
    assert not (tmp_path / "share").exists()


@pytest.mark.medium
def test_exported_pages_are_read_without_a_server(
    tmp_path: Path, finished_folder: Path, browser: Browser
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
    queries = int(rows.first.locator("td").nth(1).inner_text().replace(",", ""))
    assert queries > 0
    for rate, words in (("3", 10), ("12", 10_000)):
        page.locator("#per-day").fill(rate)
        shown = rows.first.locator("td").nth(2).inner_text()
        days = queries / words
        unit = "minute" if days < 1 / 24 else "hour" if days < 1 else "day"
        assert unit in shown


@pytest.mark.medium
def test_a_defence_is_switched_on_and_off_while_the_attack_runs(lab: Lab, page: Page) -> None:
    judged(lab)
    page.goto(f"{lab.address}/defend?defense=none")
    page.locator("#start:enabled").wait_for()
    page.get_by_role("button", name="Start").click()
    page.locator(".sitter .shown img[src]").first.wait_for()
    assert page.locator(".sitter h2").all_inner_texts() == ["None"]
    first = next(iter(lab.running))
    page.get_by_role("checkbox", name="Fresh noise").check()
    page.locator(".sitter .shown img[src]").nth(1).wait_for()
    page.get_by_role("checkbox", name="Trained for flat confidence").check()
    page.locator(".sitter .shown img[src]").nth(2).wait_for()
    until(lambda: len(lab.running) == 3)
    assert first in lab.running
    accuracies = page.locator("#held td:first-of-type").all_inner_texts()
    assert all(one.endswith("%") for one in accuracies), accuracies
    page.get_by_role("checkbox", name="Fresh noise").uncheck()
    until(lambda: len(lab.running) == 2)
    assert first in lab.running
    names = page.locator(".sitter h2").all_inner_texts()
    assert names == ["None", "Trained for flat confidence"]
    page.get_by_role("button", name="Stop").click()
    until(lambda: not lab.running)


@pytest.mark.medium
def test_a_folder_that_is_one_run_is_read_like_one_of_all_runs(finished_folder: Path) -> None:
    pages = RunPages(finished_folder / "runs" / "tiny")
    with TestClient(Starlette(routes=pages.routes)) as client:
        listed = client.get("/runs").text
        (link,) = re.findall(r'href="(/runs/[^"]+)"', listed)
        assert client.get(link).status_code == 200
        assert client.get(f"{link}/results.json").json()["run"]["name"] == "tiny"
        assert client.get(f"{link}/report.html").status_code == 200
        assert client.get("/runs/other").status_code == 404


@pytest.mark.medium
def test_no_two_pairs_of_runs_share_a_page(tmp_path: Path, finished_folder: Path) -> None:
    runs = tmp_path / "runs"
    for name in ("compared", "a-b", "a", "b-compared", "run"):
        shutil.copytree(finished_folder / "runs" / "tiny", runs / name)
    export(runs, tmp_path / "share")
    found = sorted(path.name for path in (tmp_path / "share").glob("compared-*.html"))
    assert len(found) == 4
    index = (tmp_path / "share" / "index.html").read_text()
    for link in re.findall(r'href="([^"#]+)"', index):
        assert (tmp_path / "share" / link).exists(), link


@pytest.mark.medium
def test_a_run_can_be_picked_whose_plan_is_still_there(lab: Lab) -> None:
    with httpx.Client(base_url=lab.address, timeout=30) as client:
        client.get(lab.opened)
        assert '<option value="tiny">' in client.get("/develop").text
        until(lambda: client.get("/develop/studio?run=tiny").json()["ready"])
        state = client.get("/develop/studio?run=tiny").json()
        assert len(state["people"]) == 6
        assert state["people"] != client.get("/develop/studio").json()["people"]
        assert client.get("/develop/studio?run=none").status_code == 404
        assert client.get("/develop/people/1/photo?run=tiny").status_code == 200
