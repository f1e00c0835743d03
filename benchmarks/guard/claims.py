"""The guard's claims: never over, fast, as slow for attackers as it says, and calm."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.claims import Claim, Outcome, Table, tell
from benchmarks.guard.detector import detector_claims
from benchmarks.guard.holding import holding_claims
from benchmarks.guard.servers import has_postgres, has_redis, postgres_server, redis_server
from benchmarks.guard.speed import speed_claims

UNSEEN = 8
"""Added to the seed of the detector's traffic: 0 and 1 decided how its limits are fitted."""


def run(*, quick: bool, seed: int) -> Outcome:
    """Kills processes at random moments, times requests, attacks, and watches honest traffic.

    Args:
        quick: Whether to play 10 rounds instead of 100, time for a shorter while, and watch fewer
            days.
        seed: Decides everything random.
    """
    found = (
        never_over_claims(10 if quick else 100, seed),
        speed_claims(quick=quick, seed=seed),
        holding_claims(),
        detector_claims(quick=quick, seed=seed + UNSEEN),
    )
    return Outcome(
        [claim for claims, _ in found for claim in claims],
        [table for _, tables in found for table in tables],
    )


def never_over_claims(rounds: int, seed: int) -> tuple[list[Claim], list[Table]]:
    """Plays rounds of eight processes with four guards each, killed at random moments.

    A store whose server is not installed has no figure, which is a shortfall.
    """
    claims: list[Claim] = []
    table: list[list[object]] = []
    for kind in ("sqlite", "redis", "postgres"):
        text = f"{kind}: share of {rounds} rounds with SIGKILL where released <= charged <= limit"
        with _address(kind) as address:
            if address is None:
                claims.append(Claim(f"{text} (no server here)", 1.0, None))
                continue
            tell(f"never over: {rounds} rounds on {kind}")
            command = [sys.executable, "-m", "benchmarks.guard.never_over", kind, address]
            done = subprocess.run(
                [*command, str(rounds), str(seed)], capture_output=True, text=True, check=False
            )
        played = [json.loads(line) for line in done.stdout.splitlines()]
        claims.append(Claim(text, 1.0, sum(one["holds"] for one in played) / rounds))
        sums = [sum(one[name] for one in played) for name in ("released", "asked", "charged")]
        spent = sum(one["charged"] == one["limit"] for one in played)
        table.append([kind, len(played), *sums, spent])
    columns = ("store", "rounds", "released", "asked", "charged", "rounds with all spent")
    return claims, [Table("Rows in rounds with SIGKILL, 8 processes with 4 guards", columns, table)]


@contextmanager
def _address(kind: str) -> Iterator[str | None]:
    if kind == "sqlite":
        with tempfile.TemporaryDirectory(prefix="darkroom-sqlite-") as folder:
            yield str(Path(folder) / "guard.sqlite")
    elif kind == "redis" and has_redis():
        with redis_server() as url:
            yield url
    elif kind == "postgres" and has_postgres():
        with postgres_server() as url:
            yield url
    else:
        yield None
