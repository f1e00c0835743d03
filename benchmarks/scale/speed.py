"""Sixteen equal cells by one worker, by two, and by one process with all processors."""

from __future__ import annotations

import os
import time
from pathlib import Path

from benchmarks.claims import Claim, Table, tell
from benchmarks.scale.faces import write_face_plan
from benchmarks.scale.subjects import darkroom, finish, has_ray, results_without_times
from darkroom.auditing.threads import cores

CELLS = 16

QUICK, FULL = 300, 700
"""Steps of each attack."""

RAY = "Ray, tasks of one thread"

WAYS: dict[str, tuple[int, int | None]] = {
    "one worker of one thread": (1, 1),
    "two workers of one thread each": (2, 1),
    "one process with all processors": (1, None),
    RAY: (1, 1),
}
"""How the same plan is run: workers, and threads of each."""


def speed_claims(folder: Path, *, quick: bool, seed: int) -> tuple[list[Claim], list[Table]]:
    """Times whole audits: start, judges, cells and report.

    Args:
        folder: Empty.
        quick: Cells of two seconds in place of some five.
        seed: Decides the photos.
    """
    steps = QUICK if quick else FULL
    plan = write_face_plan(folder, attacks=range(steps, steps + CELLS), seed=seed)
    by_ray = folder / "by-ray.toml"
    by_ray.write_text(plan.read_text().replace("[run]", '[run]\nengine = "ray"', 1))
    seconds, found = {}, {}
    for name, (workers, threads) in WAYS.items():
        if name == RAY and not has_ray():
            continue
        tell(f"{CELLS} cells by {name}")
        run = folder / "runs" / "scale"
        began = time.monotonic()
        options = [by_ray.name] if name == RAY else [plan.name, "--workers", str(workers)]
        finish(darkroom(folder, "audit", *options, threads=threads), folder)
        seconds[name] = time.monotonic() - began
        found[name] = results_without_times(run)
        run.rename(folder / name.replace(" ", "-"))
    one, two, whole = (seconds[name] for name in list(WAYS)[:3])
    load = os.getloadavg()[0]
    claims = [
        Claim(
            "speed: 16 equal cells, 2 workers of one thread over one such worker", 1.7, one / two
        ),
        Claim("speed: the same over one process with all processors", 1.0, whole / two),
        Claim(
            "speed: the same by Ray over one such worker, its start among it",
            1.5,
            one / seconds[RAY] if RAY in seconds else None,
        ),
        Claim(
            "speed: results of two workers, and by Ray, are those of one",
            1,
            int(len({found[name] for name in found if WAYS[name][1] == 1}) == 1),
        ),
    ]
    rows = [[name, took, took / CELLS] for name, took in seconds.items()]
    title = f"{CELLS} equal cells on {cores()} processors, load {load:.1f} at the end"
    return claims, [Table(title, ("by", "seconds in all", "seconds a cell"), rows)]
