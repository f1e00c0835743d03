"""Which class of the model is whom, when people and classes stand in different orders."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy.optimize import linear_sum_assignment

from darkroom.images.checks.knowledge import knowledge
from darkroom.images.checks.sample import Labels

_FEWEST = 8  # people; fewer find classes of their own by luck
_WELL = 0.85


class Order(NamedTuple):
    """An order of people that is not the one of the photos.

    Attributes:
        words: What it is, such as "the natural order of their names (2 before 10)".
        remedy: How to mend it, in a sentence.
        classes: The model's class of each person, by the person's number, int64 ``(people,)``.
    """

    words: str
    remedy: str
    classes: Labels


def named_orders(names: Sequence[str], classes: int) -> Iterator[Order]:
    """Yields orders in which people are often numbered by mistake; never the one that they have.

    Args:
        names: Of the people, in the order of the photos.
        classes: How many classes the model has.
    """
    people = np.arange(len(names))
    rename = "Name the folders so that their alphabetical order is the model's, such as"
    # Names without a number have the same order by the first two.
    sortings: tuple[tuple[str, str, Callable[[str], Any]], ...] = (
        ("the alphabetical order of their names, capitals or not", "ann, bob", str.lower),
        ("the natural order of their names (2 before 10)", "p01, p02", _natural),
        ("the alphabetical order of their names (10 before 2)", "p01, p02", str),
    )
    for words, such, key in sortings:
        keys = [key(name) for name in names]
        order = sorted(range(len(names)), key=keys.__getitem__)
        yield from _other(Order(words, f"{rename} {such}.", np.argsort(order)))
    number = "Number the people as the model does: the first is class 0."
    yield from _other(Order("the reverse order", number, people[::-1].copy()))
    for shift in range(1, classes):
        by = shift if shift <= classes // 2 else shift - classes
        moved = (people + shift) % classes
        yield from _other(Order(f"the same order shifted by {by}", number, moved))


def best_named(labels: Labels, people: Labels, names: Sequence[str], classes: int) -> Order | None:
    """Returns the usual order by which most photos are named rightly, if that is no luck.

    Args:
        labels: The class that the model names on each photo, ``(n,)``.
        people: Who is on it, ``(n,)``.
        names: Of the people, in the order of the photos.
        classes: How many classes the model has.
    """
    best, most = None, int((labels == people).sum())
    for order in named_orders(names, classes):
        hits = int((labels == order.classes[people]).sum())
        if hits > most:
            best, most = order, hits
    if best is None:
        return None
    found = knowledge(labels, best.classes[people])
    return best if found.p_value <= 0.001 and found.hits >= 0.3 * found.photos else None


def assigned(labels: Labels, people: Labels, names: Sequence[str], classes: int) -> Order | None:
    """Returns the order in which the model has the people, whatever it is, if there surely is one.

    Classes are assigned on every other photo of each person, and must hold for the rest.

    Args:
        labels: The class that the model names on each photo, ``(n,)``.
        people: Who is on it, sorted, ``(n,)``.
        names: Of the people, in the order of the photos.
        classes: How many classes the model has.
    """
    goals, own = np.unique(people, return_inverse=True)
    even = (np.arange(len(people)) - np.searchsorted(people, people)) % 2 == 0
    if len(goals) < _FEWEST or not np.isin(goals, people[~even]).all():
        return None
    table = np.zeros((len(goals), classes), np.int64)
    np.add.at(table, (own[even], labels[even]), 1)
    rows, columns = linear_sum_assignment(table, maximize=True)
    mapped = np.arange(len(names))
    mapped[goals[rows]] = columns
    if (labels[~even] == mapped[people[~even]]).mean() < _WELL:
        return None
    moved = [goal for goal in goals if mapped[goal] != goal]
    shown = ", ".join(f"{names[goal]} is class {mapped[goal]}" for goal in moved[:3])
    remedy = "Number the people as the model does: in an .npz, people holds the model's classes."
    found = Order(f"another order ({shown}{' ...' if len(moved) > 3 else ''})", remedy, mapped)
    return found if moved else None


def _natural(name: str) -> list[tuple[int, int | str]]:
    """Returns what sorts names as people do: numbers by their value."""
    parts = re.split(r"(\d+)", name.lower())
    return [(0, int(part)) if part.isdigit() else (1, part) for part in parts if part]


def _other(order: Order) -> Iterator[Order]:
    """Yields an order unless it is the one of the photos."""
    if (order.classes != np.arange(len(order.classes))).any():
        yield order
