"""``python -m benchmarks scale``: workers, crashes, what is kept, one pace, the demo, a GPU."""

from __future__ import annotations

import tempfile
from pathlib import Path

from benchmarks.claims import Outcome
from benchmarks.scale.accelerator import accelerator_claims
from benchmarks.scale.crashes import crash_claims
from benchmarks.scale.demo import demo_claims
from benchmarks.scale.goals import goal_claims
from benchmarks.scale.kept import kept_claims
from benchmarks.scale.pace import pace_claims
from benchmarks.scale.speed import speed_claims

PARTS = (
    kept_claims,
    pace_claims,
    goal_claims,
    crash_claims,
    demo_claims,
    speed_claims,
    accelerator_claims,
)


def run(*, quick: bool, seed: int) -> Outcome:
    """Runs audits by several processes.

    Args:
        quick: Shorter cells, and fewer rounds of killing.
        seed: Decides the rows, and who is killed when.
    """
    outcome = Outcome([], [])
    with tempfile.TemporaryDirectory() as folder:
        for measured in PARTS:
            place = Path(folder) / measured.__name__
            place.mkdir()
            claims, tables = measured(place, quick=quick, seed=seed)
            outcome.claims.extend(claims)
            outcome.tables.extend(tables)
    return outcome
