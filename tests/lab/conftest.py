"""A lab of tiny people, served to a real browser."""

from __future__ import annotations

import json
import shutil
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from tests.support.needs import absent, needed
from tests.support.served import served

from darkroom.lab.application import application
from darkroom.lab.studio.loading import Studio

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

TOKEN = "a-token-for-tests"

HOSTILE = "<img src=x onerror=\"document.title='broken'\">"
"""A class whose name would run a script, were it taken for markup."""

NAMES = [HOSTILE, "Ada", "Ben", "Cleo", "Dan", "Eve"]


TABLE = """\
[run]
name = "demo-table"
out = "{out}"

[target]
kind = "sklearn"
load = "darkroom.demo.tables:progression_trees"
response = "progression"

[private]
table = "diabetes"
rows = "230:290"
sensitive = "sex"
trained_on = "0:20"

[public]
table = "diabetes"
rows = "320:"

[[attack]]
name = "map"

[[attack]]
name = "tree-counts"
"""


class Lab(NamedTuple):
    """A running lab.

    Attributes:
        address: Without a slash at the end.
        studio: Its model and judges.
        running: The attacks that are not over, by identity.
        state: What the application holds.
        folder: Where its plan is, and its runs.
    """

    address: str
    studio: Studio
    running: dict[str, Any]
    state: Any
    folder: Path

    @property
    def opened(self) -> str:
        """The address with the token."""
        return f"{self.address}/?token={TOKEN}"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory, finished_folder: Path) -> Iterator[Lab]:
    """A lab with judges, whose first person has a hostile name."""
    folder = tmp_path_factory.mktemp("lab")
    shutil.copytree(finished_folder, folder, dirs_exist_ok=True)
    text = (folder / "plan.toml").read_text()
    text = text.replace('out = "runs"', f'out = "{(folder / "runs").as_posix()}"')
    text = text.replace(
        'images = "people.npz"', f'images = "people.npz"\nclasses = {json.dumps(NAMES)}'
    )
    # Attacks go on until they are ended.
    text = text.replace("steps = 12", "steps = 400\nsettle = 400")
    (folder / "plan.toml").write_text(text)
    table = folder / "runs" / "demo-table-inputs"
    table.mkdir()
    out = (folder / "runs").as_posix()
    (table / "plan.toml").write_text(TABLE.format(out=out))
    studio = Studio(lambda _: folder / "plan.toml")
    app = application(studio, folder / "runs", TOKEN)
    with served(app) as address:
        assert studio.wait(60)
        assert not studio.mistake
        yield Lab(address, studio, app.state.develop.running.works, app.state, folder)
    # PyTorch aborts a process that ends while a thread is in it.
    for one in threading.enumerate():
        if one.name in ("loading", "attack", "guesses", "search", "experiment"):
            one.join(30)
    sys.modules.pop("tiny_model", None)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """The system's Chromium; while it is there, no other test can have an event loop."""
    playwright = needed("playwright.sync_api")
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None:
        absent("Chromium is not installed: run apt-get install chromium")
    arguments = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=found, args=arguments)
        yield opened
        opened.close()


@pytest.fixture
def page(lab: Lab, browser: Browser) -> Iterator[Page]:
    """The lab as one opens it, when attacks can be started."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    opened = context.new_page()
    problems: list[str] = []
    opened.on("pageerror", lambda error: problems.append(str(error)))
    opened.on("console", lambda line: problems.extend([line.text] * (line.type == "error")))
    opened.goto(lab.opened)
    opened.locator("#start:enabled").wait_for()
    yield opened
    context.close()
    assert not problems
