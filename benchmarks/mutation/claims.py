"""``python -m benchmarks mutation``: what tests do not notice when code is changed.

Each mutant is a module with one change. It is *killed* where a test then fails, and *survives*
where all pass. A survivor shows a test that is missing, unless the change makes no difference to
anybody: ``equivalent.toml`` says of each of those why. All others that survive are a shortfall.
"""

from __future__ import annotations

import os
import random
import tempfile
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from benchmarks.claims import Claim, Outcome, Table, tell
from benchmarks.mutation.mutants import Mutant, mutants_of
from benchmarks.mutation.subjects import GUARD, LEDGER, STATISTICS
from benchmarks.mutation.trial import Bench, Subject

PARTS = {"statistics": STATISTICS, "the guard's rules": GUARD, "the ledger of queries": LEDGER}
SHARE = 10
"""``--quick`` tries one mutant of so many."""


class Change(NamedTuple):
    """What tells a mutant from others, wherever its lines have moved to."""

    module: str
    was: str
    becomes: str


class Found(NamedTuple):
    """What became of a module's mutants.

    Attributes:
        subject: The module.
        tried: How many there were.
        equivalent: Survivors that make no difference, and a reason for each stands in the file.
        survivors: The others.
    """

    subject: Subject
    tried: int
    equivalent: list[Change]
    survivors: list[Mutant]


def run(*, quick: bool, seed: int) -> Outcome:
    """Tries all mutants.

    Args:
        quick: One of ten, drawn at random.
        seed: Decides which.
    """
    os.nice(10)
    reasons = equivalents()
    rng = random.Random(seed) if quick else None
    claims, rows, survivors, used = [], [], [], set[Change]()
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder) / "src")
        for part, subjects in PARTS.items():
            found = list(_tried(bench, subjects, reasons, rng))
            left = sum(len(one.survivors) for one in found)
            tried = sum(one.tried for one in found)
            claims.append(Claim(f"{part}: of {tried} mutants, survivors", 0, left, at_most=True))
            rows += [_row(one) for one in found]
            survivors += [_told(one.subject, mutant) for one in found for mutant in one.survivors]
            used |= {change for one in found for change in one.equivalent}
    if not quick:
        text = "reasons in equivalent.toml for mutants that there are no more, or that are killed"
        claims.append(Claim(text, 0, len(reasons.keys() - used), at_most=True))
        survivors += [
            (one.module, "no more", one.was, one.becomes) for one in reasons.keys() - used
        ]
    columns = ("module", "mutants", "killed", "equivalent", "survivors")
    tables = [Table("Mutants", columns, rows)]
    if survivors:
        tables.append(Table("Survivors", ("module", "line", "was", "becomes"), survivors))
    return Outcome(claims, tables)


def equivalents() -> dict[Change, str]:
    """Reads the mutants that make no difference, and why."""
    text = Path(__file__).with_name("equivalent.toml").read_text(encoding="utf-8")
    return {
        Change(module, one["was"], one["becomes"]): one["because"]
        for module, each in tomllib.loads(text).items()
        for one in each
    }


def _tried(
    bench: Bench,
    subjects: Sequence[Subject],
    reasons: dict[Change, str],
    rng: random.Random | None,
) -> Iterator[Found]:
    for subject in subjects:
        mutants = list(mutants_of(bench.source_of(subject)))
        if rng is not None:
            mutants = rng.sample(mutants, max(1, len(mutants) // SHARE))
        tell(f"{subject.module}: {len(mutants)} mutants")
        limit = 5 + 5 * bench.seconds(subject)
        left = [one for one in mutants if bench.survives(subject, one.source, limit)]
        changes = [Change(subject.module, one.was, one.becomes) for one in left]
        known = [one for one in changes if one in reasons]
        unknown = [one for change, one in zip(changes, left, strict=True) if change not in reasons]
        yield Found(subject, len(mutants), known, unknown)


def _row(found: Found) -> tuple[object, ...]:
    equivalent, survivors = len(found.equivalent), len(found.survivors)
    killed = found.tried - equivalent - survivors
    return (found.subject.module, found.tried, killed, equivalent, survivors)


def _told(subject: Subject, mutant: Mutant) -> tuple[object, ...]:
    was, becomes = (" / ".join(one.splitlines()) for one in (mutant.was, mutant.becomes))
    return (subject.module, mutant.line, was, becomes)
