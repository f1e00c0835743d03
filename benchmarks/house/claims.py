"""``python -m benchmarks house``: how the house itself keeps what it promises."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from tools.release import build, differing

from benchmarks.claims import Claim, Outcome, Table, tell
from benchmarks.house.reference import processor_seconds, reference_seconds
from benchmarks.house.shipped import HEAVY, distributions, megabytes

STARTS: dict[str, tuple[str, float]] = {
    "import darkroom": ("import darkroom", 0.3),
    "what a guard imports": ("import darkroom.commands.guard, darkroom.guard.server", 0.5),
}
"""What is started, as Python, and its bar in seconds of the reference."""

TESTS: dict[str, tuple[str, float]] = {
    "make quick": ("not slow and not medium", 120),
    "make test": ("not slow", 720),
}
"""Which tests, and how many processor seconds of the reference they may take: on two cores the
half of it in minutes."""


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
    for name, (which, bar) in list(TESTS.items())[: 1 if quick else None]:
        tell(name)
        taken = processor_seconds(_pytest(which))
        rows.append([name, taken, taken / unit])
        claims.append(_time(name, bar, taken / unit))
    shipped, room = _shipped()
    times = Table("Processor seconds", ("what", "seconds", "over the reference"), rows)
    return Outcome([*claims, *shipped, *_same_twice()], [times, room])


def _time(name: str, bar: float, ratio: float) -> Claim:
    return Claim(f"{name}: processor time over the reference's", bar, ratio, at_most=True)


def _pytest(which: str) -> Sequence[str]:
    split = ("--numprocesses", "auto", "--dist", "worksteal")
    return ("env", "OMP_NUM_THREADS=1", sys.executable, "-m", "pytest", "-m", which, *split)


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
