"""The guard's claims: never over nor open again, fast, in front of real servers, and calm."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.claims import Claim, Outcome, Table, tell
from benchmarks.guard.detector import detector_claims
from benchmarks.guard.formats import fastapi_claims, format_claims
from benchmarks.guard.holding import holding_claims
from benchmarks.guard.operating.day import day_claims
from benchmarks.guard.operating.hostile import hostile_claims
from benchmarks.guard.operating.real_servers import server_claims
from benchmarks.guard.reopening import COPY
from benchmarks.guard.servers import has_postgres, has_redis, postgres_server, redis_server
from benchmarks.guard.speed import speed_claims

UNSEEN = 8
"""Added to the seed of the detector's traffic: 0 and 1 decided how its limits are fitted."""


def run(*, quick: bool, seed: int) -> Outcome:
    """Kills processes, loses ledgers, times requests, attacks, and watches honest traffic.

    Args:
        quick: Whether to play 10 rounds instead of 100, fewer of the ways in which ledgers are
            lost, time for a shorter while, and watch fewer days.
        seed: Decides everything random.
    """
    found = (
        never_over_claims(10 if quick else 100, seed),
        reopening_claims(quick=quick, seed=seed),
        hostile_claims(quick=quick),
        speed_claims(quick=quick, seed=seed),
        format_claims(quick=quick, seed=seed),
        fastapi_claims(quick=quick, seed=seed),
        holding_claims(),
        server_claims(),
        day_claims(),
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


def reopening_claims(*, quick: bool, seed: int) -> tuple[list[Claim], list[Table]]:
    """Does all that could open spent budgets again, with 1 and 4 workers and crashes between.

    A copy that is put back and a process that starts afterwards stand in the table alone: the docs
    say that it cannot know.
    """
    claims: list[Claim] = []
    found: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for kind in ("sqlite", "redis", "postgres"):
        texts = (
            f"{kind}: re-opening: rows over the budget or undefended, 1 and 4 workers, crashes",
            f"{kind}: re-opening: share of times with a line in the log",
        )
        with _address(kind) as address:
            if address is None:
                claims.append(Claim(f"{texts[0]} (no server here)", 0, None, at_most=True))
                claims.append(Claim(f"{texts[1]} (no server here)", 1.0, None))
                continue
            tell(f"re-opening: all ways on {kind}")
            command = [sys.executable, "-m", "benchmarks.guard.reopening", kind, address, str(seed)]
            command += ["--quick"] if quick else []
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        played = [json.loads(line) for line in done.stdout.splitlines()]
        for one in played:
            found.setdefault((one["way"], kind), []).append(one)
        known = [one for one in played if not (one["way"] == COPY and one["crashes"])]
        claims.append(
            Claim(texts[0], 0, sum(one["over"] + one["raw"] for one in known), at_most=True)
        )
        claims.append(Claim(texts[1], 1.0, sum(one["told"] for one in known) / len(known)))
    columns = ("what happens", "store", "times", "rows over", "rows undefended", "told")
    rows = [
        [
            way,
            kind,
            len(many),
            *(sum(one[name] for one in many) for name in ("over", "raw", "told")),
        ]
        for (way, kind), many in found.items()
    ]
    return claims, [Table("Spent budgets, and what could open them again", columns, rows)]


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
