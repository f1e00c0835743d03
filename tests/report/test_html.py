"""Tests of the page: what it says, what it shows, and that it needs nothing but itself."""

from __future__ import annotations

import base64
import html
import io
import re
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image
from tests.support.needs import absent

from darkroom.errors import RunError
from darkroom.report import write_report

if TYPE_CHECKING:
    from tests.report.conftest import RunFolder

pytestmark = pytest.mark.drawn


def test_rates_that_were_never_measured_are_said_to_be(run: RunFolder) -> None:
    """A null is neither zero nor a crash, wherever it may stand."""
    details = run.cell["details"]
    details["judges"]["false_positive_adversarial"] = run.measured(None)
    details["judges"]["false_positive_noise"] = run.measured(None, 100)
    details["judges"]["each"][1] = run.measured(None, tried=False)
    run.cell["judges"]["false_positive_adversarial"] = None
    run.cell["judges"]["false_positive_noise"] = None
    run.cell["confidence"] = {"median": None, "reached": None}
    run.cell["utility"] = {}
    run.record["authorized_by"] = None
    for person in details["people"]:
        person["confidence"] = None
    page = run.report()
    assert page.text.count("not measured") == 3
    assert "0 of 200 tried" in page.text
    assert "0 of 100 tried" in page.text
    assert page.text.count("not shown") == len(details["people"])
    assert "The plan names nobody who authorised it" in page.text


def test_people_come_worst_off_first(run: RunFolder) -> None:
    """Lowest p first, and of equals the one of whom the model is surer."""
    page = run.report()
    found = re.findall(r"<h4><span class=\"rank\">\d+</span> (employee-\d+)", page.source)
    assert found == ["employee-0002", "employee-0001", "employee-0000", "employee-0003"]
    assert page.text.count("● Reconstructed") == 3
    assert page.text.count("○ Not recognised") == 1
    assert "gate: share outside the space of faces 0.55 > 0.39" in page.text


def test_pictures_are_what_the_arrays_hold(run: RunFolder) -> None:
    """A picture on the page is the array, pixel for pixel, start to truth."""
    folder = run.write()
    page = run.read_report()
    with np.load(folder / "cells" / "cell1" / "reconstructions.npz") as file:
        truth = [file["snapshots"][0, 2, 0], file["snapshots"][1, 2, 0]]
        truth += [np.rint(file["images"][2, 0] * 255), file["photos"][2, 0]]
    shown = [picture(a) for a in page.all("img") if a["alt"] and "alone" not in a["alt"]][2:6]
    for pixels, expected in zip(shown, truth, strict=True):
        np.testing.assert_array_equal(pixels, expected)


def picture(attributes: dict[str, str | None]) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """Decodes a data address."""
    content = base64.b64decode((attributes["src"] or "").removeprefix("data:image/png;base64,"))
    return np.asarray(Image.open(io.BytesIO(content)))


def test_colours_and_ranges_are_kept(run: RunFolder) -> None:
    """An RGB target whose values run from -1 to 1 is shown in its true colours."""
    run.shape = (3, 16, 16)
    run.record["target"].update(range=[-1, 1])
    folder = run.write()
    path = folder / "cells" / "cell1" / "reconstructions.npz"
    with np.load(path) as file:
        arrays = dict(file)
    np.savez(path, **{**arrays, "images": arrays["images"] * 2 - 1})
    page = run.read_report()
    made = next(a for a in page.all("img") if (a["alt"] or "").startswith("Reconstruction"))
    expected = np.moveaxis(np.rint(arrays["images"][2] * 255), 0, -1)
    np.testing.assert_allclose(picture(made), expected, atol=1)


def test_the_page_fetches_nothing(run: RunFolder) -> None:
    """It can be opened on a machine without a network, and tells nobody that it was."""
    page = run.report()
    for _, attributes in page.tags:
        for name in ("src", "href", "xlink:href", "action", "data", "srcset"):
            assert (attributes.get(name) or "#").startswith(("#", "data:image/png;"))
    assert not re.search(r"url\((?!#)|@import|https?://", page.source)
    assert not page.all("script")
    policy = [a["content"] for a in page.all("meta") if a.get("http-equiv")]
    assert policy == ["default-src 'none'; img-src data:; style-src 'unsafe-inline'"]


@pytest.mark.medium
def test_identifiers_are_unique_and_links_arrive(run: RunFolder) -> None:
    """Two charts in one page must not clip each other, nor a link lead nowhere."""
    run.cells = [run.image_cell("a"), run.image_cell("b")]
    page = run.report()
    names = [a["id"] for _, a in page.tags if a.get("id")]
    assert len(names) == len(set(names))
    targets = {a["href"][1:] for _, a in page.tags if (a.get("href") or "").startswith("#")}  # type: ignore[index]
    used = set(re.findall(r"url\(#([^)]+)\)", page.source))
    assert targets | used <= set(names)
    assert len(page.classed("chart-wide")) == len(page.classed("chart-narrow")) == 6


