"""Rounds in which processes that share a run are killed at random moments."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.claims import Claim, Table, tell
from benchmarks.scale.counted import LOG
from benchmarks.scale.subjects import (
    darkroom,
    finish,
    has_ray,
    results_without_times,
    write_table_plan,
)
from darkroom.auditing.claims import Claims
from darkroom.auditing.store import Store

CELLS, PROCESSES, KILLS = 8, 3, 2

PROGRAM = ("-m", "benchmarks.scale.counted")
RUN = Path("runs") / "scale"


def crash_claims(folder: Path, *, quick: bool, seed: int) -> tuple[list[Claim], list[Table]]:
    """Kills an audit and the workers that join it, again and again.

    In every third round whoever takes up the cell of one that was killed is killed too.

    Args:
        folder: Empty.
        quick: Fewer rounds.
        seed: Decides who is killed, and when.
    """
    rounds, of_ray = (4, 1) if quick else (44, 6)
    of_ray = of_ray if has_ray() else 0
    write_table_plan(folder, CELLS, seed)
    os.environ[LOG] = str(folder / "log")
    os.environ["PYTHONPATH"] = os.pathsep.join([str(Path.cwd()), os.environ.get("PYTHONPATH", "")])
    undisturbed = _finished(folder)
    rng = np.random.default_rng([seed, 2])
    rows: list[tuple[int, str, int, int, bool]] = []
    differ = spare = 0
    for number in range(rounds + of_ray):
        if number < rounds:
            # Two processes start in less time than three, who meet more often.
            killed = _round(folder, rng, PROCESSES - number % 2, one_cell=number % 3 == 2)
        else:
            killed = _round_of_ray(folder, rng)
        same = _finished(folder) == undisturbed
        ends = len((folder / "log").read_text().splitlines()) - CELLS
        differ += not same
        spare += max(0, ends - killed)
        who = "workers" if number < rounds else "the driver of Ray"
        rows.append((number, who, killed, ends, same))
        tell(f"round {number + 1}: {killed} of {who} killed, {ends} cells run again, {same}")
    columns = ("round", "who", "killed", "cells run again", "results the same")
    claims = _claims(rows, rounds, differ, spare)
    return claims, [Table("Rounds of SIGKILL", columns, rows)]


def _claims(
    rows: Sequence[tuple[int, str, int, int, bool]], rounds: int, differ: int, spare: int
) -> list[Claim]:
    """Returns what rounds come to, those of workers first."""
    return [
        Claim(
            f"crashes: rounds of {len(rows)} with SIGKILL after which results differ",
            0,
            differ,
            at_most=True,
        ),
        Claim("crashes: cells run again to their end beyond one a kill", 0, spare, at_most=True),
        Claim("crashes: workers and audits killed", rounds, sum(row[2] for row in rows[:rounds])),
        Claim(
            "crashes: drivers of Ray killed",
            1 if rounds < 10 else 6,
            sum(row[2] for row in rows[rounds:]) if len(rows) > rounds else None,
        ),
    ]


def _finished(folder: Path) -> bytes:
    """Goes on with the run until it is done, and returns what it found."""
    finish(darkroom(folder, "audit", "plan.toml", "--resume", program=PROGRAM), folder)
    return results_without_times(folder / RUN)


def _round_of_ray(folder: Path, rng: np.random.Generator) -> int:
    """Begins the run anew with Ray, and kills its driver; returns whether it did."""
    _anew(folder)
    plan = (folder / "plan.toml").read_text()
    (folder / "by-ray.toml").write_text(plan.replace("[run]", '[run]\nengine = "ray"', 1))
    driver = darkroom(folder, "audit", "by-ray.toml", program=PROGRAM)
    while not list((folder / RUN / "claims").glob("*.json")) and driver.poll() is None:
        time.sleep(0.02)
    time.sleep(float(rng.uniform(0, 5)))
    killed = driver.poll() is None
    driver.kill()
    driver.wait()
    return int(killed)


def _anew(folder: Path) -> None:
    shutil.rmtree(folder / RUN)
    (folder / "log").unlink()
    (folder / "log").touch()


def _round(folder: Path, rng: np.random.Generator, processes: int, *, one_cell: bool) -> int:
    """Begins the run anew, and kills some of those who work on it; returns how many it killed."""
    _anew(folder)
    everybody = [darkroom(folder, "audit", "plan.toml", "--resume", program=PROGRAM)]
    everybody += [
        darkroom(folder, "work", str(RUN), "--wait", "60", program=PROGRAM)
        for _ in range(processes - 1)
    ]
    claims = Claims(Store(folder / RUN))
    while not claims.holders() and everybody[0].poll() is None:
        time.sleep(0.02)
    killed = 0
    for _ in range(KILLS):
        time.sleep(float(rng.uniform(0.05, 0.9)))
        killed += _heirs(claims, everybody) if one_cell else _kill(everybody, rng)
    for one in everybody:
        one.wait()
    return killed


def _kill(everybody: Sequence[subprocess.Popen[bytes]], rng: np.random.Generator) -> int:
    """Kills one of those who are alive."""
    alive = [one for one in everybody if one.poll() is None]
    if not alive:
        return 0
    alive[rng.integers(len(alive))].kill()
    return 1


def _heirs(claims: Claims, everybody: Sequence[subprocess.Popen[bytes]]) -> int:
    """Kills who works on a cell, and then who takes that cell up."""
    held = [(key, one.process) for key, one in claims.holders().items()]
    if not held:
        return 0
    key, process = held[0]
    killed = 0
    until = time.monotonic() + 3
    while killed < 2 and time.monotonic() < until:
        for one in everybody:
            if one.pid == process and one.poll() is None:
                one.kill()
                one.wait()
                killed += 1
        time.sleep(0.02)
        holder = claims.holders().get(key)
        process = process if holder is None else holder.process
    return killed
