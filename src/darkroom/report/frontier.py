"""The chart of what each defence leaks against what the model is worth behind it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator

from darkroom.auditing.record import Interval
from darkroom.report.charts import (
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


@dataclass(frozen=True)
class Spot:
    """A defence on the frontier's chart.

    Attributes:
        number: What stands beside the dot and in the table.
        worth: Accuracy in [0, 1], or an error.
        leak: What is left to the attacker, as an advantage or in bits, with its interval.
        dominated: Whether another is better.
    """

    number: str
    worth: float
    leak: Interval
    dominated: bool


def frontier_chart(
    spots: Sequence[Spot], *, name: str, title: str, across: str, bits: float | None = None
) -> Chart:
    """Draws what each defence leaks against what the model is worth behind it.

    Args:
        spots: At least one.
        name: Unique on the page; letters, digits and hyphens. All identifiers start with it.
        title: What the chart shows, read out instead of it.
        across: What the horizontal axis counts; shares where it says accuracy.
        bits: The most bits that could be left, where leaks are in bits; ``None`` for advantages.
    """
    forms = (Format("wide", 8.6, 4.4, 1, 48), Format("narrow", 4.9, 4.6, 1, 42))
    return Chart(*(_draw(spots, form, name, title, across, bits) for form in forms))


def _draw(
    spots: Sequence[Spot], form: Format, name: str, title: str, across: str, bits: float | None
) -> str:
    identity = f"{name}-{form.suffix}"
    with style(identity):
        figure = Figure(figsize=(form.width, form.height), layout="tight")
        axes = figure.add_subplot()
        best = sorted((s for s in spots if not s.dominated), key=lambda s: s.worth)
        axes.plot(
            [s.worth for s in best],
            [s.leak.estimate for s in best],
            color=series_colour(0),
            linewidth=1.8,
            zorder=2,
        )
        for spot in spots:
            colour = MUTED if spot.dominated else series_colour(0)
            axes.errorbar(
                [spot.worth],
                [spot.leak.estimate],
                yerr=[
                    [spot.leak.estimate - spot.leak.low],
                    [spot.leak.high - spot.leak.estimate],
                ],
                color=colour,
                elinewidth=1.2,
                alpha=0.75,
                marker="o",
                markersize=7,
                zorder=3,
            )
        _name_spots(axes, spots)
        _scale_worth(axes, [spot.worth for spot in spots], shares="accuracy" in across)
        _scale_leak(axes, min(0.0, *(spot.leak.low for spot in spots)), bits)
        axes.set_xlabel(across, color=MUTED)
        plain(axes)
        return embed(svg_of(figure), identity, form, title, 1)


def _name_spots(axes: Axes, spots: Sequence[Spot]) -> None:
    """Writes numbers beside dots; those of dots that share a place stand in one row."""
    places: dict[tuple[float, float], list[Spot]] = {}
    for spot in spots:
        places.setdefault((round(spot.worth, 2), round(spot.leak.estimate, 2)), []).append(spot)
    for (worth, leak), here in places.items():
        axes.annotate(
            ", ".join(spot.number for spot in here),
            (worth, leak),
            xytext=(9, 5),
            textcoords="offset points",
            color=INK,
            fontsize=11.5,
        )


def _scale_worth(axes: Axes, worths: Sequence[float], *, shares: bool) -> None:
    room = max(0.01 if shares else 1e-9, 0.12 * (max(worths) - min(worths)))
    axes.set_xlim(min(worths) - room, max(worths) + 1.6 * room)
    axes.xaxis.set_major_locator(MaxNLocator(5))
    if shares:
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.3g}%"))


def _scale_leak(axes: Axes, low: float, bits: float | None) -> None:
    most = 1.0 if bits is None else bits
    axes.set_ylim(low - 0.04 * most, 1.02 * most)
    if bits is not None:
        axes.yaxis.set_major_locator(MaxNLocator(5))
        axes.set_ylabel("bits left to the attacker", color=MUTED)
        return
    axes.yaxis.set_major_locator(FixedLocator([0, 0.25, 0.5, 0.75, 1]))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.0f}"))
    axes.set_ylabel("advantage left to the attacker", color=MUTED)
