"""Defences on the AT&T faces: a network for 20 of the 40 people, the other 20 public."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.auditing import audited
from benchmarks.claims import tell
from benchmarks.images.att_faces import SPEC, data_folder, load_faces
from benchmarks.images.training import PRIVATE, UNIFORM
from darkroom.auditing.record import Cell

PEOPLE = 20

RECIPE = {"epochs": 60, "batch": 20}

TRAININGS: list[dict[str, Any]] = [
    {"name": UNIFORM},
    {**PRIVATE, "batch": 70, "epsilon": 1.0},
    {**PRIVATE, "batch": 70, "epsilon": 8.0},
]

DEFENSES: list[dict[str, Any]] = [
    {"name": "rounding", "decimals": 1},
    {"name": "label-only"},
    {"name": "reverse-sigmoid"},
    {"name": "sticky-noise", "deviation": 0.2, "version": "1"},
]

ATTACKS: list[dict[str, Any]] = [
    {"name": "gradient", "prior": "eigenfaces"},
    {"name": "evolution", "rows": 1000},
    {"name": "surrogate", "rows": 300},
]


def att_cells(*, seed: int, out: Path, secret: str) -> tuple[Cell, ...]:
    """Audits the models and defences, or goes on with that; no cells where the photos are absent.

    Args:
        seed: Decides everything random.
        out: The folder of all runs.
        secret: For defences that stick to inputs.
    """
    if not (data_folder() / "att_faces.npz").is_file():
        tell("no AT&T faces: DARKROOM_DATA names the folder with att_faces.npz")
        return ()
    inputs = out / f"benchmark-defenses-att-inputs-{seed}"
    inputs.mkdir(parents=True, exist_ok=True)
    faces = load_faces()
    np.savez(inputs / "private.npz", images=faces[:PEOPLE])
    np.savez(inputs / "public.npz", images=faces[PEOPLE:])
    (inputs / "secret").write_text(secret)
    (inputs / "face_model.py").write_text(
        "from darkroom.demo.face_net import face_net\n\n\n"
        f"def build():\n    return face_net({PEOPLE}, {list(SPEC.shape)})\n"
    )
    found: list[Cell] = []
    for kind, trainings, defenses in (("trained", TRAININGS, []), ("answers", [], DEFENSES)):
        name = f"benchmark-defenses-att-{kind}-{seed}"
        table = {
            "run": {"name": name, "seed": seed, "out": str(out), "naive": True},
            "target": {"load": "face_model:build", "shape": list(SPEC.shape)},
            "private": {"images": "private.npz", "trained_on": "0:7"},
            "public": {"images": "public.npz"},
            "recipe": RECIPE,
            "training": trainings or [{"name": "none"}],
            "attack": ATTACKS,
            "defense": [
                {**one, "secret": "file:secret"} if "version" in one else one for one in defenses
            ],
        }
        tell(f"AT&T, {kind}: {len(trainings)} trainings, {len(defenses)} output defences")
        cells = audited(inputs / f"{kind}.toml", table)
        # Both runs have the model without a defence: once is enough.
        found += [cell for cell in cells if not found or cell.defense != "none"]
    return tuple(found)
