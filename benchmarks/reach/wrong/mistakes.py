"""A newcomer's ten commonest mistakes, each made on purpose, and what Darkroom says to it."""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from safetensors.numpy import save_file

from darkroom.commands.main import main

PLAN = """\
[run]
name = "first"

[target]
load = "my_model:net"
weights = "weights.safetensors"
shape = [1, 16, 16]

[private]
images = "employees.npz"
trained_on = "0:3"

[public]
images = "strangers.npz"

[judges]
steps = 20

[[attack]]
name = "gradient"
prior = "mean"
steps = 4
"""
MODEL = """\
from torch import nn

def net():
    return nn.Sequential(nn.Flatten(), nn.Linear(256, 10))

def surest():
    return nn.Sequential(nn.Flatten(), nn.Linear(256, 10), nn.Softmax(1))
"""


class Mistake(NamedTuple):
    """What newcomers do.

    Attributes:
        what: That, in words.
        make: Changes a plan that is right, in its folder; returns what it says then.
        words: What the answer must hold.
    """

    what: str
    make: Callable[[Path, str], str]
    words: str


def _changed(old: str, new: str) -> Callable[[Path, str], str]:
    def make(folder: Path, plan: str) -> str:
        del folder
        assert old in plan
        return plan.replace(old, new)

    return make


def _photos(folder: Path, plan: str, side: int) -> str:
    """Gives photos of another size, one folder a person."""
    from PIL import Image

    rng = np.random.default_rng(0)
    for person in ("ada", "bob"):
        (folder / "photos" / person).mkdir(parents=True)
        for number in range(4):
            pixels = rng.integers(0, 256, (side, side), np.uint8)
            Image.fromarray(pixels).save(folder / "photos" / person / f"{number}.png")
    return plan.replace("employees.npz", "photos")


def _many_people(folder: Path, plan: str) -> str:
    images = np.random.default_rng(0).random((11, 4, 1, 16, 16), np.float32)
    np.savez(folder / "employees.npz", images=images)
    return plan


def _bytes_as_floats(folder: Path, plan: str) -> str:
    with np.load(folder / "employees.npz") as arrays:
        images = arrays["images"] * np.float32(255)
    np.savez(folder / "employees.npz", images=images)
    return plan


def _pickled(folder: Path, plan: str) -> str:
    (folder / "model.pkl").write_bytes(b"\x80\x04N.")
    text = plan.replace("my_model:net", "model.pkl")
    return text.replace('weights = "weights.safetensors"\n', "")


def _shuffled(folder: Path, plan: str) -> str:
    with np.load(folder / "employees.npz") as arrays:
        np.savez(folder / "employees.npz", images=arrays["images"][[*range(1, 10), 0]])
    return plan


MISTAKES = (
    Mistake("a key with a typing error", _changed("trained_on", "traind_on"), "did you mean"),
    Mistake("a path that is not there", _changed("employees.npz", "emplyees.npz"), "no such file"),
    Mistake("photos of another size", lambda at, plan: _photos(at, plan, 24), "set resize = true"),
    Mistake("floats of 0 to 255", _bytes_as_floats, "range"),
    Mistake(
        "a model that returns probabilities",
        lambda _, plan: plan.replace("my_model:net", "my_model:surest").replace(
            'weights = "weights.safetensors"\n', ""
        ),
        'outputs = "probabilities"',
    ),
    Mistake("more people than classes", _many_people, "classes"),
    Mistake("people in another order than classes", _shuffled, "order"),
    Mistake(
        "weights that were never loaded",
        _changed('weights = "weights.safetensors"\n', ""),
        "chance",
    ),
    Mistake("a pickled model", _pickled, "never unpickles"),
    Mistake("no photo held out", _changed('trained_on = "0:3"\n', 'trained_on = "9:"\n'), "train"),
)


class Told(NamedTuple):
    """What Darkroom said to a mistake.

    Attributes:
        what: The mistake.
        line: What it said, without the folder that the plan was in.
        right: Whether that names the way.
    """

    what: str
    line: str
    right: bool


def told() -> Iterator[Told]:
    """Makes every mistake."""
    former = Path.cwd()
    for mistake in MISTAKES:
        with tempfile.TemporaryDirectory(prefix="darkroom-mistake-") as folder:
            os.chdir(folder)
            try:
                status, line = _said(mistake, Path(folder))
            finally:
                os.chdir(former)
        right = status in (2, 3) and mistake.words in line
        yield Told(mistake.what, line, right)


def _said(mistake: Mistake, folder: Path) -> tuple[int, str]:
    rng = np.random.default_rng(0)
    faces = rng.random((10, 1, 1, 16, 16), np.float32)
    noise = rng.random((10, 5, 1, 16, 16), np.float32)
    images = 0.75 * faces + 0.25 * noise
    np.savez(folder / "employees.npz", images=images)
    strangers = rng.random((12, 1, 1, 16, 16), np.float32)
    mixed = 0.75 * strangers + 0.25 * rng.random((12, 3, 1, 16, 16), np.float32)
    np.savez(folder / "strangers.npz", images=mixed)
    rows = faces.reshape(10, 256)
    bias = -(rows**2).sum(1) / 2
    save_file({"1.weight": rows, "1.bias": bias}, folder / "weights.safetensors")
    (folder / "my_model.py").write_text(MODEL)
    (folder / "plan.toml").write_text(mistake.make(folder, PLAN))
    said = io.StringIO()
    arguments, sys.argv = sys.argv, ["darkroom", "check", "plan.toml", "--json"]
    sys.modules.pop("my_model", None)
    try:
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(io.StringIO()) as errors:
            main()
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else 2
    finally:
        sys.argv = arguments
        sys.modules.pop("my_model", None)
    return status, _line(status, said.getvalue(), errors.getvalue())


def _line(status: int, said: str, errors: str) -> str:
    """Returns what a user reads of a mistake: the line, or the check that failed."""
    if status == 2:
        return errors.strip().splitlines()[-1].removeprefix("darkroom: ")
    failed = [one for one in json.loads(said or "[]") if one["outcome"] == "failed"]
    return " ".join(f"{one['found']} {one['remedy']}".strip() for one in failed[:1])


def as_table(found: Iterable[Told]) -> str:
    """Returns the mistakes as ``docs/how-to/your-own-model.md`` shows them."""
    lines = [f"| {one.what} | {one.line.replace('|', chr(92) + '|')} |" for one in found]
    return "\n".join(["| mistake | what Darkroom says |", "|---|---|", *lines])
