"""Who is worst off: the attack against a guess without the model, group by group."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from darkroom.statistics.intervals import Interval, clopper_pearson
from darkroom.statistics.multiplicity import holm
from darkroom.statistics.paired import newcombe_paired, sign_test
from darkroom.statistics.stratified import alike, together

SMALLEST = 10
"""Groups of fewer rows are neither tested nor shown: they would say much of few people."""


class Group(NamedTuple):
    """Rows that agree in one column.

    Attributes:
        column: The column.
        value: What they have in common.
        n: How many they are.
        success: The attack's accuracy.
        baseline: That of the guess without the model.
        advantage: The difference on the same rows.
        p_value: Of the exact sign test that the attack is right more often; of a sensitive value,
            the larger of that and of the test that it names the value more often where it is true.
        p_adjusted: The same after Holm's correction for the number of groups.
    """

    column: str
    value: str
    n: int
    success: Interval
    baseline: Interval
    advantage: Interval
    p_value: float
    p_adjusted: float


class Division(NamedTuple):
    """A way to divide rows into groups.

    Attributes:
        column: What it is called.
        values: What each group is called.
        place: The group of each row, int64 ``(n,)``; -1 for none.
        sensitive: Whether the groups are those of the sensitive values, the candidates in order.
    """

    column: str
    values: Sequence[str]
    place: NDArray[np.int64]
    sensitive: bool = False


class Guesses(NamedTuple):
    """What two guessers say of sensitive values.

    Attributes:
        guess: The candidate that the attack names, ``(n,)``.
        imputed: How probable each is without the model, ``(n, candidates)``.
    """

    guess: NDArray[np.int64]
    imputed: NDArray[np.float64]


def compare(hits: NDArray[np.bool_], baseline: NDArray[np.bool_]) -> Interval:
    """Returns the paired advantage of one guesser over another on the same rows.

    Args:
        hits: Whether the attack is right, ``(n,)``, at least one row.
        baseline: Whether the other is, ``(n,)``.
    """
    both, first = int((hits & baseline).sum()), int((hits & ~baseline).sum())
    second = int((~hits & baseline).sum())
    return newcombe_paired(both, first, second, len(hits) - both - first - second)


def groups_of(
    hits: NDArray[np.bool_],
    baseline: NDArray[np.bool_],
    divisions: Sequence[Division],
    guesses: Guesses | None = None,
) -> list[Group]:
    """Tests every group of at least :data:`SMALLEST` rows, the most exposed first.

    Who names a rare value at random is right about more of those who have it than imputation, which
    names it of nobody. So among rows with one sensitive value the attack must also name the value
    more often where it is true, among rows to which imputation gives about the same chance of it.

    Args:
        hits: Whether the attack is right, ``(n,)``.
        baseline: Whether the guess without the model is, ``(n,)``.
        divisions: Ways to divide the rows; groups of different divisions overlap.
        guesses: What both say; needed where groups are those of the sensitive values.
    """
    found: list[Group] = []
    for division in divisions:
        for place, value in enumerate(division.values):
            rows = division.place == place
            if rows.sum() < SMALLEST:
                continue
            right, usual = hits[rows], baseline[rows]
            p_value = sign_test(int((right & ~usual).sum()), int((~right & usual).sum()))
            if division.sensitive and guesses is not None:
                strata = alike(guesses.imputed[:, place])
                p_value = max(p_value, together(guesses.guess == place, rows, strata))
            found.append(
                Group(
                    division.column,
                    value,
                    int(rows.sum()),
                    clopper_pearson(int(right.sum()), len(right)),
                    clopper_pearson(int(usual.sum()), len(usual)),
                    compare(right, usual),
                    p_value,
                    p_value,
                )
            )
    return _corrected(found)


def least_sure(tests: Sequence[Sequence[Group]]) -> list[Group]:
    """Returns each group against the baseline over which the attack is least surely better.

    Args:
        tests: The same groups against each baseline; see :func:`groups_of`.
    """
    alike: dict[tuple[str, str], list[Group]] = {}
    for group in chain.from_iterable(tests):
        alike.setdefault((group.column, group.value), []).append(group)
    return _corrected(
        [
            max(same, key=lambda group: (group.p_value, -group.advantage.estimate))
            for same in alike.values()
        ]
    )


def _corrected(found: Sequence[Group]) -> list[Group]:
    """Returns groups with Holm's correction for their number, the most exposed first."""
    adjusted = holm(np.array([group.p_value for group in found]))
    corrected = [
        group._replace(p_adjusted=float(value))
        for group, value in zip(found, adjusted, strict=True)
    ]
    return sorted(corrected, key=lambda group: (group.p_value, -group.advantage.estimate))


class Bin(NamedTuple):
    """Rows about whose guess the attacker is about equally sure.

    Attributes:
        n: How many.
        claimed: The attacker's mean probability for its guess.
        right: How often the guess is right.
    """

    n: int
    claimed: float
    right: Interval


def calibration(claimed: NDArray[np.float64], hits: NDArray[np.bool_], most: int = 8) -> list[Bin]:
    """Compares how sure an attacker is with how often it is right.

    Args:
        claimed: Its probability for its guess, ``(n,)``.
        hits: Whether the guess is right, ``(n,)``.
        most: Bins of equal number; rows with the same probability stay together, and bins have at
            least :data:`SMALLEST` rows, so there may be fewer.
    """
    parts = max(1, min(most, len(claimed) // SMALLEST))
    edges = np.unique(np.quantile(claimed, np.arange(1, parts) / parts))
    place = np.searchsorted(edges, claimed, side="right")
    return [
        Bin(
            int(rows.sum()),
            float(claimed[rows].mean()),
            clopper_pearson(int(hits[rows].sum()), int(rows.sum())),
        )
        for rows in (place == one for one in range(len(edges) + 1))
        if rows.any()
    ]
