"""The demo, timed as users meet it: from the command to its last line, without installation."""

from __future__ import annotations

import json
import os
import re
import time
from pathlib import Path

from benchmarks.claims import Claim, Table, tell
from benchmarks.house.reference import reference_seconds
from benchmarks.scale.subjects import SAID, darkroom, finish
from darkroom.auditing.threads import cores

SECONDS = 120.0
RUNS = ("demo", "demo-table", "demo-text")
WANTED = {
    ("demo", "gradient"): 0.925,
    ("demo", "evolution"): 0.65,
    ("demo", "surrogate"): 0.65,
    ("demo-table", "map"): 1.0,
    ("demo-table", "tree-counts"): 1.0,
    ("demo-text", "best-first"): 0.6,
    ("demo-text", "sampling"): 0.55,
}
"""What its attacks have come to before, about: what makes it faster must not make it say less."""

_STAGE = re.compile(r"^(.+): 100%, (\d+):(\d\d)$", re.MULTILINE)


def demo_claims(folder: Path, *, quick: bool, seed: int) -> tuple[list[Claim], list[Table]]:
    """Runs ``darkroom demo`` with all three kinds.

    Args:
        folder: Empty.
        quick: Makes no difference.
        seed: Of the demo.
    """
    del quick
    tell("the demo")
    began = time.monotonic()
    command = ("demo", "--out", "runs", "--seed", str(seed))
    finish(darkroom(folder, *command, threads=None), folder)
    took, load = time.monotonic() - began, os.getloadavg()[0]
    unit = reference_seconds()
    rows, less, surely, leaks = [], 0, 0, 0
    for name in RUNS:
        results = json.loads((folder / "runs" / name / "results.json").read_text())
        leaks += results["verdict"]["outcome"] == "leak"
        for cell in results["cells"]:
            success, wanted = cell["success"]["estimate"], WANTED[name, cell["attack"]]
            less += success < wanted
            surely += cell["success"]["high"] < wanted
            rows.append([name, cell["attack"], cell["access"], success, wanted, cell["seconds"]])
    said = (folder / SAID).read_text()
    stages = [[what, 60 * int(minutes) + int(rest)] for what, minutes, rest in _STAGE.findall(said)]
    claims = [
        Claim("demo: seconds, three kinds, without installation", SECONDS, took, at_most=True),
        Claim("demo: the same at the pace of the reference", SECONDS, took / unit, at_most=True),
        Claim("demo: verdicts that are a leak, of 3", 3, leaks),
        Claim("demo: attacks that have less than before", 0, less, at_most=True),
        Claim("demo: attacks that have surely less than before", 0, surely, at_most=True),
    ]
    columns = ("run", "attack", "access", "success", "at least", "seconds")
    title = (
        f"The demo's stages in its first process, {cores()} processors, load {load:.1f} at the end"
    )
    return claims, [
        Table("What the demo's attacks come to", columns, rows),
        Table(title, ("stage", "seconds"), stages),
    ]
