"""Rendered people, and a small net that knows them: trained once, for all tests of the checks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from darkroom.auditing.record import Check
from darkroom.demo.people.employees import render_faces
from darkroom.images.checks.subject import check_subject
from darkroom.images.subject import Subject
from darkroom.images.targets.base import Target
from darkroom.images.targets.torch import TorchTarget
from darkroom.vision.photos import Photos

PEOPLE, STRANGERS, SHOTS, SEEN, SIDE = 12, 14, 6, 4, 32
SHAPE = (3, SIDE, SIDE)


class Before(nn.Module):
    """A model that was given photos changed in some way: undoes that, and asks another one."""

    def __init__(self, model: nn.Module, undo: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.model, self.undo = model, undo

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.model(self.undo(x))
        return found


class After(Before):
    """Changes what a model answers."""

    def forward(self, x: Tensor) -> Tensor:
        return self.undo(self.model(x))


@dataclass(frozen=True)
class World:
    """People, strangers, and a net that knows the people."""

    images: NDArray[np.float32]
    people: NDArray[np.int64]
    strangers: NDArray[np.float32]
    net: nn.Module

    @property
    def seen(self) -> NDArray[np.bool_]:
        return np.arange(len(self.people)) % SHOTS < SEEN

    def subject(self, model: nn.Module | Target | None = None, **given: Any) -> Subject:
        """Returns the net, or another model, with the photos, or others."""
        images = given.pop("images", self.images)
        people = given.pop("people", self.people)
        seen = given.pop("seen", self.seen)
        names = given.pop("names", None)
        public = given.pop("public", Photos.of(self.strangers, np.arange(STRANGERS).repeat(SHOTS)))
        target = self.net if model is None else model
        if isinstance(target, nn.Module):
            target = TorchTarget(target, images.shape[1:], **given)
        return Subject(target, Photos.of(images, people, names), seen, public)


def checked(subject: Subject) -> dict[str, Check]:
    """Returns what every check of a subject finds, by name."""
    return {check.name: check for check in check_subject(subject, lambda *_: None)}


def failures(subject: Subject) -> dict[str, str]:
    """Returns the causes of what failed, by the check's name."""
    found = checked(subject).items()
    return {name: check.cause for name, check in found if check.outcome == "failed"}


def net(classes: int = PEOPLE) -> nn.Sequential:
    """Returns an untrained net."""
    return nn.Sequential(
        nn.Conv2d(3, 12, 3, 2, 1),
        nn.BatchNorm2d(12),
        nn.ReLU(),
        nn.Conv2d(12, 24, 3, 2, 1),
        nn.BatchNorm2d(24),
        nn.ReLU(),
        nn.Conv2d(24, 32, 3, 2, 1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(32 * 16, classes),
    )


def trained(images: NDArray[np.float32], people: NDArray[np.int64], seed: int = 0) -> nn.Module:
    """Trains a net until it knows the photos."""
    x, y = torch.from_numpy(images), torch.from_numpy(people)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = net(int(people.max()) + 1).train()
        optimiser = torch.optim.AdamW(model.parameters(), 3e-3)
        for _ in range(25):
            for rows in torch.split(torch.randperm(len(x)), 16):
                loss = nn.functional.cross_entropy(model(x[rows]), y[rows])
                optimiser.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                optimiser.step()
    return model.eval()


@pytest.fixture(scope="session")
def world() -> World:
    """The people, and the net that knows them."""
    people = np.repeat(np.arange(PEOPLE), SHOTS)
    images = render_faces(PEOPLE, SHOTS, size=SIDE).images.reshape(-1, *SHAPE)
    strangers = render_faces(STRANGERS, SHOTS, role="strangers", size=SIDE).images
    seen = np.arange(len(people)) % SHOTS < SEEN
    model = trained(images[seen], people[seen])
    return World(images, people, strangers.reshape(-1, *SHAPE), model)
