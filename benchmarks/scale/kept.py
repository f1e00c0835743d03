"""What is made again after one attack of a plan has changed."""

from __future__ import annotations

from pathlib import Path

from benchmarks.claims import Claim, Table, tell
from benchmarks.scale.faces import write_face_plan
from darkroom.runs import audit_plan


def kept_claims(folder: Path, *, quick: bool, seed: int) -> tuple[list[Claim], list[Table]]:
    """Audits two models that it trains, changes one attack, and goes on with the run.

    Args:
        folder: Empty.
        quick: Makes no difference.
        seed: Decides the photos.
    """
    del quick
    tell("an audit of two trained models, then of one attack changed")
    plan = write_face_plan(folder, attacks=[4, 5], seed=seed, trained=True)
    run = audit_plan(plan, progress=False).folder
    before = _made(run)
    write_face_plan(folder, attacks=[4, 6], seed=seed, trained=True)
    cells = {path.name for path in (run / "cells").iterdir()}
    audit_plan(plan, resume=True, progress=False)
    again = sorted(name for name, when in _made(run).items() if before.get(name) != when)
    new = len({path.name for path in (run / "cells").iterdir()} - cells)
    claims = [
        Claim(
            "resume: judges, priors and models made again after a change of one attack",
            0,
            len(again),
            at_most=True,
        ),
        Claim("resume: cells run anew after it", 2, new),
    ]
    rows = [[name, name in again] for name in sorted(before)]
    return claims, [Table("Kept by the run", ("file", "made again"), rows)]


def _made(run: Path) -> dict[str, int]:
    """Returns when each artefact and model was written, by name."""
    folders = (run / "artefacts", run / "models")
    return {path.name: path.stat().st_mtime_ns for one in folders for path in one.iterdir()}
