"""What a kind of audit brings to the page: the contract of its folder under ``report/``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from darkroom.auditing.record import Cell, Difference, Share
from darkroom.auditing.run_record import Limit, TargetRecord
from darkroom.kinds import KINDS, Nouns, imported
from darkroom.report.wording import access_phrase
from darkroom.statistics.intervals import Interval, wilson
from darkroom.statistics.power import detectable_alone, detectable_rate


class Place(NamedTuple):
    """Where a cell stands.

    Attributes:
        run: The run folder.
        target: The model.
        number: The cell's place on the page, from 1; makes identifiers unique.
        cells: How many the page has; they share its size.
        reveal: Whether single records, and secrets in the clear, are shown.
    """

    run: Path
    target: TargetRecord
    number: int
    cells: int
    reveal: bool


@dataclass(frozen=True, kw_only=True)
class Part:
    """What the page shows of a cell that its kind alone has; kinds add their own.

    Attributes:
        personal: What personal data that is, after "this page shows"; empty for none.
    """

    personal: str = ""


def nothing(cell: Any, place: Place) -> Part:  # noqa: ARG001 - a view sees both
    """Shows nothing that its kind alone has."""
    return Part()


def sound(cell: Any) -> tuple[str, ...]:  # noqa: ARG001 - others look at it
    """Finds no fault with judges, where there are none."""
    return ()


class Group(NamedTuple):
    """Some of the goals of a cell, which the console shows below it.

    Attributes:
        name: What they have in common.
        success: The share recovered.
        baseline: That without the model.
    """

    name: str
    success: Share
    baseline: Share


class Finding(NamedTuple):
    """One thing that a cell says of an attack, of which a verdict can be drawn.

    Most kinds have one: what the attack recovers. Verifiers have two, as pictures may be accepted
    and show nobody.

    Attributes:
        nouns: What sentences call it; those of one question have the same.
        recovered: What heads the share of goals for which the attack does it.
        success: The share of goals for which the attack does it.
        baseline: The share without the model.
        advantage: The first less the second.
        unsound: Why it supports no verdict; nothing where it does.
        detectable: The smallest advantage above a limit that it would have shown, where it is one
            of so many.
        tells: Whether it is what the cell's bits and its worst-off goal are about.
        without: What has the baseline, before its share.
        counted: Whether goals are independent and their share has the exact interval.
    """

    nouns: Nouns
    recovered: str
    success: Share
    baseline: Share
    advantage: Difference
    unsound: tuple[str, ...]
    detectable: Callable[[float, int], float | None]
    tells: bool = True
    without: str = "without the model the same attacker gets"
    counted: bool = False


def nothing_else(cell: Any) -> tuple[Finding, ...]:  # noqa: ARG001 - others look at it
    """Says nothing beside what the cell's own success does."""
    return ()


def no_groups(cell: Any) -> tuple[Group, ...]:  # noqa: ARG001 - others look at it
    """Takes all goals of a cell together."""
    return ()


def of_counts(cell: Cell, limit: float, looks: int) -> float | None:
    """Returns the smallest advantage that a count of independent goals would have shown."""
    return detectable_above(cell.baseline, cell.goals, limit, looks)


def detectable_above(
    without: Share,
    goals: int,
    limit: float,
    looks: int,
    of_rate: Callable[[int, int, float], Interval] = wilson,
) -> float | None:
    """Returns the smallest advantage over a share that a count of goals would have shown.

    Args:
        without: The share without the model.
        goals: How many there are.
        limit: The advantage that is allowed.
        looks: How many advantages are looked at.
        of_rate: The interval of a rate, as the audit computes it.
    """
    baseline = Interval(without.estimate, without.low, without.high)
    return detectable_rate(goals, baseline, limit, looks, of_rate=of_rate)


@dataclass(frozen=True)
class KindPage:
    """What the page shows of a kind, and in which words.

    Attributes:
        recovered: What heads the share of goals that an attack recovered.
        view: Works out what a cell's template shows as ``part``.
        templates: The folder of the kind's templates: ``cell.html.jinja`` is the middle of a
            cell's section, or the curve alone where there is none; ``meaning.html.jinja`` says what
            each number means.
        unsound: Says why the judges of a cell cannot support a verdict; nothing where they can.
        detectable: The smallest advantage above a limit that a cell would have shown, where it is
            one of so many; see :mod:`darkroom.statistics.power`.
        groups: Divides the goals of a cell for the console, where a kind has such groups.
        curves: Whether an attack goes on asking, so that success has a curve over queries, and a
            limit of queries is worth something.
        also: What else a cell says, of which a verdict can be drawn.
        tells: Whether success is what the bits and the worst-off goal are about.
        narrows: Whether bits surely above or below none are the model's doing; not so
            where they are those over a guess that another model of the same rows would better.
        without: What has the baseline, before its share in sentences.
        counted: Whether goals are independent and their share has the exact interval.
        access: What an attacker has at an access level, to follow "an attacker", where that is not
            the usual phrase.
        standards: Entries of catalogues that such attacks fall under, beside those of all: the
            catalogue, the entry, and what it names.
        uncovered: What the run does not cover.
    """

    recovered: str
    view: Callable[[Any, Place], Part] = nothing
    templates: Path | None = None
    unsound: Callable[[Any], tuple[str, ...]] = sound
    detectable: Callable[[Any, float, int], float | None] = of_counts
    groups: Callable[[Any], Sequence[Group]] = no_groups
    curves: bool = True
    also: Callable[[Any], Sequence[Finding]] = nothing_else
    tells: bool = True
    narrows: bool = True
    without: str = "without the model the same attacker gets"
    counted: bool = False
    access: Mapping[str, str] | None = None
    standards: tuple[tuple[str, str, str], ...] = ()
    uncovered: str = "Membership inference, regurgitation and attribute inference"


def page_of(kind: str) -> KindPage:
    """Returns what a kind brings to the page."""
    page: KindPage = imported(KINDS[kind].page)
    return page


def findings_of(cell: Cell) -> tuple[Finding, ...]:
    """Returns all that a cell says of which a verdict can be drawn, its own success first."""
    page = page_of(cell.kind)
    own = Finding(
        nouns_of(cell),
        page.recovered,
        cell.success,
        cell.baseline,
        cell.advantage,
        page.unsound(cell),
        partial(page.detectable, cell),
        page.tells,
        page.without,
        page.counted,
    )
    return (own, *page.also(cell))


def smallest_detectable(
    cell: Cell, finding: Finding, limit: Limit, looks: int, persons: int
) -> float | None:
    """Returns the smallest advantage that a cell would have shown, on average or by one goal.

    Args:
        cell: The cell.
        finding: What it is asked about.
        limit: What is allowed.
        looks: How many advantages are looked at.
        persons: How many goals that are worst off.

    Returns:
        The advantage; ``None`` if none would have shown.
    """
    sizes = [finding.detectable(limit.advantage, looks)]
    worst = cell.details.worst_off
    if limit.worst_off and worst is not None and finding.tells:
        rate = detectable_alone(cell.goals, worst.stands_out_alone(persons))
        gained = max(0.0, worst.by_heart - finding.baseline.estimate)
        sizes.append(None if rate is None else rate * gained)
    return min((size for size in sizes if size is not None), default=None)


def nouns_of(cell: Cell) -> Nouns:
    """Returns what sentences about a cell call things."""
    return KINDS[cell.kind].nouns


def attacker(cell: Cell) -> str:
    """Says what the attacker of a cell has, to follow "an attacker"."""
    own = page_of(cell.kind).access or {}
    return own.get(cell.access) or access_phrase(cell.access)
