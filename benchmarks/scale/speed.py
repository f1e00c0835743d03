"""Sixteen equal cells by one worker, by two, and by one process with all processors."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.claims import Claim, Table, tell
from benchmarks.scale.faces import write_face_plan
from benchmarks.scale.subjects import darkroom, finish, has_ray, results_without_times
from darkroom.auditing.threads import cores

CELLS = 16

QUICK, FULL = 1000, 10_000
"""Steps of each attack: about two seconds, and twenty."""

BLOCK = 2
"""Of the eight people, where one cell is shared."""

RAY = "Ray, tasks of one thread"

ONE = "one worker of one thread"

WAYS: dict[str, tuple[int, int | None]] = {
    ONE: (1, 1),
    "two workers of one thread each": (2, 1),
    "one process with all processors": (1, None),
    RAY: (1, 1),
}
"""How the same plan is run: workers, and threads of each."""


SHARED = ("a large cell in four blocks, one worker", "the same, two workers")


def speed_claims(folder: Path, *, quick: bool, seed: int) -> tuple[list[Claim], list[Table]]:
    """Times whole audits: start, judges, cells and report.

    Args:
        folder: Empty.
        quick: Cells of two seconds in place of some twenty.
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
    shared, alike = _shared_cell(folder, 2 * steps, seed)
    load = os.getloadavg()[0]
    claims = _claims(seconds, found, alike=alike)
    one = seconds[ONE]
    rows: list[list[object]] = [[name, took, one / took] for name, took in seconds.items()]
    rows += [[name, took, shared[0] / took] for name, took in zip(SHARED, shared, strict=True)]
    rows.append(["two bare loops of one thread each, over one", None, _floor()])
    title = f"{CELLS} equal cells on {cores()} processors, load {load:.1f} at the end"
    return claims, [Table(title, ("by", "seconds in all", "times as fast as one"), rows)]


def _claims(seconds: dict[str, float], found: dict[str, bytes], *, alike: bool) -> list[Claim]:
    one, two, whole = (seconds[name] for name in list(WAYS)[:3])
    ray = one / seconds[RAY] if RAY in seconds else None
    same = len({found[name] for name in found if WAYS[name][1] == 1}) == 1
    return [
        Claim(
            "speed: 16 equal cells, 2 workers of one thread over one such worker", 1.7, one / two
        ),
        Claim("speed: the same over one process with all processors", 1.0, whole / two),
        Claim("speed: the same by Ray over one such worker, its start among it", 1.5, ray),
        Claim("speed: results of two workers, and by Ray, are those of one", 1, int(same)),
        Claim(
            "speed: results of a cell in blocks, by two workers and by one, are alike",
            1,
            int(alike),
        ),
    ]


def _shared_cell(folder: Path, steps: int, seed: int) -> tuple[list[float], bool]:
    """Times one large cell whose blocks one worker makes, and two.

    Returns:
        The seconds of each, and whether both have the same results.
    """
    place = folder / "one-cell"
    place.mkdir()
    plan = write_face_plan(place, attacks=[steps], seed=seed)
    plan.write_text(plan.read_text().replace("[run]", f"[run]\nblock = {BLOCK}", 1))
    seconds, found = [], set()
    for workers, name in enumerate(SHARED, 1):
        tell(name)
        run = place / "runs" / "scale"
        began = time.monotonic()
        finish(darkroom(place, "audit", plan.name, "--workers", str(workers), threads=1), place)
        seconds.append(time.monotonic() - began)
        found.add(results_without_times(run))
        run.rename(place / str(workers))
    return seconds, len(found) == 1


LOOP = """
import time, torch
torch.set_num_threads(1)
layers = torch.nn.Conv2d(3, 16, 5, 2, 2), torch.nn.ReLU(), torch.nn.Conv2d(16, 32, 3, 2, 1)
net = torch.nn.Sequential(*layers)
rows = torch.randn(16, 3, 32, 32)
for times in (200, 4000):
    began = time.monotonic()
    for _ in range(times):
        net(rows.requires_grad_()).sum().backward()
print(time.monotonic() - began)
"""
"""Bare passes as in the cells, in a process that shares nothing."""


def _floor() -> float:
    """Returns how much more two processes that share nothing get done here than one."""

    def timed(processes: int) -> float:
        begun = [
            subprocess.Popen([sys.executable, "-c", LOOP], stdout=subprocess.PIPE, text=True)
            for _ in range(processes)
        ]
        return statistics.mean(float(one.communicate()[0]) for one in begun)

    return statistics.median(2 * timed(1) / timed(2) for _ in range(3))
