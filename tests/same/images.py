"""Faces that a few numbers draw, a small model of them, and plans that audit it.

Photos and weights are cut to a grid, so that they are the same on every machine.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

PEOPLE, PHOTOS, TRAINED_ON, SIDE, UNITS, LATENT = 6, 8, 5, 16, 96, 12

MODEL = f"""\
from pathlib import Path

import numpy as np
import torch
from torch import nn


class Stored(nn.Module):
    def __init__(self):
        super().__init__()
        with np.load(Path(__file__).parent / "weights.npz") as stored:
            for name in stored:
                self.register_buffer(name, torch.from_numpy(stored[name]))


class Faces(Stored):
    def forward(self, images):
        hidden = torch.tanh(images.flatten(1).double() @ self.into)
        return (hidden @ self.out + self.offset).float()


class Space(Stored):
    def forward(self, latents):
        images = self.middle + latents.double() @ self.components
        return images.float().view(-1, 1, {SIDE}, {SIDE})


def given():
    return Faces()


def space():
    return Space()


def untrained():
    hidden = nn.Linear({SIDE * SIDE}, 32)
    return nn.Sequential(nn.Flatten(), hidden, nn.Tanh(), nn.Linear(32, {PEOPLE}))
"""

START = """\
[run]
name = "{name}"
seed = 3
out = "runs"
naive = {naive}

[target]
load = "same_faces:{load}"
shape = [1, 16, 16]

[private]
images = "people.npz"
trained_on = "0:5"

[public]
images = "strangers.npz"

[judges]
steps = 8
"""

ATTACKS = (
    START.format(name="images", naive="true", load="given")
    + """
[[attack]]
name = "gradient"
steps = 40
settle = 15

[[attack]]
name = "gradient"
prior = {name = "mean", start = "black"}
steps = 20
loss = "cross-entropy"
restarts = 2

[[attack]]
name = "mi-face"
prior = "mean"
steps = 60
process = "denoise-sharpen"
process_every = 20

[[attack]]
name = "evolution"
prior = {name = "generator", load = "same_faces:space", latent = 12}
budget = 160

[[attack]]
name = "surrogate"
prior = {name = "generator", load = "same_faces:space", latent = 12}
rows = 60
members = 2
units = 32
least_steps = 40
steps = 20

[[attack]]
name = "boundary"
prior = {name = "generator", load = "same_faces:space", latent = 12}
rows = 100

[[defense]]
name = "rounding"

[[defense]]
chain = [{name = "temperature", degree = 1.5}, {name = "noise", deviation = 0.03}]
"""
)

DEFENSES = (
    START.format(name="images-defenses", naive="false", load="given")
    + """
[[attack]]
name = "evolution"
prior = {name = "generator", load = "same_faces:space", latent = 12}
budget = 100

[[defense]]
name = "rounding"
step = 0.05

[[defense]]
name = "noise"
kind = "laplace"

[[defense]]
chain = [{name = "noise", deviation = 0.02}, {name = "rounding", decimals = 2}]

[[defense]]
chain = [{name = "rounding", decimals = 3}, {name = "top-k", k = 4}]

[[defense]]
name = "temperature"

[[defense]]
name = "reverse-sigmoid"

[[defense]]
chain = [{name = "temperature", degree = 2.0}, {name = "reverse-sigmoid"}]

[[defense]]
name = "purify"

[[defense]]
name = "stealthy-shield"

[[defense]]
name = "keyed-stealthy-shield"
secret = "file:secret"

[[defense]]
name = "sticky-noise"
secret = "file:secret"

[[defense]]
name = "sticky-noise"
secret = "file:secret"
exact = true
"""
)

TRAININGS = (
    START.format(name="images-trainings", naive="false", load="untrained")
    + """
[recipe]
epochs = 12
batch = 10

[[training]]
name = "uniform-confidence"

[[training]]
name = "dp-sgd"
epochs = 6
batch = 10

[[training]]
name = "negative-label-smoothing"

[[training]]
name = "bido"

[[training]]
name = "mid"

[[training]]
name = "transfer"
pretrain_epochs = 4

