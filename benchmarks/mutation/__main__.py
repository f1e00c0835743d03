"""``python -m benchmarks.mutation MODULE``: the mutants of one module, told as they are tried.

With ``--since 120`` it goes on where it was stopped.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Sequence
from itertools import chain
from pathlib import Path

from benchmarks.mutation.claims import PARTS, Change, equivalents
from benchmarks.mutation.mutants import mutants_of
from benchmarks.mutation.trial import Bench, Subject
from darkroom.errors import nearest

SUBJECTS = {one.module: one for one in chain(*PARTS.values())}


def main(arguments: Sequence[str] | None = None) -> int:
    """Tries the mutants of one module.

    Returns:
        0 if no mutant survives that makes a difference, 1 if one does, 2 for bad input.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks.mutation", description=__doc__)
    parser.add_argument("module", help=", ".join(SUBJECTS))
    parser.add_argument("--since", type=int, default=0, help="the first mutant, counted from 0")
    parser.add_argument("--until", type=int, help="where to end: the first that is not tried")
    chosen = parser.parse_args(arguments)
    if chosen.module not in SUBJECTS:
        named = nearest(chosen.module, SUBJECTS)
        print(f"no module {chosen.module!r} is changed: {named}", file=sys.stderr)
        return 2
    os.nice(10)
    return 1 if _survivors(SUBJECTS[chosen.module], slice(chosen.since, chosen.until)) else 0


def _survivors(subject: Subject, chosen: slice) -> int:
    """Tells of each mutant that survives and makes a difference; returns how many there are."""
    reasons, survivors, tried = equivalents(), 0, 0
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder) / "src")
        limit = 5 + 5 * bench.seconds(subject)
        for number, mutant in [*enumerate(mutants_of(bench.source_of(subject)))][chosen]:
            if Change(subject.module, mutant.was, mutant.becomes) in reasons:
                continue
            survives = bench.survives(subject, mutant.source, limit)
            tried, survivors = tried + 1, survivors + survives
            print(
                f"{number}: {'SURVIVES' if survives else 'killed'}, line {mutant.line}", flush=True
            )
            if survives:
                print(f"    {mutant.was!r}\n    {mutant.becomes!r}", flush=True)
    print(f"{subject.module}: {survivors} of {tried} survive for no reason that is known")
    return survivors


if __name__ == "__main__":
    sys.exit(main())
