"""The report as one page that needs nothing but itself: no network, no script."""

from __future__ import annotations

import functools
import hashlib
import json
import math
import re
from pathlib import Path
from typing import TYPE_CHECKING

from jinja2 import (
    BaseLoader,
    ChoiceLoader,
    Environment,
    FileSystemLoader,
    PackageLoader,
    PrefixLoader,
    StrictUndefined,
)
from markupsafe import Markup

from darkroom.files import write_private
from darkroom.report import wording
from darkroom.report.files import read_text
from darkroom.report.kind_page import nouns_of
from darkroom.report.results import collect, read_run, write_results
from darkroom.report.verdict.judged import reach

if TYPE_CHECKING:
    from darkroom.report.view import Page


def write_report(run: Path, *, reveal: bool = False) -> Path:
    """Writes ``results.json`` and ``report.html`` into the run folder.

    The page is a single file, the same for the same run, readable by its owner alone: it shows
    reconstructed and real faces. At most 60 people a cell are shown, fewer in runs with so many
    cells that the page would outgrow 24 MB of pictures; ``results.json`` has them all.

    Args:
        run: The run folder, such as ``runs/demo``.
        reveal: Whether single records of tables, and secrets in the clear, are shown.

    Returns:
        The path of ``report.html``.

    Raises:
        RunError: If a file of the run is missing or damaged, or the folder cannot be written to.
        MissingExtraError: If Matplotlib or Pillow is not installed.
    """
    # Charts and pictures need an extra, and they are slow to load; results.json needs neither.
    from darkroom.report.view import build_page

    plan = wording.without_credentials(read_text(run / "plan.toml"))
    content = write_results(run).read_bytes()
    cells = collect(run).cells
    digest = hashlib.sha256(content).hexdigest()
    page = build_page(run, read_run(run), cells, plan, digest, reveal=reveal)
    return write_private(run / "report.html", render(page).encode())


def render(page: Page) -> str:
    """Returns the HTML of a page."""
    folders = tuple((name, kind.templates) for name, kind in page.kinds.items())
    return _environment(folders).get_template("report.html.jinja").render(page=page)


def rendered(template: str, **values: object) -> str:
    """Returns the HTML of a template that has nothing of a kind's own."""
    return _environment(()).get_template(template).render(**values)


@functools.cache  # templates are compiled once
def _environment(folders: tuple[tuple[str, Path | None], ...]) -> Environment:
    """Returns what renders templates: the common ones, and each kind's under its name."""
    kinds = {name: FileSystemLoader(folder) for name, folder in folders if folder}
    common = PackageLoader("darkroom.report", "templates")
    made = environment(ChoiceLoader([common, PrefixLoader(kinds)]))
    made.filters.update(reach=reach, value=_value, tied=_tied, drawing=Markup)
    made.globals.update(several=wording.several, nouns=nouns_of)
    return made


def environment(loader: BaseLoader) -> Environment:
    """Returns what renders pages, with numbers as people read them.

    Args:
        loader: Where templates are.
    """
    # Names of people and plans are strangers' text: escaping is on whatever a file is called.
    made = Environment(
        loader=loader,
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(
        percent=wording.percent,
        spread=wording.spread,
        points=wording.points,
        between=wording.between,
        confidence=wording.confidence,
        probability=wording.probability,
        score=wording.score,
        count=wording.count,
        duration=wording.duration,
        finite=math.isfinite,
        amount=wording.amount,
        bits=wording.bits,
        moment=wording.moment,
    )
    return made


def _value(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _tied(text: str) -> Markup:
    # A range such as 83 to 99%, written with a dash, reads as two numbers when a line ends in it.
    parts = re.split(rf"(\S*\d{wording.DASH}\S+)", text)
    span = Markup('<span class="tie">{}</span>')
    return Markup("").join(
        span.format(part) if place % 2 else part for place, part in enumerate(parts)
    )
