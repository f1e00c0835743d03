"""``python -m benchmarks reach``: what people have, and what happens with it."""

from __future__ import annotations

import multiprocessing
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor

from benchmarks.claims import Claim, Outcome, Table
from benchmarks.reach.memory import BOUND, peak
from benchmarks.reach.rows import AREAS, Met, meet_all
from benchmarks.reach.wrong.inputs import faults
from benchmarks.reach.wrong.mistakes import Told, told

INPUTS, QUICK = 2000, 200


def run(*, quick: bool, seed: int) -> Outcome:
    """Meets models, data and endpoints of every kind.

    Args:
        quick: Fewer wrong inputs; all rows are small.
        seed: No difference: every row has data of its own.
    """
    del seed
    answers = list(told())
    context = multiprocessing.get_context("spawn")
    # Commands change folder and arguments of their process: they have one of their own.
    with ProcessPoolExecutor(1, mp_context=context) as apart:
        running = apart.submit(faults, QUICK if quick else INPUTS)
        found = list(meet_all())
        wrong, ended = running.result()
    claims = [
        *_of_rows(found),
        Claim("wrong inputs", QUICK if quick else INPUTS, ended.total()),
        Claim("wrong inputs with a fault", 0, len(wrong), at_most=True),
        Claim(
            "newcomers' mistakes with a line that names the way", 10, sum(x.right for x in answers)
        ),
        Claim(
            f"peak memory in GB, ResNet-18's layout at 224 pixels, memory = {BOUND!r}",
            float(BOUND.split()[0]),
            peak(),
            at_most=True,
        ),
    ]
    tables = [_table(found), Table("Newcomers' mistakes", Told._fields, answers)]
    if wrong:
        rows = [(" ".join(x.case.command)[:80], x.case.name, x.what, x.said[-200:]) for x in wrong]
        tables.append(Table("Faults", ("command", "file", "fault", "said"), rows))
    return Outcome(claims, tables)


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
