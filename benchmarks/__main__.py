"""``python -m benchmarks NAME``: measures what the project says of itself."""

from __future__ import annotations

import argparse
import importlib
import sys

from benchmarks.claims import Outcome, show
from darkroom.errors import DarkroomError, nearest

PLACES = {
    "faces": "benchmarks.images.faces",
    "blackbox": "benchmarks.images.blackbox",
    "tables": "benchmarks.tables.claims",
    "text": "benchmarks.text.secrets",
    "defenses": "benchmarks.images.defenses",
    "guard": "benchmarks.guard.claims",
    "verdict": "benchmarks.verdict.claims",
    "reach": "benchmarks.reach.claims",
    "scale": "benchmarks.scale.claims",
    "lab": "benchmarks.lab.claims",
    "house": "benchmarks.house.claims",
    "verifiers": "benchmarks.verifiers.claims",
    "mutation": "benchmarks.mutation.claims",
    "nets": "benchmarks.nets.claims",
}


def main(arguments: list[str] | None = None) -> int:
    """Runs one benchmark.

    Returns:
        0 if every claim holds, 1 if one falls short, 2 for bad input.
    """
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measures what the project says of itself: a row a claim, then JSON.",
    )
    parser.add_argument("name", metavar="NAME", help=", ".join(PLACES))
    parser.add_argument("--quick", action="store_true", help="a smaller version, some minutes")
    parser.add_argument("--json", action="store_true", help="print nothing but the JSON line")
    parser.add_argument("--seed", type=int, default=0, help="decides everything random")
    chosen = parser.parse_args(arguments)
    if chosen.name not in PLACES:
        print(
            f"no benchmark is called {chosen.name!r}: {nearest(chosen.name, PLACES)}",
            file=sys.stderr,
        )
        return 2
    try:
        module = importlib.import_module(PLACES[chosen.name])
        outcome: Outcome = module.run(quick=chosen.quick, seed=chosen.seed)
    except DarkroomError as error:
        print(error, file=sys.stderr)
        return 2
    return show(chosen.name, outcome, quick=chosen.quick, bare=chosen.json)


if __name__ == "__main__":
    sys.exit(main())
