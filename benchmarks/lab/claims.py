"""Claims about the lab, measured in the system's Chromium by Playwright.

The lab is served by a process of its own, as ``darkroom lab`` does. The same attack is run without
a page by another process that does nothing else.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import httpx

from benchmarks.claims import Claim, Outcome, Table, tell
from benchmarks.house.reference import reference_seconds
from benchmarks.lab.lesson import lesson_claims
from darkroom.errors import RunError

if TYPE_CHECKING:
    from playwright.sync_api import Browser, CDPSession, Page

PEOPLE = (0, 1, 2, 3, 4, 5)
"""So many that an attack takes some seconds at full speed."""

WARM = 6
"""Attacks until every kind of attack that is made here has been made once: two accesses, and one to
three people."""

ALONE = """
import json, sys, threading, time
from pathlib import Path
import numpy as np
from darkroom.lab.develop.choices import Choice
from darkroom.lab.develop.parts import assemble
from darkroom.lab.live.processors import together
from darkroom.lab.studio.loading import Studio

studio = Studio(lambda _: Path(sys.argv[1]))
studio.load()
studio.wait()
while studio.bench is None:
    time.sleep(0.1)
known = studio.known("eigenfaces", lambda _: None)
for one in threading.enumerate():
    if one.name == "guesses":
        one.join()
choice = Choice(people=json.loads(sys.argv[2]), access=sys.argv[3], pace="full")

@together
def rows_a_second():
    parts = assemble(choice, studio.job, known.prior)
    begun = time.monotonic()
    rng = np.random.default_rng([0, 1])
    for _ in parts.attack.run(parts.view, parts.prior, parts.goals, rng=rng):
        pass
    return parts.view.ledger.total / (time.monotonic() - begun)

