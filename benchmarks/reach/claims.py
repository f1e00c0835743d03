"""``python -m benchmarks reach``: what people have, and what happens with it."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.claims import Claim, Outcome, Table
from benchmarks.reach.rows import AREAS, Met, meet_all


def run(*, quick: bool, seed: int) -> Outcome:
    """Meets models, data and endpoints of every kind.

    Args:
        quick: No difference: all rows are small.
        seed: No difference: every row has data of its own.
    """
    del quick, seed
    found = list(meet_all())
    return Outcome(_of_rows(found), [_table(found)])


def _of_rows(found: Sequence[Met]) -> list[Claim]:
    """Returns what is claimed of the rows."""
    claims = [
        Claim(f"{area}, rows", bar, sum(one.area == area for one in found))
        for area, bar in AREAS.items()
    ]
    for text, ending in (
        ("rows with a traceback", "traceback"),
        ("rows with a wrong answer", "wrong answer"),
        ("rows refused without a way", "no way named"),
    ):
        count = sum(one.ending == ending for one in found)
        claims.append(Claim(text, 0, count, at_most=True))
    return claims


def _table(found: Sequence[Met]) -> Table:
    """Returns what happened with each row."""
    columns = ("area", "library", "what", "ends in", "said")
    return Table("What people have", columns, [(*one[:4], one.said[:160]) for one in found])
