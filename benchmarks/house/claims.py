"""``python -m benchmarks house``: how the house itself keeps what it promises."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from tools.release import build, differing

from benchmarks.claims import Claim, Outcome, Table, tell
from benchmarks.house.reference import ROOT, processor_seconds, reference_seconds
from benchmarks.house.shipped import HEAVY, distributions, megabytes

STARTS: dict[str, tuple[str, float]] = {
    "import darkroom": ("import darkroom", 0.3),
    "what a guard imports": ("import darkroom.commands.guard, darkroom.guard.server", 0.5),
}
"""What is started, as Python, and its bar in seconds of the reference."""

TESTS: dict[str, float] = {"quick": 120, "test": 720}
"""How many processor seconds of the reference the tests of ``make quick`` and ``make test`` may
take: on two cores the half of it in minutes."""


def run(*, quick: bool, seed: int) -> Outcome:
    """Measures the house.

    Args:
        quick: Leaves the tests of ``make test`` out.
        seed: No difference: nothing is random.
    """
    del seed
    tell("the reference")
    unit = reference_seconds()
    bare = processor_seconds([sys.executable, "-c", "pass"], 5)
    claims, rows = [], [["the reference", unit, 1.0], ["python -c pass", bare, bare / unit]]
    for name, (code, bar) in STARTS.items():
        tell(name)
        taken = processor_seconds([sys.executable, "-c", code], 5) - bare
        rows.append([name, taken, taken / unit])
        claims.append(_time(name, bar, taken / unit))
    for goal, bar in list(TESTS.items())[: 1 if quick else None]:
        name = f"make {goal}"
        tell(name)
        taken = processor_seconds(pytest_of(goal))
        rows.append([name, taken, taken / unit])
        claims.append(_time(name, bar, taken / unit))
    shipped, room = _shipped()
    times = Table("Processor seconds", ("what", "seconds", "over the reference"), rows)
    return Outcome([*claims, *shipped, *_same_twice()], [times, room])


def _time(name: str, bar: float, ratio: float) -> Claim:
    return Claim(f"{name}: processor time over the reference's", bar, ratio, at_most=True)


def pytest_of(goal: str) -> Sequence[str]:
    """Returns how the Makefile runs the tests of a goal, without the checks that come before."""
    asked = ["make", "--dry-run", "--no-print-directory", goal]
    outside = {"DARKROOM_CI", "MAKEFLAGS", "MAKELEVEL"}
    known = {name: value for name, value in os.environ.items() if name not in outside}
    told = subprocess.run(asked, capture_output=True, text=True, check=True, cwd=ROOT, env=known)
    (line,) = (one for one in told.stdout.splitlines() if "/pytest " in one)
    # The Makefile exports this to what it runs.
    return ("env", "PYTHONDONTWRITEBYTECODE=", "sh", "-c", line)


def _shipped() -> tuple[list[Claim], Table]:
    guard = distributions("guard")
    heavy = Claim(f"guard: of {', '.join(sorted(HEAVY))}", 0, len(guard & HEAVY), at_most=True)
    rows = [["guard", len(guard), megabytes(guard)]]
    return [heavy], Table("What an extra brings", ("extra", "distributions", "MB"), rows)


def _same_twice() -> list[Claim]:
    """Builds wheel and source distribution twice and compares them."""
    with TemporaryDirectory() as temporary:
        first, second = Path(temporary) / "first", Path(temporary) / "second"
        build(first)
        build(second)
        found = differing(first, second)
    return [Claim("wheel and sdist built twice: files that differ", 0, len(found), at_most=True)]
