"""A run as a notebook shows it: the verdict, a table of cells, and one curve."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from html import escape
from pathlib import Path

from darkroom.auditing.record import Cell
from darkroom.auditing.run_record import Results
from darkroom.report.charts import Series, curve_chart
from darkroom.report.kind_page import page_of
from darkroom.report.wording import amount, percent, points, spread

MOST_CELLS = 40

_LOOK = (
    "--ink:#1b1d21;--muted:#5c626c;--line:#dfe0dd;--series-1:#0072b2;--font:sans-serif;"
    "color:#1b1d21;background:#fff;padding:12px 16px;max-width:760px"
)
_LEFT = "text-align:left"


def as_html(document: Results, report: Path) -> str:
    """Returns a run as a piece of HTML that needs nothing but itself, of a few kilobytes.

    Args:
        document: What the run found.
        report: Its page.
    """
    verdict = document.verdict
    reasons = "".join(f"<li>{escape(reason)}</li>" for reason in verdict.reasons)
    return (
        f'<div style="{_LOOK}"><p><b>{escape(verdict.outcome)}</b>: {escape(verdict.sentence)}</p>'
        f"<ul>{reasons}</ul>{_table(document.cells)}{_curve(document)}"
        f"<p>The whole report: <code>{escape(str(report))}</code></p></div>"
    )


def _table(cells: Sequence[Cell]) -> str:
    if not cells:
        return ""
    heads = ("cell", "queries a goal", "success", "without the model", "advantage", "bits")
    rows = "".join(_row(cell) for cell in cells[:MOST_CELLS])
    left = len(cells) - MOST_CELLS
    more = f'<tr><td colspan="6">and {left} more in the report</td></tr>' if left > 0 else ""
    titles = "".join(f'<th style="{_LEFT}">{head}</th>' for head in heads)
    return f"<table><thead><tr>{titles}</tr></thead><tbody>{rows}{more}</tbody></table>"


def _row(cell: Cell) -> str:
    bits = "" if cell.bits is None else f"{amount(cell.bits.estimate)} of {amount(cell.bits.most)}"
    values = (
        cell.title,
        f"{cell.queries.per_goal_median:,.0f}",
        f"{percent(cell.success.estimate)} ({spread(cell.success)})",
        percent(cell.baseline.estimate),
        points(cell.advantage.estimate),
        bits,
    )
    shown = "".join(f'<td style="{_LEFT}">{escape(value)}</td>' for value in values)
    return f"<tr>{shown}</tr>"


def _curve(document: Results) -> str:
    """Draws success against queries of the cell with the largest advantage."""
    curved = [cell for cell in document.cells if page_of(cell.kind).curves]
    if not curved:
        return ""
    most = max(curved, key=lambda cell: cell.advantage.low)
    title = f"Success against queries, {most.title}"
    # A notebook may show several runs, whose drawings must not share identifiers.
    mark = hashlib.sha256(most.key.encode()).hexdigest()[:8]
    chart = curve_chart(
        (Series("success, 95% interval shaded", most.curve, shaded=True),),
        baseline=most.baseline.estimate,
        name=f"notebook-{mark}",
        title=title,
    )
    return (
        ""
        if chart is None
        else f"<figure><figcaption>{escape(title)}</figcaption>{chart.wide}</figure>"
    )
