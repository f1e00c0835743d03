"""Charts of success and of bits against queries, as SVG that lives inside the page.

Every chart comes twice, wide for a desk and narrow for a phone; the page's style sheet shows one.
Colours are the page's CSS variables, so a chart follows light and dark like everything else.
"""

from __future__ import annotations

import html
import io
import math
import re
import textwrap
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

from darkroom.auditing.record import CurvePoint, Interval
from darkroom.errors import MissingExtraError
from darkroom.report.wording import count

try:
    import matplotlib as mpl
    from matplotlib.axes import Axes
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure
    from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator
except ImportError as error:
    raise MissingExtraError("matplotlib", "vision") from error

MOST_SERIES = 6
_MOST_TICKS = 6
_FONT = 12.5
_INCHES_PER_POINT = 1 / 72

# Matplotlib wants real colours while it draws; each of these stands for a variable of the page.
INK, MUTED, GRID = "#0a0b01", "#0a0b02", "#0a0b03"
_VARIABLES = ((INK, "ink"), (MUTED, "muted"), (GRID, "line"))


@dataclass(frozen=True)
class Series:
    """One line of a chart.

    Attributes:
        label: Its name in the legend.
        points: In any order; those at zero queries have no place on a logarithmic axis.
        shaded: Whether a band shows the points' intervals.
    """

    label: str
    points: tuple[CurvePoint, ...]
    shaded: bool = False


@dataclass(frozen=True)
class Chart:
    """A chart as two inline SVG elements, of which the page shows one."""

    wide: str
    narrow: str


@dataclass(frozen=True)
class _Upright:
    """What the vertical axis shows.

    Attributes:
        value: Reads it off a point.
        most: Where it ends.
        heading: What it is called.
        shares: Whether it counts shares.
        baseline: Its value without the model, a dashed line.
        label: What the legend calls that.
    """

    value: Callable[[CurvePoint], float]
    most: float
    heading: str
    shares: bool
    baseline: float
    label: str


@dataclass(frozen=True)
class Format:
    """How wide a chart is drawn, and what its identity ends in."""

    suffix: str
    width: float
    height: float
    columns: int
    letters: int


def curve_chart(
    series: Sequence[Series],
    *,
    baseline: float,
    name: str,
    title: str,
    baseline_label: str = "without the model (baseline)",
    across: str = "queries a goal (logarithmic)",
) -> Chart | None:
    """Draws success against queries.

    Args:
        series: One to ``MOST_SERIES`` lines.
        baseline: Success without the model in [0, 1], a dashed line.
        name: Unique on the page; letters, digits and hyphens. All identifiers start with it.
        title: What the chart shows, read out instead of it.
        baseline_label: What the legend calls the dashed line.
        across: What the horizontal axis counts.

    Returns:
        The chart, or ``None`` where no series has a point.
    """
    upright = _Upright(lambda point: point.success, 1, "recovered", True, baseline, baseline_label)
    return _both(series, upright, name, title, across)


def bits_chart(
    series: Sequence[Series],
    most: float,
    *,
    name: str,
    title: str,
    across: str = "queries a goal (logarithmic)",
) -> Chart | None:
    """Draws bits gained against queries.

    Args:
        series: One to ``MOST_SERIES`` lines; points without bits are left out.
        most: The bits that a perfect attack would gain, where the axis ends.
        name: Unique on the page; letters, digits and hyphens. All identifiers start with it.
        title: What the chart shows, read out instead of it.
        across: What the horizontal axis counts.

    Returns:
        The chart, or ``None`` where no series has a point with bits.
    """
    known = [
        Series(line.label, tuple(point for point in line.points if point.bits is not None))
        for line in series
    ]
    upright = _Upright(
        lambda point: point.bits or 0.0, most, "bits", False, 0.0, "without the model"
    )
    return _both(known, upright, name, title, across)


def _both(
    series: Sequence[Series], upright: _Upright, name: str, title: str, across: str
) -> Chart | None:
    """Draws curves for desks and for phones."""
    drawable = [line for line in series[:MOST_SERIES] if _positive(line)]
    if not drawable:
        return None
    longest = max(len(label) for label in (upright.label, *(one.label for one in drawable)))
    wide = Format("wide", 8.6, 4.0, 3 if longest < 30 else 2, 48)
    lines = sum(len(textwrap.wrap(one.label, 42)) for one in drawable)
    narrow = Format("narrow", 4.9, 4.6 + 0.24 * lines, 1, 42)
    return Chart(
        _draw(drawable, upright, wide, name, title, across),
        _draw(drawable, upright, narrow, name, title, across),
    )