rows_a_second()  # imports what the lab has imported long since
print(rows_a_second())
"""


class Served(NamedTuple):
    """A running lab.

    Attributes:
        address: With its token.
        begun: When it was started, by the monotonic clock.
        pid: Its process.
    """

    address: str
    begun: float
    pid: int


def run(*, quick: bool, seed: int) -> Outcome:
    """Measures the lab; see :mod:`benchmarks.claims`.

    Args:
        quick: Whether to repeat less.
        seed: Not used: the lab's small model has a seed of its own.
    """
    del seed
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        raise RunError("Chromium is not installed: run apt-get install chromium")
    from playwright.sync_api import sync_playwright

    times = 3 if quick else 7
    with (
        tempfile.TemporaryDirectory(prefix="darkroom-lab-") as folder,
        sync_playwright() as started,
    ):
        browser = started.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        out = Path(folder)
        tell("the first start, which makes a small model")
        first = _start(browser, out)
        unit = reference_seconds()
        tell("a later start")
        later = _start(browser, out)
        rows = [_speeds(browser, out, access, times) for access in ("weights", "scores")]
        tell("use for a while")
        grown = _growth(browser, out, seconds=60 if quick else 600)
        browser.close()
        lesson, told = lesson_claims(out, quick=quick)
    claims = [*_claims(first, later, rows, grown, unit), *lesson]
    return Outcome(claims, [*_tables(first, later, rows), told])


class Start(NamedTuple):
    """How long one waits, in seconds from the command on.

    Attributes:
        page: Until the page is there.
        picture: Until the first picture.
        judged: Until the judges have said something of a picture.
    """

    page: float
    picture: float
    judged: float


class Growth(NamedTuple):
    """By how many megabytes the most that something takes rises in use.

    Attributes:
        lab: The process that serves.
        page: The page's own objects in the browser.
    """

    lab: float
    page: float


class Speeds(NamedTuple):
    """How fast an attack is, with a page and without, medians.

    Attributes:
        access: What the attacker sees.
        updates: A second, on the page.
        watched: Queries a second with the page.
        read: Queries a second where the same updates are read and drawn nowhere.
        alone: Queries a second without.
        ratio: Of those with the page and without.
        drawn_nowhere: Of those read and without.
    """

    access: str
    updates: float
    watched: float
    read: float
    alone: float
    ratio: float
    drawn_nowhere: float


@contextmanager
def _lab(out: Path) -> Iterator[Served]:
    """Runs the command, and ends it."""
    command = [sys.executable, "-c", "from darkroom.commands.main import main; main()", "lab"]
    command += ["--out", str(out), "--port", "0", "--no-browser"]
    begun = time.monotonic()
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        found = re.search(r"http://\S+", process.stdout.readline())
        if found is None:
            raise RunError("the lab did not start")
        try:
            yield Served(found.group(), begun, process.pid)
        finally:
            process.terminate()
            process.wait(20)


@contextmanager
def _page(browser: Browser, lab: Served) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.set_default_timeout(120_000)
    page.goto(lab.address)
    yield page
    context.close()


def _start(browser: Browser, out: Path) -> Start:
    with _lab(out) as lab, _page(browser, lab) as page:
        page.locator("h1").wait_for()
        opened = time.monotonic()
        _begin(page, PEOPLE[:1], "weights", "watch")
        page.locator(".sitter .shown img[src]").first.wait_for()
        picture = time.monotonic()
        page.locator("#loading").wait_for(state="hidden")
        _begin(page, PEOPLE[:1], "weights", "watch")
        page.locator(".votes li").first.wait_for()
        return Start(opened - lab.begun, picture - lab.begun, time.monotonic() - lab.begun)


def _begin(page: Page, people: tuple[int, ...], access: str, pace: str) -> None:
    page.locator("#start:enabled").wait_for()
    for box in page.locator(".names input").all():
        box.set_checked(int(box.get_attribute("value") or -1) in people)
    page.locator(f"input[name=access][value={access}]").check()
    page.locator("#pace").select_option(pace)
    page.locator("#start").click()


def _speeds(browser: Browser, out: Path, access: str, times: int) -> Speeds:
    """Runs the same attack with a page and without, in turn."""
    plan = out / "lab-inputs" / "plan.toml"
    command = [sys.executable, "-c", ALONE, str(plan), json.dumps(PEOPLE), access]
    watched, updates, read, alone = [], [], [], []
    with _lab(out) as lab, _page(browser, lab) as page:
        page.locator("#loading").wait_for(state="hidden")
        for number in range(times):
            tell(f"speed with {access}, {number + 1} of {times}")
            for _ in range(2):  # the second counts, as it does without a page
                _begin(page, PEOPLE, access, "full")
                page.locator("#sitters[data-seconds]").wait_for(state="attached")
                told: dict[str, Any] = page.evaluate(
                    "({...document.getElementById('sitters').dataset})"
                )
                page.evaluate("document.getElementById('sitters').replaceChildren()")
            watched.append(float(told["rows"]) / float(told["seconds"]))
            updates.append(float(told["frames"]) / float(told["seconds"]))
            read.append(_read(lab.address, access))
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            alone.append(float(done.stdout))
    ratios = [
        [one / other for one, other in zip(some, alone, strict=True)] for some in (watched, read)
    ]
    return Speeds(access, *map(statistics.median, (updates, watched, read, alone, *ratios)))


def _read(address: str, access: str) -> float:
    """Runs the same attack for a client that draws nothing, and returns its queries a second."""
    asked = {"people": PEOPLE, "access": access, "pace": "full"}
    last = ""
    with httpx.Client(follow_redirects=True, timeout=120) as client:
        client.get(address)  # gives the cookie
        where = httpx.URL(address).copy_with(path="/develop/attacks", query=None)
        with client.stream("POST", where, json=asked) as answer:
            answer.raise_for_status()
            for line in answer.iter_lines():
                last = line or last
    ended = json.loads(last)
    return float(ended["rows"]) / float(ended["seconds"])


def _growth(browser: Browser, out: Path, seconds: float) -> Growth:
    """Lets somebody use the lab for a while.

    Returns:
        By how much the most rises once each kind of attack has been made twice.
    """
    with _lab(out) as lab, _page(browser, lab) as page:
        page.locator("#loading").wait_for(state="hidden")
        session = page.context.new_cdp_session(page)
        session.send("Performance.enable")
        sizes: list[tuple[float, float]] = []
        begun = time.monotonic()
        while len(sizes) < 2 * WARM + 2 or time.monotonic() - begun < seconds:
            access = ("weights", "scores")[len(sizes) % 2]
            _begin(page, PEOPLE[: 1 + len(sizes) % 3], access, "full")
            page.locator("#sitters[data-seconds]").wait_for(state="attached")
            sizes.append((_resident(lab.pid), _heap(session)))
    # What is free now and then is given back, so that single sizes differ by tens of megabytes.
    columns = zip(*sizes[WARM:], strict=True)
    return Growth(*(max(one) - max(one[:WARM]) for one in columns))


def _heap(session: CDPSession) -> float:
    """Returns the megabytes that the page's own objects take, once those that are lost are gone."""
    session.send("HeapProfiler.collectGarbage")
    metrics = session.send("Performance.getMetrics")["metrics"]
    (used,) = (one["value"] for one in metrics if one["name"] == "JSHeapUsedSize")
    return float(used) / 2**20


def _resident(pid: int) -> float:
    text = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    found = re.search(r"VmRSS:\s+(\d+) kB", text)
    assert found is not None
    return int(found[1]) / 1024


def _claims(
    first: Start, later: Start, rows: list[Speeds], grown: Growth, unit: float
) -> list[Claim]:
    claims = [
        Claim("seconds until the page is there", 3.0, later.page, at_most=True),
        Claim(
            "seconds until the first picture, with a model that is there",
            10.0,
            later.picture,
            at_most=True,
        ),
        Claim(
            "seconds until the first picture, at the first start", 10.0, first.picture, at_most=True
        ),
        Claim("the same at the pace of the reference", 10.0, first.picture / unit, at_most=True),
    ]
    for row in rows:
        claims += [
            Claim(f"updates a second, {row.access}", 5.0, row.updates),
            Claim(f"speed with a page, of that without, {row.access}", 0.9, row.ratio),
            Claim(
                f"the same where updates are drawn nowhere, {row.access}", 0.9, row.drawn_nowhere
            ),
        ]
    return [
        *claims,
        Claim("megabytes that the lab grows in use", 50.0, grown.lab, at_most=True),
        Claim("megabytes that the page grows in use", 50.0, grown.page, at_most=True),
    ]


def _tables(first: Start, later: Start, rows: list[Speeds]) -> list[Table]:
    starts = [("first", *first), ("later", *later)]
    return [
        Table("Seconds from the command on", ("start", "page", "picture", "judged"), starts),
        Table("Speed, queries a second", Speeds._fields, [list(row) for row in rows]),
    ]
