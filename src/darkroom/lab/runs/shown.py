"""What the pages of runs show, read from the folder of all runs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from darkroom.auditing.record import Cell
from darkroom.auditing.run_record import Results
from darkroom.errors import RunError
from darkroom.lab.rendering import rendered_page
from darkroom.lab.runs.curves import Drawing, success_drawing
from darkroom.report.results import collect
from darkroom.report.runs.history import RunState, runs_in


class Links(NamedTuple):
    """Where pages and files are: on a server, or beside one another in a folder.

    Attributes:
        root: Before the names of style sheets.
        home: The page of all runs.
        run: Of a run by name.
        report: Its full report.
        results: Its results.json.
        compared: The page of two runs; ``None`` where two are chosen on the page.
    """

    root: str
    home: str
    run: Callable[[str], str]
    report: Callable[[str], str]
    results: Callable[[str], str]
    compared: Callable[[str, str], str] | None = None


SERVED = Links(
    root="/static",
    home="/runs",
    run=lambda name: f"/runs/{name}",
    report=lambda name: f"/runs/{name}/report.html",
    results=lambda name: f"/runs/{name}/results.json",
)


class Listed(NamedTuple):
    """A run in the list.

    Attributes:
        name: Its folder's.
        state: How far it is.
        sentence: What it came to; empty before that.
    """

    name: str
    state: RunState
    sentence: str


def listed(out: Path) -> list[Listed]:
    """Returns the runs of a folder, the latest first; none if there are none."""
    try:
        found = runs_in(out)
    except RunError:
        return []
    return [_listed(one) for one in found]


def _listed(state: RunState) -> Listed:
    folder = Path(state.folder).resolve()
    try:
        sentence = collect(folder).verdict.sentence if state.state == "done" else ""
    except RunError as error:
        sentence = str(error)
    return Listed(folder.name, state, sentence)


def list_page(out: Path, links: Links) -> str:
    """Returns the page of all runs."""
    return rendered_page("runs.html.jinja", "/runs", runs=listed(out), links=links)


def run_page(name: str, results: Results, links: Links) -> str:
    """Returns the page of one run.

    Args:
        name: Its folder's.
        results: What it found.
        links: Where other pages are.
    """
    return rendered_page(
        "run.html.jinja",
        "/runs",
        name=name,
        results=results,
        drawing=_drawing(results.cells, name),
        links=links,
    )


def _drawing(cells: tuple[Cell, ...], name: str) -> Drawing | None:
    return success_drawing(cells, f"Share recovered against queries in {name}")