def test_pictures_and_charts_have_a_text(run: RunFolder) -> None:
    """Whoever does not see the page is told what is on it, in headings that nest."""
    page = run.report()
    assert all(attributes.get("alt") for attributes in page.all("img"))
    assert "75% in the end, interval 65\N{EN DASH}85%" in page.source
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


@pytest.mark.medium
def test_strangers_text_stays_text(run: RunFolder) -> None:
    """A name, a plan or a parameter with markup in it is shown, never obeyed."""
    evil = '"><script>alert(1)</script><img src=x onerror=alert(1)>'
    details = run.cell["details"]
    for person in details["people"]:
        person["name"] = evil
    details["worst_off"].update(name=evil, sentence=f"{evil} 1\N{EN DASH}2")
    details["threat_model"] = [evil]
    details["judge_names"] = [evil] * 3
    details["attack"] = {"name": evil, "parameters": {evil: [evil]}, "paper": evil}
    run.cell.update(attack=f"{evil}$x^2$", defense=evil, prior=evil, target=evil)
    run.record["run"].update(
        name=evil,
        versions={"darkroom": evil},
        machine={"processor": evil, "cores": 1, "system": evil},
    )
    run.record.update(authorized_by=evil, command=evil)
    run.record["target"].update(name=evil, kind=evil)
    run.record["tested"] = [[evil, evil]]
    run.plan = f"</code></pre>{evil}"
    run.cells.append({**run.image_cell("second"), "attack": f"</title></svg>{evil}"})
    page = run.report()
    assert not page.all("script")
    assert not [a for _, a in page.tags if "onerror" in a]
    assert evil in page.text


def test_credentials_of_a_plan_are_left_out(run: RunFolder) -> None:
    """A report is passed on; what opens the target's door must not travel with it."""
    run.plan = (
        'api_key = "sk-hunter2"\nheaders = { Authorization = "Bearer hunter2", x = 1 }\n'
        "password = '''hun\nter2'''\nurl = \"https://me:hunter2@host/v1\"\nmax_tokens = 5\n"
    )
    page = run.report()
    assert "hunter2" not in page.source
    assert "ter2" not in page.source
    assert "max_tokens = 5" in page.text
    assert "x = 1" in page.text


def test_the_run_can_be_repeated_from_the_page(run: RunFolder) -> None:
    """Command, seed, versions, machine and plan are there, and the standards by number."""
    page = run.report()
    for said in ("darkroom audit plan.toml", "Seed7", "3.11.7", "Linux", 'name = "demo"'):
        assert said in page.text
    for said in ("AML.T0024.001", "NISTAML.032", "ML03:2023", "EDPB Opinion 28/2024"):
        assert said in page.text
    assert "Authorised by Dana Frei, data-protection officer" in page.text
    assert "23 November 2026, 20:25 UTC" in page.text


@pytest.mark.medium
def test_the_page_is_private_and_the_same_each_time(run: RunFolder) -> None:
    """Faces are for the owner's eyes; a page that changes by itself cannot be filed."""
    path = write_report(run.write())
    first = path.read_bytes()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert write_report(run.path).read_bytes() == first
    assert (run.path / "results.json").exists()


@pytest.mark.medium
def test_forty_people_in_colour_stay_small(run: RunFolder) -> None:
    """A page has to fit into a mail even when its pictures do not compress."""
    run.shape = (3, 64, 64)
    run.cells = [run.image_cell(goals=40, hits=30)]
    folder = run.write()
    path = folder / "cells" / "cell1" / "reconstructions.npz"
    noise = np.random.default_rng(0).integers(0, 256, (4, 40, 3, 64, 64)).astype(np.uint8)
    np.savez(
        path,
        images=noise[0].astype(np.float32) / 255,
        goals=np.arange(40),
        snapshots=noise[[1, 2, 3]],
        photos=noise[1],
    )
    assert write_report(folder).stat().st_size < 6_000_000


def test_at_most_sixty_people_are_shown(run: RunFolder) -> None:
    """The others are counted, and the worst-off are never among them."""
    run.cells = [run.image_cell(goals=70, hits=66)]
    page = run.report()
    assert len(page.classed("who")) == 60
    assert "10 of 70 people are left out here; results.json has them all." in page.text
    assert "employee-0065" in page.text
    assert "employee-0069" not in page.text


@pytest.mark.slow
def test_large_pictures_and_many_cells_stay_bounded(run: RunFolder) -> None:
    """What a page holds depends on its room, not on the size of the photos."""
    run.shape = (3, 224, 200)
    run.cells = [run.image_cell(f"c{number}", goals=40, hits=30) for number in range(3)]
    page = run.report()
    assert len(page.source) < 30_000_000
    assert max(max(picture(a).shape) for a in page.all("img")) <= 160


def test_a_curve_without_points_is_left_out(run: RunFolder) -> None:
    """A logarithmic axis has no zero; an attack that only guessed has no curve."""
    run.cell["curve"] = [{"queries": 0, "success": 0.0, "low": 0.0, "high": 0.6}]
    assert not run.report().classed("chart-wide")


