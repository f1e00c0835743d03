"""Runs as a folder of pages that need no server and no script."""

from __future__ import annotations

import itertools
from pathlib import Path

from darkroom.errors import DarkroomError, RunError
from darkroom.files import claim, write_private
from darkroom.lab.rendering import asset
from darkroom.lab.runs.shown import Links, Listed, list_page, listed, run_page
from darkroom.report.html import rendered, write_report
from darkroom.report.results import collect
from darkroom.report.runs.comparison import compare

STYLES = ("report.css", "lab.css", "mark.svg")


def export(out: Path, folder: Path) -> int:
    """Writes pages of all runs that are done, their reports, and comparisons of each with the next.

    Secrets and records stay as masked as in any report; reconstructed and real faces are shown.

    Args:
        out: The folder of all runs, or of one.
        folder: Where the pages go; ``index.html`` is the first.

    Returns:
        How many runs there are.

    Raises:
        RunError: If there is no run, or the folder holds something else.
    """
    done = [one for one in listed(out) if one.state.state == "done"]
    if not done:
        raise RunError(f"{out}: no run there is done: run darkroom demo, or darkroom audit")
    claim(folder, "choose another folder for --export")
    if (folder / "run.json").exists():
        raise RunError(f"{folder}: this is a run: choose another folder for --export")
    pairs = _pairs(done)
    links = _links({(before.name, after.name) for before, after in pairs})
    pages = {"index.html": list_page(out, links)}
    for one in done:
        run = Path(one.state.folder)
        pages[links.run(one.name)] = run_page(one.name, collect(run), links)
        pages[links.report(one.name)] = write_report(run).read_text(encoding="utf-8")
        results = (run / "results.json").read_text(encoding="utf-8")
        pages[links.results(one.name)] = results
    for before, after in pairs:
        found = compare(Path(before.state.folder), Path(after.state.folder))
        name = links.compared(before.name, after.name) if links.compared else ""
        pages[name] = rendered("comparison.html.jinja", comparison=found)
    for style in STYLES:
        pages[style] = asset(style) or ""
    # Of runs that are there no more, nothing stays from an earlier export.
    for pattern in ("run-*.html", "report-*.html", "results-*.json", "compared-*.html"):
        for old in folder.glob(pattern):
            if old.name not in pages:
                old.unlink()
    for name, text in pages.items():
        write_private(folder / name, text.encode())
    return len(done)


def _pairs(done: list[Listed]) -> list[tuple[Listed, Listed]]:
    """Returns runs that have an attack in common with the next, the earlier one first."""
    found = []
    for after, before in itertools.pairwise(done):
        try:
            compare(Path(before.state.folder), Path(after.state.folder))
        except DarkroomError:
            continue
        found.append((before, after))
    return found


def _links(pairs: set[tuple[str, str]]) -> Links:
    def compared(before: str, after: str) -> str:
        # No run has a plus in its name, so no two pairs share a page.
        return f"compared-{before}+{after}.html" if (before, after) in pairs else ""

    return Links(
        root=".",
        home="index.html",
        run=lambda name: f"run-{name}.html",
        report=lambda name: f"report-{name}.html",
        results=lambda name: f"results-{name}.json",
        compared=compared,
    )
