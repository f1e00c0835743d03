"""A plan of equal attacks on a small net of rendered people."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tomli_w
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import nn

from darkroom.demo.people.employees import render_faces
from darkroom.imports import call_import

PEOPLE, PHOTOS, TRAINED_ON, STRANGERS, SIDE = 8, 6, 4, 24, 32

MODEL = f"""\
import torch
from torch import nn


def build():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 16, 5, 2, 2), nn.ReLU(), nn.Conv2d(16, 32, 3, 2, 1), nn.ReLU(),
        nn.Flatten(), nn.Linear(32 * {SIDE // 4} ** 2, {PEOPLE}),
    )
"""


def write_face_plan(
    folder: Path, *, attacks: Sequence[int], seed: int, trained: bool = False
) -> Path:
    """Writes a plan, with all that it names.

    Args:
        folder: Where.
        attacks: The steps of each attack.
        seed: Decides the photos.
        trained: Whether a second model is trained, with a defence.
    """
    people = render_faces(PEOPLE, PHOTOS, role="employees", seed=seed, size=SIDE)
    others = render_faces(STRANGERS, 4, role="strangers", seed=seed, size=SIDE)
    np.savez(folder / "employees.npz", images=people.images)
    np.savez(folder / "strangers.npz", images=others.images)
    (folder / "scale_net.py").write_text(MODEL)
    target: dict[str, object] = {"load": "scale_net:build", "shape": [3, SIDE, SIDE]}
    if not trained:
        target["weights"] = "net.safetensors"
        _train(people.images[:, :TRAINED_ON], folder)
    plan = folder / "plan.toml"
    table: dict[str, object] = {
        "run": {"name": "scale", "out": str(folder / "runs")},
        "target": target,
        "private": {"images": "employees.npz", "trained_on": f"0:{TRAINED_ON}"},
        "public": {"images": "strangers.npz"},
        "judges": {"steps": 40},
        "attack": [
            # None ends before its last step.
            {"name": "gradient", "steps": steps, "settle": steps + 1, "confidence": 1.0}
            for steps in attacks
        ],
    }
    if trained:
        table |= {"training": [{"name": "negative-label-smoothing"}], "recipe": {"epochs": 20}}
    plan.write_text(tomli_w.dumps(table))
    return plan


def _train(photos: NDArray[np.float32], folder: Path) -> None:
    """Trains the net on ``(people, photos, 3, height, width)``, and writes its weights."""
    images = torch.from_numpy(photos.reshape(-1, *photos.shape[2:]))
    people = torch.arange(PEOPLE).repeat_interleave(photos.shape[1])
    net = call_import("scale_net:build", folder)
    optimiser = torch.optim.Adam(net.parameters(), lr=2e-3)
    for _ in range(60):
        optimiser.zero_grad()
        nn.functional.cross_entropy(net(images), people).backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    save_file(net.state_dict(), folder / "net.safetensors")
