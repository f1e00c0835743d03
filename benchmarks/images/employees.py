"""The rendered employees that benchmarks of defences attack."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import numpy as np

from benchmarks.claims import tell
from darkroom.demo.face_net import train_face_net
from darkroom.demo.images import (
    EMPLOYEE_PHOTOS,
    EMPLOYEES,
    STRANGER_PHOTOS,
    STRANGERS,
    TRAINED_ON,
)
from darkroom.demo.people.employees import render_faces
from darkroom.images.targets.torch import TorchTarget
from darkroom.training.modules import weights_of

SECRET = "defenses.secret"


KEYED = {"secret": f"file:{SECRET}", "version": "1"}


def make_inputs(inputs: Path, seed: int) -> None:
    """Renders the demo's people and trains its model, unless that was done."""
    done = inputs / "face_net.safetensors"
    if done.exists():
        return
    tell("rendering employees and training their model")
    shutil.rmtree(inputs, ignore_errors=True)
    inputs.mkdir(parents=True)
    faces = render_faces(EMPLOYEES, EMPLOYEE_PHOTOS, role="employees", seed=seed).images
    strangers = render_faces(STRANGERS, STRANGER_PHOTOS, role="strangers", seed=seed).images
    np.savez(inputs / "employees.npz", images=faces)
    np.savez(inputs / "strangers.npz", images=strangers)
    # Whoever attacks here could read it, but no attack does: they are given no file.
    (inputs / SECRET).write_text(hashlib.sha256(f"benchmark {seed}".encode()).hexdigest())
    photos = faces[:, :TRAINED_ON].reshape(-1, *faces.shape[2:])
    labels = np.repeat(np.arange(EMPLOYEES), TRAINED_ON)
    model = train_face_net(photos, labels, classes=EMPLOYEES, seed=seed)
    (inputs / "part.safetensors").write_bytes(weights_of(model))
    (inputs / "part.safetensors").rename(done)


def employees_target(inputs: Path) -> TorchTarget:
    """Loads the model of the employees."""
    from safetensors.torch import load_file

    from darkroom.demo.face_net import demo_face_net

    model = demo_face_net()
    model.load_state_dict(load_file(inputs / "face_net.safetensors"))
    return TorchTarget(model, (3, 64, 64))