[[attack]]
name = "gradient"
prior = {name = "generator", load = "same_faces:space", latent = 12}
steps = 40
settle = 15
"""
)

PLANS = {"images": ATTACKS, "images-defenses": DEFENSES, "images-trainings": TRAININGS}


def write(folder: Path) -> None:
    """Writes the photos, the model and the plans."""
    people, strangers = _faces(PEOPLE, PHOTOS, 0), _faces(20, 3, 1)
    np.savez(folder / "people.npz", images=people)
    np.savez(folder / "strangers.npz", images=strangers)
    stored = {**_weights(people[:, :TRAINED_ON]), **_space(strangers)}
    np.savez(folder / "weights.npz", **stored)  # type: ignore[arg-type]
    (folder / "same_faces.py").write_text(MODEL)
    (folder / "secret").write_text("0123456789abcdef0123456789abcdef")
    for name, plan in PLANS.items():
        (folder / f"{name}.toml").write_text(plan)


def _faces(people: int, photos: int, seed: int) -> NDArray[np.float32]:
    """Draws ovals with eyes and a mouth, ``(people, photos, SIDE, SIDE)``, in steps of 1/255."""
    rng = np.random.default_rng(seed)
    down, across = np.mgrid[0:SIDE, 0:SIDE] / (SIDE - 1)
    drawn = np.empty((people, photos, SIDE, SIDE))
    for person in range(people):
        wide, high, skin, apart, eyes, smile, mouth, light = rng.random(8)
        oval = ((across - 0.5) / (0.25 + 0.2 * wide)) ** 2
        oval += ((down - 0.5) / (0.3 + 0.2 * high)) ** 2
        face = 0.15 + (0.4 + 0.25 * skin) * np.exp(-(oval**2)) + 0.2 * light * down
        for side in (-1, 1):
            eye = (across - 0.5 - side * (0.12 + 0.12 * apart)) ** 2
            eye += (down - 0.25 - 0.2 * eyes) ** 2
            face -= 0.5 * np.exp(-eye / 0.07**2)
        lips = ((across - 0.5) / (0.08 + 0.14 * smile)) ** 2
        lips += ((down - 0.65 - 0.15 * mouth) / 0.05) ** 2
        face -= 0.4 * np.exp(-lips)
        for photo in range(photos):
            moved = np.roll(face, rng.integers(-1, 2), axis=1) * rng.uniform(0.9, 1.1)
            drawn[person, photo] = (moved + 0.02 * rng.standard_normal(face.shape)).clip(0, 1)
    return (np.rint(drawn * 255) / 255).astype(np.float32)


def _weights(photos: NDArray[np.float32]) -> dict[str, NDArray[np.float64]]:
    """Fits a layer of random features and a ridge regression on them, in steps of 1/1024."""
    rng = np.random.default_rng(2)
    rows = photos.reshape(-1, SIDE * SIDE).astype(np.float64)
    into = _on_grid(rng.standard_normal((SIDE * SIDE, UNITS)) / SIDE)
    hidden = np.tanh(rows @ into)
    wanted = np.repeat(8 * np.eye(PEOPLE) - 4, photos.shape[1], axis=0)
    middle = hidden.mean(axis=0)
    scatter = (hidden - middle).T @ (hidden - middle) + 0.02 * np.eye(UNITS)
    out = _on_grid(np.linalg.solve(scatter, (hidden - middle).T @ wanted))
    return {"into": into, "out": out, "offset": _on_grid(wanted.mean(axis=0) - middle @ out)}


def _space(photos: NDArray[np.float32]) -> dict[str, NDArray[np.float64]]:
    """Finds principal components, in steps of 1/1024, with signs that no library chooses."""
    rows = photos.reshape(-1, SIDE * SIDE).astype(np.float64)
    middle = rows.mean(axis=0)
    _, singular, vectors = np.linalg.svd(rows - middle, full_matrices=False)
    kept = vectors[:LATENT] * singular[:LATENT, None] / np.sqrt(len(rows))
    largest = kept[np.arange(LATENT), np.abs(kept).argmax(axis=1)]
    return {"middle": _on_grid(middle), "components": _on_grid(kept * np.sign(largest)[:, None])}


def _on_grid(values: NDArray[np.float64]) -> NDArray[np.float64]:
    grid: NDArray[np.float64] = np.rint(values * 1024) / 1024
    return grid