def calibration_chart(points: Sequence[tuple[float, Interval]], *, name: str, title: str) -> Chart:
    """Draws how often guesses are right against how probable the guesser called them.

    Args:
        points: The mean probability claimed in each part, and the share that is right.
        name: Unique on the page; letters, digits and hyphens. All identifiers start with it.
        title: What the chart shows, read out instead of it.
    """
    forms = (Format("wide", 5.6, 4.2, 1, 48), Format("narrow", 4.9, 4.4, 1, 42))
    return Chart(*(_draw_calibration(points, form, name, title) for form in forms))


def _draw_calibration(
    points: Sequence[tuple[float, Interval]], form: Format, name: str, title: str
) -> str:
    identity = f"{name}-{form.suffix}"
    with style(identity):
        figure = Figure(figsize=(form.width, form.height), layout="tight")
        axes = figure.add_subplot()
        axes.plot([0, 1], [0, 1], color=MUTED, linestyle=(0, (5, 4)), linewidth=1.8)
        claimed = [claim for claim, _ in points]
        right = [rate.estimate for _, rate in points]
        reach = [
            [rate.estimate - rate.low for _, rate in points],
            [rate.high - rate.estimate for _, rate in points],
        ]
        axes.errorbar(
            claimed,
            right,
            yerr=reach,
            color=series_colour(0),
            linewidth=2.4,
            elinewidth=1.6,
            marker="o",
            markersize=6.5,
            clip_on=False,
            zorder=3,
        )
        axes.set_xlim(max(0.0, min(claimed) - 0.06), 1)
        axes.set_ylim(0, 1)
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_locator(FixedLocator([0, 0.25, 0.5, 0.75, 1]))
            axis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.0f}%"))
        axes.set_xlabel("probability that the attacker gives its guess", color=MUTED)
        axes.set_ylabel("guesses that are right", color=MUTED)
        plain(axes)
        return embed(svg_of(figure), identity, form, title, 1)


def _positive(line: Series) -> list[CurvePoint]:
    return sorted((p for p in line.points if p.queries > 0), key=lambda p: p.queries)


def _draw(
    series: Sequence[Series],
    upright: _Upright,
    form: Format,
    name: str,
    title: str,
    across: str,
) -> str:
    identity = f"{name}-{form.suffix}"
    with style(identity):
        figure = Figure(figsize=(form.width, form.height))
        labels = [textwrap.fill(line.label, form.letters) for line in series]
        axes = _above(figure, form, [*labels, upright.label])
        for place, (line, label) in enumerate(zip(series, labels, strict=True)):
            _plot(axes, line, place, label, upright)
        dashes = (0, (5, 4))
        axes.axhline(
            upright.baseline, color=MUTED, linestyle=dashes, linewidth=1.8, label=upright.label
        )
        points = [point for line in series for point in _positive(line)]
        _scale_queries(axes, [point.queries for point in points], across)
        _scale_upright(axes, min(upright.value(point) for point in points), upright)
        plain(axes)
        figure.legend(loc="lower left", ncols=form.columns, frameon=False, labelcolor=INK)
        return embed(svg_of(figure), identity, form, title, len(series))


def _above(figure: Figure, form: Format, labels: Sequence[str]) -> Axes:
    """Returns axes with room for their words, and for a legend below.

    All words are known, so nothing has to be drawn to find out how large they are: Matplotlib's
    own layouts take as long as the drawing.
    """
    rows = math.ceil(len(labels) / form.columns)
    lines = max(
        sum(1 + label.count("\n") for label in labels[start : start + rows])
        for start in range(0, len(labels), rows)
    )
    legend = _INCHES_PER_POINT * _FONT * (1.2 * lines + 0.55 * rows + 0.9)
    left, right, bottom, top = 0.84, 0.3, 0.62 + legend, 0.14
    wide, high = form.width, form.height
    return figure.add_axes(
        (left / wide, bottom / high, 1 - (left + right) / wide, 1 - (bottom + top) / high)
    )


def style(identity: str) -> AbstractContextManager[None]:
    """Makes Matplotlib write text as text, and the same identifiers every time."""
    return mpl.rc_context(
        {
            "svg.fonttype": "none",
            "svg.hashsalt": identity,
            "font.size": _FONT,
            "text.parse_math": False,
        }
    )


