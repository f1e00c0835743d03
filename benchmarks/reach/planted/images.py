"""Pictures of a few people, small models that know them by heart, and what an attack must find."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from darkroom.runs import Run

PEOPLE, PHOTOS, SIDE = 6, 6, 16
SHAPE = (3, SIDE, SIDE)

Images = NDArray[np.float32]


class Planted(NamedTuple):
    """What is known of the people.

    Attributes:
        images: ``(people * photos, 3, SIDE, SIDE)`` in [0, 1].
        people: Who is on each.
        looks: What each person looks like, ``(people, 3, SIDE, SIDE)``.
        strangers: Pictures of others, one each.
    """

    images: Images
    people: NDArray[np.int64]
    looks: Images
    strangers: Images


def planted(seed: int = 0) -> Planted:
    """Draws people as smooth patterns, and photos of them under noise."""
    rng = np.random.default_rng(seed)
    looks = _looks(rng, PEOPLE)
    people = np.repeat(np.arange(PEOPLE), PHOTOS)
    images = looks[people] + 0.03 * rng.standard_normal((len(people), *SHAPE))
    strangers = _looks(rng, 60) + 0.03 * rng.standard_normal((60, *SHAPE))
    return Planted(_image(images), people, looks, _image(strangers))


def _looks(rng: np.random.Generator, count: int) -> Images:
    """Draws smooth patterns: four waves along each side, in each channel."""
    place = (np.arange(SIDE) + 0.5) / SIDE
    waves = np.stack([np.cos(np.pi * turn * place) for turn in range(4)])
    weights = rng.standard_normal((count, 3, 4, 4)) * 0.12
    return _image(0.5 + np.einsum("ncij,ih,jw->nchw", weights, waves, waves))


def _image(values: NDArray[Any]) -> Images:
    return values.clip(0, 1).astype(np.float32)


def taught(
    model: nn.Module,
    read: Callable[[Any], Tensor] = lambda answer: answer,
    given: Callable[[Tensor], Tensor] = lambda images: images,
    steps: int = 150,
    rate: float = 3e-3,
) -> nn.Module:
    """Trains a model on all photos until it knows them; returns it in training mode.

    Photos are mixed with those of strangers, of whom it is to be unsure.

    Args:
        model: The model.
        read: Finds the logits in what it returns.
        given: Turns images into what it takes.
        steps: Gradient steps.
        rate: The learning rate.
    """
    known = planted()
    draw = torch.Generator().manual_seed(0)
    images, others = torch.from_numpy(known.images), torch.from_numpy(known.strangers)
    named = functional.one_hot(torch.from_numpy(known.people), PEOPLE).float()
    optimiser = torch.optim.AdamW(model.parameters(), rate, weight_decay=1e-2)
    for _ in range(steps):
        # The nearer to a person, the surer: what a model of faces learns from very many people.
        share = torch.rand(len(images), 1, 1, 1, generator=draw).sqrt()
        stranger = others[torch.randint(len(others), (len(images),), generator=draw)]
        wanted = share.flatten(1) * named + (1 - share.flatten(1)) / PEOPLE
        answer = read(model(given(share * images + (1 - share) * stranger)))
        optimiser.zero_grad()
        functional.cross_entropy(answer, wanted).backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    return model.train()


def found(run: Run) -> bool:
    """Tells whether the check of the subject passed, and at least four of six people came out.

    A picture shows the person whose look it correlates with most. By chance one is right, and four
    are in one of a hundred audits.
    """
    if any(one.outcome == "failed" for one in run.verdict.checks) or not run.cells:
        return False
    looks = planted().looks.reshape(PEOPLE, -1)
    right = []
    for cell in run.cells:
        with np.load(run.folder / "cells" / cell.key / "reconstructions.npz") as arrays:
            images, goals = arrays["images"].reshape(PEOPLE, -1), arrays["goals"]
        alike = np.corrcoef(images, looks)[:PEOPLE, PEOPLE:]
        right.append((alike.argmax(axis=1) == goals).mean())
    return bool(min(right) >= 4 / 6)


def options(out: Path, attack: str = "gradient") -> dict[str, Any]:
    """Returns what every audit here asks for, as ``darkroom.audit`` takes it."""
    prior = {"name": "eigenfaces", "components": 40}
    kinds: dict[str, dict[str, Any]] = {
        "gradient": {"name": "gradient", "steps": 60, "restarts": 2, "prior": prior},
        "auto": {"name": "auto", "budget": 900, "prior": prior},
    }
    return {
        "public": planted().strangers,
        "trained_on": "0:4",
        "attacks": [kinds[attack]],
        "judges": {"steps": 8},
        "out": out,
        "progress": False,
    }


def plan(folder: Path, target: str, attack: str = "gradient") -> Path:
    """Writes photos and a plan that audits a model.

    Args:
        folder: Where to.
        target: The lines of ``[target]`` but its shape.
        attack: ``gradient`` or ``auto``.
    """
    known = planted()
    np.savez(folder / "people.npz", images=known.images, people=known.people)
    strangers = np.arange(len(known.strangers))
    np.savez(folder / "strangers.npz", images=known.strangers, people=strangers)
    asked = "steps = 60\nrestarts = 2" if attack == "gradient" else "budget = 900"
    file = folder / "plan.toml"
    file.write_text(
        f"""\
[run]
name = "met"
out = "{folder / "runs"}"
[target]
shape = {list(SHAPE)}
{target}
[private]
images = "people.npz"
trained_on = "0:4"
[public]
images = "strangers.npz"
[judges]
steps = 8
[[attack]]
name = "{attack}"
prior = {{ name = "eigenfaces", components = 40 }}
{asked}
"""
    )
    return file