def test_a_curve_of_one_point_is_drawn(run: RunFolder) -> None:
    """One milestone is a curve too."""
    run.cell["curve"] = [{"queries": 1, "success": 0.5, "low": 0.1, "high": 0.9}]
    assert run.report().classed("chart-wide")


def drop(name: str) -> Callable[[Path], object]:
    """Removes a file of the run."""
    return lambda folder: (folder / name).unlink()


def spoil(**arrays: object) -> Callable[[Path], object]:
    """Replaces arrays of the pictures."""

    def change(folder: Path) -> None:
        path = folder / "cells" / "cell1" / "reconstructions.npz"
        with np.load(path) as file:
            kept = dict(file)
        np.savez(path, **{**kept, **arrays})

    return change


_PICTURES = "cells/cell1/reconstructions.npz"


@pytest.mark.medium
@pytest.mark.parametrize(
    "change",
    [
        drop("run.json"),
        drop("plan.toml"),
        drop("cells/cell1/cell.json"),
        drop(_PICTURES),
        lambda folder: (folder / _PICTURES).write_bytes(b"PK"),
        lambda folder: (folder / _PICTURES).write_bytes(b""),
        lambda folder: np.savez(folder / _PICTURES, goals=np.arange(4)),
        spoil(goals=np.array([{}] * 4, dtype=object)),
        spoil(goals=np.arange(4) + 1),
        spoil(goals=np.arange(3)),
        spoil(images=np.zeros((4, 2, 24, 20), np.float32)),
        spoil(images=np.full((4, 1, 24, 20), np.nan, np.float32)),
        spoil(photos=np.zeros((4, 1, 24, 20))),
        spoil(snapshots=np.zeros((2, 4, 1, 24, 20), np.uint8)),
        spoil(snapshots=np.zeros((4, 1, 24, 20), np.uint8)),
    ],
)
def test_a_broken_run_is_one_readable_line(
    run: RunFolder, change: Callable[[Path], object]
) -> None:
    """Nothing is unpickled, nothing half is shown, and no page is left behind."""
    folder = run.write()
    change(folder)
    with pytest.raises(RunError) as caught:
        write_report(folder)
    assert "\n" not in str(caught.value)
    assert "missing" in str(caught.value) or "damaged" in str(caught.value)
    assert not (folder / "report.html").exists()


def test_broken_details_are_named(run: RunFolder) -> None:
    """The line leads to the person whose record is broken."""
    run.cell["details"]["people"][1]["confidence"] = 1.5
    with pytest.raises(RunError, match=r"cell\.json.*details\.people\.1\.confidence"):
        write_report(run.write())


def test_the_report_needs_no_torch() -> None:
    """Whoever only reads reports does not wait for a deep-learning library."""
    code = "import sys, darkroom.report; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


@pytest.fixture
def chromium() -> str:
    """The browser; on the project's own machines its absence is a failure."""
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None:
        absent("Chromium is not installed: run apt-get install chromium")
    return found


@pytest.mark.medium
@pytest.mark.parametrize("width", [400, pytest.param(1280, marks=pytest.mark.slow)])
def test_no_page_scrolls_sideways(
    run: RunFolder, chromium: str, tmp_path: Path, width: int
) -> None:
    """On a phone and on a desk the page is as wide as the window, long names and all."""
    second = run.image_cell("second", hits=1)
    second.update(attack="a-rather-long-attack-name", defense="noise+rounding+top_k+rate-limit")
    run.cells = [run.image_cell(goals=20, hits=9), second]
    run.cell["details"]["people"] = run.people(20, 9)
    run.cell["details"]["people"][0]["name"] = "a_name_without_any_break_" * 4
    run.plan = "x = 1  # " + "very long line " * 40
    run.record["command"] = "darkroom audit " + "long/" * 60 + "plan.toml"
    source = write_report(run.write()).read_text()
    # The page forbids scripts to itself; the copy that is measured must allow one.
    source = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", source)
    probe = "<script>document.querySelectorAll('details').forEach(d => d.open = true);"
    probe += "const e = document.documentElement, p = parent.document.documentElement;"
    probe += "p.dataset.probe = [innerWidth, e.scrollWidth].join(' ')</script></body>"
    # A window has a least width, larger than a phone's; a frame inside it has none.
    framed = html.escape(source.replace("</body>", probe))
    copy = tmp_path / "probe.html"
    copy.write_text(f'<iframe width="{width}" height="900" style="border:0" srcdoc="{framed}">')
    command = [chromium, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic"]
    command += ["--no-first-run", "--disable-background-networking", "--disable-sync"]
    command += ["--disable-component-update", f"--user-data-dir={tmp_path / 'profile'}"]
    command += ["--window-size=1600,1000", "--dump-dom", copy.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    found = re.search(r'data-probe="(\d+) (\d+)"', done.stdout)
    assert found is not None
    assert int(found[1]) == width
    assert int(found[2]) <= width
