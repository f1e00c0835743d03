"""The demo of images: faces out of a model of people who do not exist."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from safetensors.torch import save_file

from darkroom.auditing.progress import Reporter
from darkroom.demo.face_net import train_face_net
from darkroom.demo.inputs import audit_made
from darkroom.demo.people.employees import Faces, Role, render_faces, save_folder
from darkroom.errors import RunError
from darkroom.files import emptied
from darkroom.runs import Run

EMPLOYEES, EMPLOYEE_PHOTOS, TRAINED_ON = 40, 32, 20
STRANGERS, STRANGER_PHOTOS = 300, 4
BYSTANDERS, BYSTANDER_PHOTOS = 1000, 2

PLAN = f"""\
# Written by `darkroom demo`. Repeat it with: darkroom audit {{plan}} --resume
[run]
name = "demo"
seed = {{seed}}
out = "{{out}}"

[target]
kind = "torch"
load = "darkroom.demo.face_net:demo_face_net"
weights = "face_net.safetensors"
shape = [3, 64, 64]
outputs = "logits"

[private]
images = "employees"
trained_on = "0:{TRAINED_ON}"

[public]
images = "strangers"

[judges]
strangers = "bystanders.npz"

[[attack]]                      # who has the weights
name = "gradient"
prior = "generator"
prior_weight = 3.0

[[attack]]                      # who sees every confidence
name = "evolution"
rows = 1000

[[attack]]                      # who sees the winning name alone
name = "surrogate"
rows = 300
"""


def render_folder(
    folder: Path,
    people: int,
    photos: int,
    *,
    role: Role,
    size: int = 64,
    seed: int = 0,
    reporter: Reporter | None = None,
) -> Faces:
    """Renders people into a folder with one folder a person, with a progress bar.

    Raises:
        RunError: If the folder exists and is not empty, or cannot be written.
    """
    if folder.exists() and any(folder.iterdir()):
        raise RunError(f"{folder}: not empty: choose another folder, or remove it")
    faces = _render(people, photos, role, size, seed, reporter or Reporter())
    save_folder(faces, folder)
    return faces


def _render(
    people: int, photos: int, role: Role, size: int, seed: int, reporter: Reporter
) -> Faces:
    """Renders people with a progress bar."""
    with reporter.stage(f"Rendering {role}") as advance:
        done = 0

        def on_progress(photos_done: int) -> None:
            nonlocal done
            done += photos_done
            advance(done, people * photos)

        return render_faces(
            people, photos, role=role, seed=seed, size=size, on_progress=on_progress
        )


def run_face_demo(out: Path, *, seed: int = 0, progress: bool = True) -> Run:
    """Renders people, trains a model on them, and reconstructs them.

    Args:
        out: The folder of all runs. The inputs go to ``out/demo-inputs``, the run to ``out/demo``.
        seed: Decides the people, the model, the judges and the attacks.
        progress: Whether to show bars on standard error.

    Raises:
        DarkroomError: If the folder cannot be written.
    """

    def make(inputs: Path, reporter: Reporter) -> None:
        _make_inputs(inputs, seed, reporter)

    return audit_made("demo", PLAN, make, out=out, seed=seed, progress=progress)


def _make_inputs(inputs: Path, seed: int, reporter: Reporter) -> None:
    """Renders the people and trains the model."""
    emptied(inputs, "choose another --out, or remove it")
    faces = render_folder(
        inputs / "employees",
        EMPLOYEES,
        EMPLOYEE_PHOTOS,
        role="employees",
        seed=seed,
        reporter=reporter,
    )
    render_folder(
        inputs / "strangers",
        STRANGERS,
        STRANGER_PHOTOS,
        role="strangers",
        seed=seed,
        reporter=reporter,
    )
    others = _render(BYSTANDERS, BYSTANDER_PHOTOS, "bystanders", 64, seed, reporter)
    pixels = np.rint(others.images * 255).astype(np.uint8)
    np.savez_compressed(inputs / "bystanders.npz", images=pixels)
    images = faces.images[:, :TRAINED_ON]
    labels = np.repeat(np.arange(EMPLOYEES), TRAINED_ON)
    with reporter.stage("Training the face-recognition model") as advance:
        model = train_face_net(
            images.reshape(-1, *images.shape[2:]),
            labels,
            classes=EMPLOYEES,
            seed=seed,
            on_progress=advance,
        )
    save_file(model.state_dict(), inputs / "face_net.safetensors")
