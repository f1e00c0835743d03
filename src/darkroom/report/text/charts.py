"""Charts of secrets: exposure by repetition, extraction by repetition, and the tree of a search."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter

from darkroom.auditing.record import Interval

# The rules by which every chart of the page is drawn.
from darkroom.report.charts import (
    GRID,
    INK,
    MUTED,
    Chart,
    Format,
    embed,
    plain,
    series_colour,
    style,
    svg_of,
)
from darkroom.text.record import TreeNode

Point: TypeAlias = tuple[float, float]

_FORMS = (Format("wide", 5.6, 3.9, 1, 48), Format("narrow", 4.9, 4.2, 1, 42))


def _drawn(form: Format, name: str, title: str, draw: object, height: float | None = None) -> str:
    identity = f"{name}-{form.suffix}"
    with style(identity):
        figure = Figure(figsize=(form.width, height or form.height), layout="tight")
        axes = figure.add_subplot()
        assert callable(draw)
        draw(axes)
        return embed(svg_of(figure), identity, form, title, 2)


def exposure_chart(
    groups: Sequence[tuple[str, Sequence[float]]], bits: float, *, name: str, title: str
) -> Chart:
    """Draws the exposure of every canary, a row for each number of repetitions.

    Args:
        groups: The row's name and its canaries' exposures, controls first.
        bits: What a secret is worth, the most that an exposure can be.
        name: Unique on the page; letters, digits and hyphens.
        title: What the chart shows, read out instead of it.
    """

    def draw(axes: Axes) -> None:
        for place, (_, values) in enumerate(groups):
            colour = series_colour(1 if place == 0 else 0)
            # Neighbours stand apart, so that equal values can be counted.
            lifts = [place + 0.26 * ((number % 5) / 2 - 1) for number in range(len(values))]
            axes.scatter(
                sorted(values), lifts, color=colour, s=26, alpha=0.75, linewidth=0, clip_on=False
            )
            ordered = sorted(values)
            middle = ordered[len(ordered) // 2]
            axes.plot([middle, middle], [place - 0.36, place + 0.36], color=INK, linewidth=1.8)
        axes.set_xlim(0, bits)
        axes.set_ylim(-0.6, len(groups) - 0.4)
        axes.yaxis.set_major_locator(FixedLocator(list(range(len(groups)))))
        axes.set_yticklabels([label for label, _ in groups])
        axes.set_xlabel(f"exposure in bits, of {bits:.1f} that a secret has", color=MUTED)
        plain(axes)

    return Chart(*(_drawn(form, name, title, draw) for form in _FORMS))


def repetition_chart(
    points: Sequence[tuple[int, Interval]], controls: Interval, *, name: str, title: str
) -> Chart:
    """Draws the share of secrets extracted against how often they were in the training data.

    Args:
        points: Repetitions, and the share with its interval.
        controls: The share of secrets that were never in it.
        name: Unique on the page; letters, digits and hyphens.
        title: What the chart shows, read out instead of it.
    """

    def draw(axes: Axes) -> None:
        counts = [count for count, _ in points]
        shares = [share.estimate for _, share in points]
        reach = [
            [share.estimate - share.low for _, share in points],
            [share.high - share.estimate for _, share in points],
        ]
        places = list(range(len(counts)))
        axes.axhspan(controls.low, controls.high, color=series_colour(1), alpha=0.14, linewidth=0)
        axes.axhline(controls.estimate, color=series_colour(1), linestyle=(0, (5, 4)), linewidth=2)
        axes.errorbar(
            places,
            shares,
            yerr=reach,
            color=series_colour(0),
            linewidth=2.4,
            elinewidth=1.6,
            marker="o",
            markersize=6.5,
            clip_on=False,
            zorder=3,
        )
        axes.set_xlim(-0.3, len(counts) - 0.7)
        axes.set_ylim(0, 1)
        axes.xaxis.set_major_locator(FixedLocator(places))
        axes.set_xticklabels([str(count) for count in counts])
        axes.yaxis.set_major_locator(FixedLocator([0, 0.25, 0.5, 0.75, 1]))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.0f}%"))
        axes.set_xlabel("times in the training data", color=MUTED)
        axes.set_ylabel("secrets extracted", color=MUTED)
        plain(axes)

    return Chart(*(_drawn(form, name, title, draw) for form in _FORMS))


def tree_chart(nodes: Sequence[TreeNode], *, name: str, title: str) -> Chart:
    """Draws the partial secrets that a search asked about, those that lead to the secret marked.

    Args:
        nodes: Each after its parent; the text that each adds is masked already.
        name: Unique on the page; letters, digits and hyphens.
        title: What the chart shows, read out instead of it.
    """
    depths, heights = _layout(nodes)
    leads = [node.right and (node.parent < 0 or nodes[node.parent].right) for node in nodes]

    def draw(axes: Axes) -> None:
        edges: dict[bool, list[tuple[Point, Point]]] = {False: [], True: []}
        dots: dict[bool, list[Point]] = {False: [], True: []}
        for place, node in enumerate(nodes):
            here, right = (depths[place], heights[place]), leads[place]
            dots[right].append(here)
            if node.parent >= 0:
                edges[right].append(((depths[node.parent], heights[node.parent]), here))
            if right and node.text:
                _write(axes, node.text, here)
        for right, colour, line, dot in (
            (False, GRID, 1.2, 14),
            (True, series_colour(0), 2.2, 34),
        ):
            ink = colour if right else MUTED
            axes.add_collection(
                LineCollection(edges[right], colors=colour, linewidths=line, zorder=1)
            )
            axes.scatter(*_columns(dots[right]), color=ink, s=dot, zorder=2)
        axes.set_ylim(min(heights) - 1, max(heights) + 1.5)
        axes.set_xlabel("tokens of the secret", color=MUTED)
        axes.xaxis.set_major_locator(FixedLocator(list(range(0, max(depths) + 1, 2))))
        plain(axes)
        axes.yaxis.set_major_locator(FixedLocator([]))

    height = min(6.0, 2.2 + 0.09 * len(nodes))
    forms = (Format("wide", 8.6, height, 1, 48), Format("narrow", 4.9, height, 1, 42))
    return Chart(*(_drawn(form, name, title, draw) for form in forms))


def _write(axes: Axes, text: str, here: Point) -> None:
    """Writes what a node adds above it."""
    axes.annotate(
        text,
        here,
        xytext=(0, 7),
        textcoords="offset points",
        ha="center",
        color=INK,
        fontsize=11,
    )


def _columns(points: Sequence[Point]) -> tuple[list[float], list[float]]:
    return [across for across, _ in points], [up for _, up in points]


def _layout(nodes: Sequence[TreeNode]) -> tuple[list[int], list[float]]:
    """Returns the depth and the height of each node; siblings stand in the order asked."""
    depths: list[int] = []
    children: list[list[int]] = [[] for _ in nodes]
    for place, node in enumerate(nodes):
        depths.append(0 if node.parent < 0 else depths[node.parent] + 1)
        if node.parent >= 0:
            children[node.parent].append(place)
    heights = [0.0] * len(nodes)
    below = 0.0
    # A node is placed after all that grow from it: leaves in a row, the others amid their own.
    stack = [(place, False) for place, node in enumerate(nodes) if node.parent < 0][::-1]
    while stack:
        place, done = stack.pop()
        if children[place] and not done:
            stack.append((place, True))
            stack.extend((child, False) for child in children[place])
        elif children[place]:
            inner = [heights[child] for child in children[place]]
            heights[place] = sum(inner) / len(inner)
        else:
            heights[place], below = below, below + 1
    return depths, heights
