"""The demo of verifiers: faces behind match scores, of people who do not exist."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from darkroom.auditing.progress import Reporter
from darkroom.demo.face_encoder import train_face_encoder
from darkroom.demo.inputs import audit_made
from darkroom.demo.people.employees import render_faces, save_folder
from darkroom.files import emptied, write_private
from darkroom.runs import Run
from darkroom.training.modules import weights_of

ENROLLED, PHOTOS, ENROL = 20, 10, 4
STRANGERS, STRANGER_PHOTOS = 300, 2
LEARNED, LEARNED_PHOTOS = 200, 5
APART = 500

PLAN = f"""\
# Written by `darkroom demo --kind verifiers`. Repeat it with: darkroom audit {{plan}} --resume
[run]
name = "demo-verifiers"
seed = {{seed}}
out = "{{out}}"

[target]
load = "darkroom.demo.face_encoder:demo_face_encoder"
weights = "face_encoder.safetensors"
false_accepts = 0.001

[private]
enrolled = "employees"
enrol = "0:{ENROL}"

[public]
images = "strangers.npz"

[judges]
strangers = "others.npz"

[[attack]]                      # who sees match scores
name = "evolution"
rows = 600
"""


def run_verifier_demo(out: Path, *, seed: int = 0, progress: bool = True) -> Run:
    """Renders people, trains an encoder on others, enrols them, and attacks.

    Args:
        out: The folder of all runs. The inputs go to ``out/demo-verifiers-inputs``, the run to
            ``out/demo-verifiers``.
        seed: Decides the people, the encoder, the judges and the attack.
        progress: Whether to show bars on standard error.

    Raises:
        DarkroomError: If the folder cannot be written.
    """

    def make(inputs: Path, reporter: Reporter) -> None:
        _make_inputs(inputs, seed, reporter)

    return audit_made("demo-verifiers", PLAN, make, out=out, seed=seed, progress=progress)


def _make_inputs(inputs: Path, seed: int, reporter: Reporter) -> None:
    """Renders the people and trains the encoder."""
    emptied(inputs, "choose another --out, or remove it")
    with reporter.stage("Rendering people") as advance:
        employees = render_faces(ENROLLED, PHOTOS, role="employees", seed=seed)
        advance(1, 3)
        people, photos = STRANGERS + APART, STRANGER_PHOTOS
        strangers = render_faces(people, photos, role="strangers", seed=seed).images
        advance(2, 3)
        learned = render_faces(LEARNED, LEARNED_PHOTOS, role="bystanders", seed=seed).images
    save_folder(employees, inputs / "employees")
    for name, some in (("strangers", strangers[:STRANGERS]), ("others", strangers[STRANGERS:])):
        pixels = np.rint(some * 255).astype(np.uint8)
        np.savez_compressed(inputs / f"{name}.npz", images=pixels)
    with reporter.stage("Training the encoder") as advance:
        encoder = train_face_encoder(
            learned.reshape(-1, *learned.shape[2:]),
            np.repeat(np.arange(LEARNED), LEARNED_PHOTOS),
            seed=seed,
            on_progress=advance,
        )
    write_private(inputs / "face_encoder.safetensors", weights_of(encoder))
