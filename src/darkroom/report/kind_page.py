"""What a kind of audit brings to the page: the contract of its folder under ``report/``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from darkroom.auditing.record import Cell, Share
from darkroom.auditing.run_record import Limit, TargetRecord
from darkroom.kinds import KINDS, Nouns, imported
from darkroom.report.wording import access_phrase
from darkroom.statistics.intervals import Interval
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


def no_groups(cell: Any) -> tuple[Group, ...]:  # noqa: ARG001 - others look at it
    """Takes all goals of a cell together."""
    return ()


def of_counts(cell: Cell, limit: float, looks: int) -> float | None:
    """Returns the smallest advantage that a count of independent goals would have shown."""
    baseline = Interval(cell.baseline.estimate, cell.baseline.low, cell.baseline.high)
    return detectable_rate(cell.goals, baseline, limit, looks)


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
        guesses: Whether the baseline gets what the attack is after. Where it does something else,
            as strangers who are accepted do, one that is nearly always right tells nothing.
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
    guesses: bool = True
    access: Mapping[str, str] | None = None
    standards: tuple[tuple[str, str, str], ...] = ()
    uncovered: str = "Membership inference, regurgitation and attribute inference"


def page_of(kind: str) -> KindPage:
    """Returns what a kind brings to the page."""
    page: KindPage = imported(KINDS[kind].page)
    return page


def smallest_detectable(cell: Cell, limit: Limit, looks: int, persons: int) -> float | None:
    """Returns the smallest advantage that a cell would have shown, on average or by one goal.

    Args:
        cell: The cell.
        limit: What is allowed.
        looks: How many advantages are looked at.
        persons: How many goals that are worst off.

    Returns:
        The advantage; ``None`` if none would have shown.
    """
    page = page_of(cell.kind)
    sizes = [page.detectable(cell, limit.advantage, looks)]
    worst = cell.details.worst_off
    if limit.worst_off and worst is not None and page.guesses:
        rate = detectable_alone(cell.goals, worst.stands_out_alone(persons))
        gained = max(0.0, worst.by_heart - cell.baseline.estimate)
        sizes.append(None if rate is None else rate * gained)
    return min((size for size in sizes if size is not None), default=None)


def nouns_of(cell: Cell) -> Nouns:
    """Returns what sentences about a cell call things."""
    return KINDS[cell.kind].nouns


def attacker(cell: Cell) -> str:
    """Says what the attacker of a cell has, to follow "an attacker"."""
    own = page_of(cell.kind).access or {}
    return own.get(cell.access) or access_phrase(cell.access)
