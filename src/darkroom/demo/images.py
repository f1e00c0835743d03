"""The demo of images: faces out of a model of people who do not exist."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from darkroom.auditing.progress import Reporter
from darkroom.demo.face_net import train_face_net
from darkroom.demo.inputs import audit_made
from darkroom.demo.people.employees import Faces, Role, render_faces, save_folder
from darkroom.errors import RunError
from darkroom.files import emptied, write_private
from darkroom.runs import Run
from darkroom.training.modules import weights_of

EMPLOYEES, EMPLOYEE_PHOTOS, TRAINED_ON = 40, 32, 20
STRANGERS, STRANGER_PHOTOS = 300, 4
BYSTANDERS, BYSTANDER_PHOTOS = 1000, 2

GENERATOR_STEPS = 1000
"""As good here as the usual 3,000; see docs/measured/benchmarks.md."""


class Cast(NamedTuple):
    """How many people are rendered, and how many photos of each.

    Attributes:
        employees: Who the model knows.
        photos: Of each of those.
        trained_on: How many of them the model sees; the others are the judges'.
        strangers: Whom the attacker knows.
        stranger_photos: Of each of those.
        bystanders: Who take part in nothing.
        bystander_photos: Of each of those.
        epochs: How often the model sees each photo.
    """

    employees: int
    photos: int
    trained_on: int
    strangers: int
    stranger_photos: int
    bystanders: int
    bystander_photos: int
    epochs: int = 18


CAST = Cast(
    EMPLOYEES,
    EMPLOYEE_PHOTOS,
    TRAINED_ON,
    STRANGERS,
    STRANGER_PHOTOS,
    BYSTANDERS,
    BYSTANDER_PHOTOS,
)

PLAN = f"""\
# Written by `darkroom demo`. Repeat it with: darkroom audit {{plan}} --resume
[run]
name = "demo"
seed = {{seed}}
out = "{{out}}"
block = {EMPLOYEES // 2}                      # people attacked together: two processes share them

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
prior_weight = 3.0
[attack.prior]
name = "generator"
steps = {GENERATOR_STEPS}

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
        make_inputs(inputs, CAST, seed, reporter)

    return audit_made("demo", PLAN, make, out=out, seed=seed, progress=progress)


def make_inputs(inputs: Path, cast: Cast, seed: int, reporter: Reporter) -> None:
    """Renders people into a folder and trains a model of the employees.

    Args:
        inputs: The folder, which is emptied: ``employees``, ``strangers``, ``bystanders.npz`` and
            ``face_net.safetensors`` go there.
        cast: How many there are.
        seed: Decides all of it.
        reporter: Shows the stages.

    Raises:
        DarkroomError: If the folder cannot be written.
    """
    emptied(inputs, "choose another --out, or remove it")
    faces = render_folder(
        inputs / "employees",
        cast.employees,
        cast.photos,
        role="employees",
        seed=seed,
        reporter=reporter,
    )
    render_folder(
        inputs / "strangers",
        cast.strangers,
        cast.stranger_photos,
        role="strangers",
        seed=seed,
        reporter=reporter,
    )
    others = _render(cast.bystanders, cast.bystander_photos, "bystanders", 64, seed, reporter)
    pixels = np.rint(others.images * 255).astype(np.uint8)
    np.savez(inputs / "bystanders.npz", images=pixels)
    images = faces.images[:, : cast.trained_on]
    labels = np.repeat(np.arange(cast.employees), cast.trained_on)
    with reporter.stage("Training the face-recognition model") as advance:
        model = train_face_net(
            images.reshape(-1, *images.shape[2:]),
            labels,
            classes=cast.employees,
            seed=seed,
            epochs=cast.epochs,
            on_progress=advance,
        )
    write_private(inputs / "face_net.safetensors", weights_of(model))