def svg_of(figure: Figure) -> str:
    """Returns a figure as a document of SVG, the same every time."""
    for patch in (figure.patch, *(axes.patch for axes in figure.axes)):
        patch.set_facecolor("none")
        patch.set_edgecolor("none")
    buffer = io.StringIO()
    # The same document as that of savefig, which draws everything once more before.
    FigureCanvasSVG(figure).print_svg(  # type: ignore[no-untyped-call]
        buffer, metadata={"Date": None}
    )
    return buffer.getvalue()


def _plot(axes: Axes, line: Series, place: int, label: str, upright: _Upright) -> None:
    points = _positive(line)
    colour = series_colour(place)
    queries = [p.queries for p in points]
    if line.shaded:
        axes.fill_between(
            queries,
            [p.low for p in points],
            [p.high for p in points],
            color=colour,
            alpha=0.16,
            linewidth=0,
            zorder=1,
        )
    axes.plot(
        queries,
        [upright.value(p) for p in points],
        color=colour,
        linewidth=2.4,
        linestyle=("-", (0, (6, 2)), (0, (1, 1.5)), "-.", "-", (0, (6, 2)))[place],
        marker=("o", "s", "^", "D", "v", "P")[place],
        markersize=6.5,
        label=label,
        zorder=3,
        clip_on=False,
    )


def _scale_queries(axes: Axes, queries: Sequence[int], across: str) -> None:
    low, high = min(queries), max(queries)
    margin = (high / low) ** 0.03 if high > low else 2.0
    axes.set_xscale("log")
    axes.set_xlim(low / margin, high * margin)
    axes.xaxis.set_major_locator(FixedLocator(_ticks(low, high)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: count(round(value))))
    axes.set_xlabel(across, color=MUTED)


def _scale_upright(axes: Axes, least: float, upright: _Upright) -> None:
    axes.set_ylim(min(0.0, least), upright.most)
    axes.set_ylabel(upright.heading, color=MUTED)
    if upright.shares:
        axes.yaxis.set_major_locator(FixedLocator([0, 0.25, 0.5, 0.75, 1]))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.0f}%"))
    else:
        axes.yaxis.set_major_locator(MaxNLocator(5))


def plain(axes: Axes) -> None:
    """Leaves an axis below, faint lines across, and nothing else."""
    axes.tick_params(colors=MUTED, length=0, pad=7)
    axes.grid(axis="y", color=GRID, linewidth=1)
    axes.set_axisbelow(True)
    for side, spine in axes.spines.items():
        spine.set_visible(side == "bottom")
        spine.set_color(MUTED)


def _ticks(low: int, high: int) -> list[int]:
    steps = [digit * 10**power for power in range(len(str(high)) + 1) for digit in (1, 2, 5)]
    inside = [step for step in steps if low <= step <= high]
    if len(inside) > _MOST_TICKS:
        inside = [step for step in inside if str(step).startswith("1")]
    return inside if len(inside) > 1 else sorted({low, high})


def series_colour(place: int) -> str:
    """Returns the colour that stands for that of a series, by its place from 0."""
    return f"#0a0c{place + 1:02d}"


def embed(svg: str, identity: str, form: Format, title: str, series: int) -> str:
    """Returns an SVG that can stand in a page beside others, with its title for screen readers."""
    body = svg[svg.index("<svg") :]
    # Matplotlib's own style sheet says "*": inside a page it would reach the whole page.
    body = re.sub(r"<style.*?</style>|<metadata>.*?</metadata>", "", body, flags=re.DOTALL)
    body = re.sub(r'\b(id=")', rf"\1{identity}-", body)
    body = re.sub(r'(url\(#|xlink:href="#)', rf"\1{identity}-", body).replace("xlink:href", "href")
    body = re.sub(r"(font: [^;\"']*?px)[^;\"]*", r"\1 var(--font)", body)
    for colour, variable in _VARIABLES:
        body = body.replace(colour, f"var(--{variable})")
    for place in range(series):
        body = body.replace(series_colour(place), f"var(--series-{place + 1})")
    box = re.search(r'viewBox="[^"]*"', body)
    opening = (
        f'<svg class="chart-{form.suffix}" {box.group() if box else ""} role="img" '
        f'aria-labelledby="{identity}-title"><title id="{identity}-title">'
        f"{html.escape(title)}</title>"
    )
    return re.sub(r"^<svg[^>]*>", lambda _: opening, body).strip()
